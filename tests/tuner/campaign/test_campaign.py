"""The agenda of a study: which trials it asks for, on what they rest, and that nothing else has a say in it."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.campaigns import by_chance, by_lr, execute, result
from tests.tuner.study.example_study import edited
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.spec import DecaySpec, EpochMetrics, OptimizerSpec, Recipe, ScheduleSpec
from zerotune.tuner.analysis.selection import BASELINE
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.study import Study
from zerotune.tuner.trial import Progress, Trial, TrialResult, TrialStatus, result_from_json, result_to_json

TEXT = """\
name: example
application: lenet_mnist
data: {source: mnist5k}
epochs: 12
batch_sizes: [128, 512]
seeds: [11, 12]
search_seed: 3
reference: tuned
baseline:
  batch_size: 32
  optimizer: {name: momentum, momentum: 0.8}
  warmup_epochs: 0.25
  tune:
    method: grid
    space:
      lr: {low: 0.01, high: 0.04, scale: log, num: 3}
arms:
  - name: tuned
    method: optuna
    trials: 6
    space:
      lr: {low: 0.005, high: 1, scale: log}
      decay: {choices: [constant, poly]}
  - name: linear-warmup
    method: linear-warmup
  - name: legw
    method: legw
  - name: date
    method: date
    baseline:
      tune:
        method: grid
        space:
          lr: {low: 0.002, high: 0.008, scale: log, num: 3}
"""
NUM_SEARCH_TRIALS = 3 + 3 + 2 * 6
NUM_CONFIRMATIONS = 2 + 2 * 4 * 2


def study(*edits: tuple[str, str]) -> Study:
    return edited(TEXT, *edits)


# -- what is asked for -------------------------------------------------------------------------------------------------


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
    # A round of four of each search, and nothing that rests on a choice.
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
    """Nothing waits for them: workers have them beside the last arm's, which wait for its search."""
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
    for told in done.results.values():
        assert result_from_json(result_to_json(told)) == told


# -- on what it rests --------------------------------------------------------------------------------------------------


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
    # DATE has a baseline of its own, whose best is the largest of its grid.
    assert [0.008 * 4] * 2 == [t.config.schedule.peak_lr for t in done.of("date", "confirmation", 512)]


def test_an_arms_own_baseline_is_trained_as_the_rule_trains_at_b0() -> None:
    own = execute(Campaign(study())).of("date baseline", "baseline", 32)
    assert [0.002, 0.004, 0.008] == [trial.config.schedule.peak_lr for trial in own]
    for trial in own:
        assert trial.config.optimizer.name == "date"
        assert DecaySpec(name="date") == trial.config.schedule.decay
        assert (0.25, 3, 12) == (trial.config.schedule.warmup_epochs, trial.config.seed, trial.config.epochs)


def test_an_arms_own_baseline_is_not_confirmed() -> None:
    assert execute(Campaign(study())).of("date baseline", "confirmation") == []


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


# -- trials that end badly ---------------------------------------------------------------------------------------------


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


def test_failed_trials_are_never_chosen() -> None:
    done = execute(Campaign(study()), lambda t: None if t.config.schedule.peak_lr == 0.02 else by_lr(t))
    assert [0.01] * 2 == [t.config.schedule.peak_lr for t in done.of(BASELINE, "confirmation")]


def test_a_diverged_trial_is_chosen_only_where_none_finished() -> None:
    """Even where the finished one is worse than chance, which a diverged trial is given."""

    def make(trial: Trial, score: float | None) -> TrialResult:
        finishes = trial.arm == "date baseline" and trial.index == 2
        return result(trial, 0.09) if finishes else result(trial, 0.1, status="diverged")

    done = execute(Campaign(study()), make=make)
    assert [0.01] * 2 == [t.config.schedule.peak_lr for t in done.of(BASELINE, "confirmation")]
    assert [0.008 * 4] * 2 == [t.config.schedule.peak_lr for t in done.of("date", "confirmation", 512)]


def test_a_pruned_trial_is_never_chosen() -> None:
    def make(trial: Trial, score: float | None) -> TrialResult:
        best = trial.config.schedule.peak_lr == 0.02
        return result(trial, score, status="pruned" if best and trial.arm == BASELINE else "finished")

    done = execute(Campaign(study()), make=make)
    assert [0.01] * 2 == [t.config.schedule.peak_lr for t in done.of(BASELINE, "confirmation")]


# -- early stopping ----------------------------------------------------------------------------------------------------


