"""Studies whose baseline breaks ties towards small learning rates, is extended, and whose rules are guarded."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.campaigns import Executed, by_lr, execute, result
from tests.synthetic_study import epoch_metrics
from tests.tuner.study.example_study import TEXT, edited, mistakes
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.study import Study
from zerotune.tuner.study.comprehensive import proposing_rules
from zerotune.tuner.trial import Trial, TrialResult

SPACE = "      lr: {low: 0.01, high: 0.04, scale: log, num: 3}\n"
GUARDED = ("  - name: sqrt\n    method: sqrt\n", "  - name: sqrt-guarded\n    method: sqrt\n    guard: 2\n")


def study(*edits: tuple[str, str]) -> Study:
    return edited(TEXT, *edits)


def tuned(keys: str) -> tuple[str, str]:
    """Return the edit that adds keys to the baseline's search."""
    return ("    method: grid\n    space:\n", f"    method: grid\n    {keys}\n    space:\n")


def run(definition: Study, score: Callable[[Trial], float | None] = by_lr) -> Executed:
    """Run a study whose trainings have a validation set of 1,000, with four workers."""

    def make(trial: Trial, value: float | None) -> TrialResult:
        status = "pruned" if trial.role == "probe" else "finished"
        return replace(result(trial, value, status=status), validation_samples=1000)

    return execute(Campaign(definition), score, make=make, num_workers=4)


def lrs(trials: list[Trial]) -> list[float]:
    return [round(trial.config.schedule.peak_lr, 6) for trial in trials]


# -- ties and extensions -----------------------------------------------------------------------------------------------


def flat(trial: Trial) -> float:
    """Return a score that rises with the learning rate by less than 1,000 samples can tell apart."""
    return 0.97 + 0.1 * trial.config.schedule.peak_lr


def test_rules_start_from_the_smallest_learning_rate_that_ties() -> None:
    assert 0.01 * 2 == lrs(run(study(tuned("ties: smallest")), flat).of("sqrt", "confirmation", 128))[0]
    assert 0.04 * 2 == lrs(run(study(), flat).of("sqrt", "confirmation", 128))[0]


def test_seeds_that_tell_the_noise_are_no_confirmations_and_are_billed_to_the_baseline() -> None:
    trials = run(study(tuned("ties: smallest\n    tie_seeds: 2")), flat).of("baseline", "baseline")
    assert [0.01, 0.02, 0.04] == lrs(trials[:3])
    assert [(0.04, 3), (0.02, 3), (0.01, 3), (0.04, 4), (0.02, 4), (0.01, 4)] == [
        (trial.config.schedule.peak_lr, trial.config.seed) for trial in trials[3:]
    ]


def test_a_baseline_on_the_edge_of_its_range_is_followed_beyond() -> None:
    done = run(study(tuned("extend: true")), lambda trial: -abs(trial.config.schedule.peak_lr - 0.08))
    assert [0.08, 0.16] == lrs(done.of("baseline", "baseline")[3:])
    assert [0.08] == lrs(done.of("baseline", "confirmation"))[:1]


# -- guarded rules -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lost_above", "probes", "taken"),
    [(9.0, [0.02, 0.04], 0.04), (0.03, [0.02, 0.04], 0.02), (0.01, [0.02, 0.01], 0.01)],
)
def test_a_guarded_rule_is_probed_before_it_is_confirmed(lost_above: float, probes: list[float], taken: float) -> None:
    """The rule's learning rate at 128 is 0.04: B0 has 0.02."""

    def score(trial: Trial) -> float:
        if trial.batch_size == 32:
            return by_lr(trial)
        return 0.9 if trial.config.schedule.peak_lr <= lost_above else 0.1

    done = run(study(GUARDED), score)
    asked = done.of("sqrt-guarded", "probe", 128)
    assert probes == lrs(asked)
    assert {0} == {trial.config.seed for trial in asked}
    confirmed = done.of("sqrt-guarded", "confirmation", 128)
    assert [taken] * 2 == lrs(confirmed)
    assert {taken / 0.04} == {trial.params["lr_factor"] for trial in confirmed}


def test_a_probe_that_collapsed_is_lost_though_it_scores_better_than_guessing() -> None:
    """65% in its third epoch, 30% in its last: past half-way from 65% to the 10% of guessing."""

    def make(trial: Trial, value: float | None) -> TrialResult:
        peaks = [0.3, 0.65, 0.3] if trial.role == "probe" and trial.config.schedule.peak_lr > 0.005 else [0.3, 0.4]
        epochs = tuple(epoch_metrics(number, score) for number, score in enumerate(peaks, start=1))
        return replace(result(trial, peaks[-1]), epochs=epochs)

    done = execute(Campaign(study(GUARDED)), make=make)
    assert [0.01, 0.005] == lrs(done.of("sqrt-guarded", "probe", 128))


