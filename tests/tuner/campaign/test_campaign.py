"""The agenda of a study: which trials it asks for, and that these depend on the right results and nothing else."""

import math
from collections import Counter
from dataclasses import replace

import pytest

from tests.campaigns import by_chance, execute, result
from tests.tuner.analysis.synthetic_results import read_back
from tests.tuner.campaign.campaign_study import NUM_CONFIRMATIONS, NUM_SEARCH_TRIALS, study
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.spec import DecaySpec, OptimizerSpec, Recipe, ScheduleSpec
from zerotune.tuner.analysis.selection import BASELINE
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.trial import Trial, TrialResult

# -- trials asked for --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_workers", [1, 4])
def test_every_cell_gets_the_trials_it_planned(num_workers: int) -> None:
    campaign = Campaign(study())
    done = execute(campaign, num_workers=num_workers)
    counts = Counter((trial.arm, trial.batch_size) for trial in done.asked)
    assert {(cell.arm, cell.batch_size): cell.num_planned for cell in campaign.cells} == counts
    assert NUM_SEARCH_TRIALS + NUM_CONFIRMATIONS == len(done.asked)
    assert campaign.ask() == "done"


def test_cells_come_in_the_order_of_the_study_the_baselines_first() -> None:
    cells = [(cell.arm, cell.batch_size) for cell in Campaign(study()).cells]
    arms = ["tuned", "linear-warmup", "legw", "date"]
    assert [(BASELINE, 32), ("date baseline", 32), *((a, 128) for a in arms), *((a, 512) for a in arms)] == cells


def test_a_rule_waits_for_all_trials_of_its_baseline() -> None:
    campaign = Campaign(study())
    asked = []
    while isinstance(trial := campaign.ask(), Trial):
        asked.append(trial)
    assert trial == "wait"
    counts = Counter((t.arm, t.batch_size, t.role) for t in asked)
    # One round of four per search, and nothing that depends on a choice.
    assert {
        (BASELINE, 32, "baseline"): 3,
        ("date baseline", 32, "baseline"): 3,
        ("tuned", 128, "search"): 4,
        ("tuned", 512, "search"): 4,
    } == counts
    for trial in asked[:2]:
        campaign.tell(result(trial, 0.5))
    assert campaign.ask() == "wait"
    campaign.tell(result(asked[2], 0.5))
    rules = [(arm, "confirmation") for arm in ("linear-warmup", "legw") for _ in range(2)]
    assert [*rules, *rules, *[(BASELINE, "confirmation")] * 2] == [
        (t.arm, t.role) for _ in range(10) if isinstance(t := campaign.ask(), Trial)
    ]
    assert campaign.ask() == "wait"


def test_the_baselines_confirmations_come_where_nothing_else_is_left() -> None:
    """Nothing depends on them, so they keep workers busy while the last arm's confirmations wait for its search."""
    asked = execute(Campaign(study())).asked
    assert [(BASELINE, "confirmation")] * 2 == [(trial.arm, trial.role) for trial in asked[-2:]]


def test_a_stated_baseline_needs_no_waiting() -> None:
    stated = study(
        (
            "  tune:\n    method: grid\n    space:\n      lr: {low: 0.01, high: 0.04, scale: log, num: 3}\n",
            "  lr: 0.02\n",
        )
    )
    last = execute(Campaign(stated)).asked[-2:]
    assert [(BASELINE, "confirmation", seed) for seed in (11, 12)] == [(t.arm, t.role, t.config.seed) for t in last]
    (legw, *_) = execute(Campaign(stated)).of("legw", "confirmation", 512)
    assert ScheduleSpec(peak_lr=0.02 * 4, warmup_epochs=0.25 * 16) == legw.config.schedule


def test_every_trial_trains_with_the_studys_recipe() -> None:
    stated = "recipe: {label_smoothing: 0.1, micro_batch_size: 64, precision: bfloat16}\n"
    done = execute(Campaign(study(("epochs: 12\n", f"epochs: 12\n{stated}"))))
    expected = Recipe(label_smoothing=0.1, micro_batch_size=64, precision="bfloat16")
    assert {trial.config.recipe for trial in done.asked} == {expected}
    for finished in done.results.values():
        assert read_back(finished) == finished


# -- dependencies ------------------------------------------------------------------------------------------------------


def test_rules_train_with_what_the_tuned_baseline_chose() -> None:
    done = execute(Campaign(study()))
    momentum = OptimizerSpec(name="momentum", options={"momentum": 0.8, "weight_decay": 0.0, "nesterov": False})
    expected = {
        ("linear-warmup", 128): ScheduleSpec(peak_lr=0.02 * 4, warmup_epochs=5.0),
        ("linear-warmup", 512): ScheduleSpec(peak_lr=0.02 * 16, warmup_epochs=5.0),
        ("legw", 128): ScheduleSpec(peak_lr=0.02 * 2, warmup_epochs=0.25 * 4),
        ("legw", 512): ScheduleSpec(peak_lr=0.02 * 4, warmup_epochs=0.25 * 16),
    }
    for (arm, batch_size), schedule in expected.items():
        for trial in done.of(arm, "confirmation", batch_size):
            assert (schedule, momentum, {}) == (trial.config.schedule, trial.config.optimizer, trial.params)