def epoch(number: int, score: float) -> EpochMetrics:
    return EpochMetrics(
        epoch=number,
        lr=0.1,
        train_loss=1.0,
        validation_loss=1.0,
        validation_score=score,
        iterations=1,
        samples=1,
        flops=1,
        device_seconds=1.0,
    )


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_a_bad_trial_of_a_pruning_search_is_ended_and_a_good_one_and_a_confirmation_are_not(
    monkeypatch: pytest.MonkeyPatch, higher_is_better: bool
) -> None:
    application = replace(APPLICATIONS["lenet_mnist"], higher_is_better=higher_is_better)
    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", application)
    good, bad = (0.9, 0.1) if higher_is_better else (0.1, 0.9)
    campaign = Campaign(study(("    trials: 6\n", "    trials: 6\n    pruner: median\n")))
    told = 0
    while isinstance(trial := campaign.ask(), Trial):
        pruning = trial.arm == "tuned" and trial.role == "search"
        assert pruning == campaign.may_prune(trial)
        scores = [bad if pruning and trial.index == 4 else good] * 11
        goes_on = [
            campaign.report(Progress(trial=trial, new_epochs=(epoch(n, s),))) for n, s in enumerate(scores, start=1)
        ]
        # The median of the finished four takes effect from epochs/4 on.
        assert goes_on == ([True, True] + [False] * 9 if pruning and trial.index == 4 else [True] * 11)
        status: TrialStatus = "finished" if all(goes_on) else "pruned"
        campaign.tell(result(trial, scores[-1], status=status))
        told += 1
    assert NUM_SEARCH_TRIALS + NUM_CONFIRMATIONS == told


def test_a_search_prunes_by_the_epochs_of_its_own_arm() -> None:
    """Of 40 epochs the median takes effect from the tenth on, of the study's 12 it would from the third."""
    campaign = Campaign(study(("    trials: 6\n", "    trials: 6\n    pruner: median\n    epochs: 40\n")))
    ended_after = set()
    while isinstance(trial := campaign.ask(), Trial):
        bad = campaign.may_prune(trial) and trial.index == 4
        told = 1
        while told < trial.config.epochs and campaign.report(
            Progress(trial=trial, new_epochs=(epoch(told, 0.1 if bad else 0.9),))
        ):
            told += 1
        if bad:
            ended_after.add(told)
        campaign.tell(result(trial, 0.1 if bad else 0.9, status="pruned" if told < trial.config.epochs else "finished"))
    assert ended_after == {10}


# -- budgets -----------------------------------------------------------------------------------------------------------

BUDGET = ("arms:\n", "budget: {trials: 7}\narms:\n")


@pytest.mark.parametrize("num_workers", [1, 4])
def test_a_budget_of_trials_ends_searching_and_what_was_found_is_confirmed(num_workers: int) -> None:
    done = execute(Campaign(study(BUDGET)), num_workers=num_workers)
    assert 7 == sum(trial.role != "confirmation" for trial in done.asked)
    confirmed = {(t.arm, t.batch_size) for t in done.asked if t.role == "confirmation"}
    rules = {(arm, size) for arm in ("linear-warmup", "legw", "date") for size in (128, 512)}
    # After both baselines one trial was left; a single worker gives it to the arm that tunes at 128.
    assert {(BASELINE, 32), ("tuned", 128), *rules} == confirmed
    for arm, batch_size in confirmed:
        assert [11, 12] == [t.config.seed for t in done.of(arm, "confirmation", batch_size)]


def test_a_budget_of_seconds_ends_searching_once_that_many_are_spent() -> None:
    seconds = ("arms:\n", "budget: {device_seconds: 75}\narms:\n")
    done = execute(Campaign(study(seconds)))
    # 30 s of baseline trials, and 30 s of those of DATE's own baseline; the first search is at 80 s after its second.
    roles = Counter((t.arm, t.role) for t in done.asked)
    assert (3, 2, 3, 2) == tuple(
        roles[key]
        for key in (
            (BASELINE, "baseline"),
            (BASELINE, "confirmation"),
            ("date baseline", "baseline"),
            ("tuned", "search"),
        )
    )
    assert 4 == roles["legw", "confirmation"]


@pytest.mark.parametrize("num_workers", [1, 3])
def test_a_spent_budget_hides_no_result_when_a_study_is_resumed(num_workers: int) -> None:
    first = execute(Campaign(study(BUDGET)), num_workers=num_workers)
    again = execute(Campaign(study(BUDGET), first.results), known=first.results)
    assert first.ids() == again.ids()
    assert again.results == {}