def test_a_probe_is_cut_short_with_the_schedule_of_a_whole_training() -> None:
    campaign = Campaign(study(GUARDED))
    while isinstance(trial := campaign.ask(), Trial) and trial.role != "probe":
        campaign.tell(result(trial, 0.5))
    assert isinstance(trial, Trial)
    assert 12 == trial.config.epochs
    assert campaign.may_prune(trial)
    assert [True, True, False] == [campaign.report(trial, [epoch_metrics(number, 0.5)]) for number in (1, 5, 6)]


def test_a_spent_budget_makes_no_probe_and_half_of_the_learning_rate_is_taken() -> None:
    done = run(study(GUARDED, ("arms:\n", "budget: {trials: 3}\narms:\n")))
    assert [] == done.of("sqrt-guarded", "probe")
    assert [0.02] == lrs(done.of("sqrt-guarded", "confirmation", 128))[:1]


def test_a_guarded_rule_waits_for_its_baseline_and_has_no_confirmation_without_it() -> None:
    done = run(study(GUARDED), lambda trial: None if trial.role == "baseline" else 0.5)
    assert [] == done.of("sqrt-guarded", "probe") + done.of("sqrt-guarded", "confirmation")


def test_a_comprehensive_search_tries_rules_without_a_guard_alone() -> None:
    both = study((GUARDED[0], GUARDED[0] + GUARDED[1]))
    assert ["sqrt", "date"] == [rule.name for rule in proposing_rules(both, both.arm("tuned"))]


def test_the_smallest_learning_rate_that_a_guard_may_end_at_is_checked() -> None:
    """DATE's floor must lie below the peak: 0.003 x 2 halved three times is 0.00075."""
    date = ("date\n    baseline: {lr: 0.003,", "date\n    guard: 2\n    baseline: {lr: 0.003,")
    floor = ("warmup_epochs: 0.25}", "warmup_epochs: 0.25, decay: {name: date, floor: 0.001}}")
    name = ("name: date", "name: date-guarded")
    assert any("option 'floor' must be at most the peak" in line for line in mistakes(name, date, floor))
    study(name, floor)


# -- definitions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "edit",
    [tuned("ties: best"), tuned("tie_seeds: 0"), tuned("extend: false"), (GUARDED[0], f"{GUARDED[0]}    guard: 0\n")],
)
def test_a_key_at_its_default_leaves_the_fingerprint_of_earlier_versions(edit: tuple[str, str]) -> None:
    assert study().fingerprint == study(edit).fingerprint
    assert study().resolved() == study(edit).resolved()


@pytest.mark.parametrize("edit", [tuned("ties: smallest"), tuned("extend: true"), GUARDED])
def test_a_key_that_changes_what_is_trained_changes_the_fingerprint_and_is_stored(edit: tuple[str, str]) -> None:
    changed = study(edit)
    assert study().fingerprint != changed.fingerprint
    assert changed.fingerprint == Study.model_validate(changed.resolved()).fingerprint


@pytest.mark.parametrize(
    ("edits", "sentence"),
    [
        (
            [(GUARDED[0], f"{GUARDED[0]}    guard: 2\n")],
            "x.yaml:24: arms[1].name: must say 'guarded', such as 'sqrt-guarded': an arm with guard: 2 trains at the "
            "target batch size before its choice, so it is no zero-tuning; got 'sqrt'",
        ),
        ([tuned("tie_seeds: 2")], "has no effect with ties best: add ties: smallest, or leave it out"),
        (
            [tuned("extend: true"), (SPACE, "      lr: {choices: [0.1, 0.2]}\n")],
            "has no effect: the space has no range of lr, nor three or more numbers of it",
        ),
        (
            [
                tuned("ties: smallest"),
                ("batch_size: 32\n", "batch_size: 32\n  lr: 0.1\n"),
                (SPACE, "      momentum: {choices: [0.8, 0.9]}\n"),
            ],
            "smallest has no effect: lr is not in the space",
        ),
        (
            [("    trials: 12\n", "    trials: 12\n    guard: 2\n")],
            "has no effect with method optuna: leave it out (for constant",
        ),
    ],
)
def test_keys_without_effect_and_a_guard_that_hides_are_mistakes(edits: list[tuple[str, str]], sentence: str) -> None:
    assert any(sentence in line for line in mistakes(*edits))