def test_another_best_baseline_gives_another_scaled_rate() -> None:
    done = execute(Campaign(study()), lambda trial: trial.config.schedule.peak_lr)
    assert [0.04 * 4] * 2 == [t.config.schedule.peak_lr for t in done.of("legw", "confirmation", 512)]
    # DATE has its own baseline, whose best value is the largest of its grid.
    assert [0.008 * 4] * 2 == [t.config.schedule.peak_lr for t in done.of("date", "confirmation", 512)]


def test_an_arms_own_baseline_is_trained_as_the_rule_trains_at_b0_and_not_confirmed() -> None:
    done = execute(Campaign(study()))
    own = done.of("date baseline", "baseline", 32)
    assert [0.002, 0.004, 0.008] == [trial.config.schedule.peak_lr for trial in own]
    for trial in own:
        assert trial.config.optimizer.name == "date"
        assert DecaySpec(name="date") == trial.config.schedule.decay
        assert (0.25, 3, 12) == (trial.config.schedule.warmup_epochs, trial.config.seed, trial.config.epochs)
    assert done.of("date baseline", "confirmation") == []


def test_confirmations_train_the_best_by_validation_with_the_studys_seeds() -> None:
    done = execute(Campaign(study()), by_chance)
    for batch_size in (128, 512):
        search = done.of("tuned", "search", batch_size)
        best = max(search, key=by_chance)
        confirmations = done.of("tuned", "confirmation", batch_size)
        assert [replace(best.config, seed=11), replace(best.config, seed=12)] == [t.config for t in confirmations]
        assert [best.params] * 2 == [t.params for t in confirmations]
        assert [0, 1] == [t.index for t in confirmations]
        assert [3] * 6 == [t.config.seed for t in search]


def test_of_equal_scores_the_earliest_proposal_is_chosen_whichever_was_told_first() -> None:
    for seed in range(4):
        done = execute(Campaign(study()), lambda trial: 0.5, num_workers=4, seed=seed)
        assert [0.01] * 2 == [t.config.schedule.peak_lr for t in done.of(BASELINE, "confirmation")]


def test_the_test_score_has_no_say() -> None:
    def opposite(trial: Trial, score: float | None) -> TrialResult:
        return result(trial, score, test_score=None if score is None else -score)

    assert execute(Campaign(study())).asked == execute(Campaign(study()), make=opposite).asked


def test_where_lower_is_better_the_lowest_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    lower = replace(APPLICATIONS["lenet_mnist"], higher_is_better=False)
    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", lower)
    done = execute(Campaign(study()), lambda trial: trial.config.schedule.peak_lr)
    assert [0.01] * 2 == [t.config.schedule.peak_lr for t in done.of(BASELINE, "confirmation")]
    best = min(t.config.schedule.peak_lr for t in done.of("tuned", "search", 128))
    assert [best] * 2 == [t.config.schedule.peak_lr for t in done.of("tuned", "confirmation", 128)]


# -- failures and pruning ----------------------------------------------------------------------------------------------


def test_a_baseline_whose_trials_all_failed_leaves_its_rules_without_trials() -> None:
    done = execute(Campaign(study()), lambda trial: None if trial.arm == BASELINE else 0.5, num_workers=3)
    counts = Counter((t.arm, t.role) for t in done.asked)
    assert {
        (BASELINE, "baseline"): 3,
        ("date baseline", "baseline"): 3,
        ("tuned", "search"): 12,
        ("tuned", "confirmation"): 4,
        ("date", "confirmation"): 4,
    } == counts


def test_a_study_whose_trials_all_fail_ends() -> None:
    done = execute(Campaign(study()), lambda trial: None, num_workers=2)
    assert {"baseline", "search"} == {trial.role for trial in done.asked}
    assert NUM_SEARCH_TRIALS == len(done.asked)


def test_a_diverged_trial_is_chosen_only_where_none_finished() -> None:
    """This holds even if the finished trial scores below chance, the score of a diverged trial."""

    def make(trial: Trial, score: float | None) -> TrialResult:
        finishes = trial.arm == "date baseline" and trial.index == 2
        return result(trial, 0.09) if finishes else result(trial, 0.1, status="diverged")

    done = execute(Campaign(study()), make=make)
    assert [0.01] * 2 == [t.config.schedule.peak_lr for t in done.of(BASELINE, "confirmation")]
    assert [0.008 * 4] * 2 == [t.config.schedule.peak_lr for t in done.of("date", "confirmation", 512)]


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_never_chosen(score: float) -> None:
    """Such scores are in journals of earlier versions."""

    def make(trial: Trial, given: float | None) -> TrialResult:
        return result(trial, score if trial.index == 0 and trial.role != "confirmation" else 0.5 - trial.index / 100)

    done = execute(Campaign(study()), make=make)
    second = [trial for trial in done.of(BASELINE, "baseline") if trial.index == 1]
    chosen = {trial.config.schedule.peak_lr for trial in done.of(BASELINE, "confirmation")}
    assert chosen == {trial.config.schedule.peak_lr for trial in second}