def test_a_resumed_study_spends_what_was_left_of_its_budget() -> None:
    """Four workers that wait for a round go on to later searches; one that resumes meets the earlier ones first."""
    limited = study(("arms:\n", "budget: {trials: 14}\narms:\n"))
    for stop_after in (8, 12, 16, 20):
        first = execute(Campaign(limited), num_workers=9, stop_after=stop_after)
        again = execute(Campaign(limited, first.results), known=first.results)
        results = first.results | again.results
        assert 14 == sum(r.trial.role != "confirmation" for r in results.values())
        assert set(results) == again.ids()


@pytest.mark.parametrize(("arm", "kept"), [(BASELINE, [0, 2]), ("tuned", [0, 2, 3])])
def test_results_behind_a_lost_trial_are_used_where_the_budget_is_spent(arm: str, kept: list[int]) -> None:
    """The second trial was running when the study was stopped; the later ones of its round had ended."""
    searches = [r for r in execute(Campaign(study()), by_chance).results.values() if r.trial.role != "confirmation"]
    known = {r.trial.id: r for r in searches if r.trial.arm != arm or r.trial.index in kept}
    spent = study(("arms:\n", "budget: {device_seconds: 15}\narms:\n"))
    again = execute(Campaign(spent, known), by_chance, known=known)
    for batch_size in {r.trial.batch_size for r in searches if r.trial.arm == arm}:
        search = [t for t in again.asked if (t.arm, t.batch_size) == (arm, batch_size) and t.role != "confirmation"]
        assert kept == [trial.index for trial in search]
        assert [max(search, key=by_chance).params] * 2 == [t.params for t in again.of(arm, "confirmation", batch_size)]


# -- the same trials again ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_workers", [1, 2, 3, 4])
def test_any_order_of_completion_asks_for_the_same_trials(num_workers: int) -> None:
    expected = execute(Campaign(study()), by_chance).ids()
    for seed in range(5):
        assert expected == execute(Campaign(study()), by_chance, num_workers=num_workers, seed=seed).ids()


@pytest.mark.parametrize("num_workers", [1, 4])
def test_a_study_stopped_anywhere_and_resumed_asks_for_the_same_trials_and_runs_none_twice(num_workers: int) -> None:
    expected = execute(Campaign(study()), by_chance).ids()
    for stop_after in range(1, NUM_SEARCH_TRIALS + NUM_CONFIRMATIONS, 3):
        first = execute(Campaign(study()), by_chance, num_workers=4, seed=stop_after, stop_after=stop_after)
        again = execute(
            Campaign(study(), first.results), by_chance, num_workers=num_workers, seed=7, known=first.results
        )
        assert expected == again.ids()
        assert expected - set(first.results) == set(again.results)


def test_no_two_trials_of_a_study_have_one_id() -> None:
    asked = execute(Campaign(study())).asked
    assert len(asked) == len({trial.id for trial in asked})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epochs: 12", "epochs: 13"),
        ("name: example", "name: other"),
        ("search_seed: 3\n", "search_seed: 4\n"),
        ("momentum: 0.8", "momentum: 0.7"),
    ],
)
def test_ids_of_search_trials_change_with_the_content(old: str, new: str) -> None:
    def searches(study: Study) -> set[str]:
        return {trial.id for trial in execute(Campaign(study)).of("tuned", "search")}

    assert set() == searches(study()) & searches(study((old, new)))


def test_ids_do_not_change_with_what_fixes_no_result() -> None:
    others = (
        "question: Why?\nresources: {cpus_per_trial: 2, max_concurrent: 3}\nbudget: {trials: 500}\n"
        "tracking_uri: sqlite:///x.db\nmargin: 0.99\narms:\n"
    )
    assert execute(Campaign(study())).ids() == execute(Campaign(study(("arms:\n", others)))).ids()


def test_two_searches_do_not_draw_the_same_points() -> None:
    done = execute(Campaign(study()))
    at_128, at_512 = (done.of("tuned", "search", size) for size in (128, 512))
    assert set() == {t.params["lr"] for t in at_128} & {t.params["lr"] for t in at_512}


def test_every_trial_is_met_again_after_it_was_written_down() -> None:
    """Whole numbers in a list are where it could be another one."""
    steps = study(("  warmup_epochs: 0.25\n", "  warmup_epochs: 0\n  decay: {name: multistep, milestones: [4, 8]}\n"))
    for trial in execute(Campaign(steps)).asked:
        assert trial == result_from_json(result_to_json(result(trial, 0.5))).trial
        assert trial.id == result_from_json(result_to_json(result(trial, 0.5))).trial.id


def test_only_proposals_take_the_searchers_time() -> None:
    campaign = Campaign(study())
    for trial in execute(campaign).asked:
        assert (trial.role != "confirmation") == (campaign.searcher_seconds(trial) > 0)
