"""A search ends early where its trials left hardly beat a rule: at the same trial whatever the workers, and told so."""

import json
from dataclasses import asdict, replace

import pytest

from tests.campaigns import Score, completed, execute, result
from tests.tuner.study.example_study import edited
from zerotune.trainers.applications import APPLICATIONS
from zerotune.tuner.analysis.comparison import Comparison, compare
from zerotune.tuner.analysis.study_facts import facts_of
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.campaign.plan import Plan
from zerotune.tuner.errors import BadInput
from zerotune.tuner.reports.json_text import format_json
from zerotune.tuner.reports.tables.plan import plan_as_json
from zerotune.tuner.reports.text.configuration import format_arm
from zerotune.tuner.reports.text.searches import describe_searches
from zerotune.tuner.search import terminator
from zerotune.tuner.study import Study
from zerotune.tuner.study.stopping import StopDefinition
from zerotune.tuner.study.stored import read_definition
from zerotune.tuner.trial import Trial, TrialResult

TEXT = """\
name: example
application: lenet_mnist
data: {source: mnist5k}
epochs: 12
batch_sizes: [128, 512]
seeds: [11, 12]
reference: tuned
margin: 0.99
baseline: {batch_size: 32, optimizer: momentum, lr: 0.02}
arms:
  - name: tuned
    method: sobol
    trials: 24
    space: {lr: {low: 0.01, high: 1, scale: log}}
    stop: 0.1
  - {name: longer, method: sqrt, epochs: 24}
  - {name: sqrt, method: sqrt}
"""
EARLIEST = 16
"""The first look at which 24 trials allow a chance below 0.1."""
NO_STOP = ("    stop: 0.1\n", "")


def study(*edits: tuple[str, str]) -> Study:
    return edited(TEXT, *edits)


def hopeless(trial: Trial) -> float:
    """Return a score that is far below the rule's at the batch size of 512 alone."""
    if trial.role == "confirmation" or trial.arm != "tuned":
        return 0.9 if trial.arm == "sqrt" else 0.6
    return (0.5 if trial.batch_size == 512 else 0.95) + trial.config.schedule.peak_lr / 100


def searched(trials: list[Trial], batch_size: int = 512) -> int:
    return len([t for t in trials if (t.arm, t.role, t.batch_size) == ("tuned", "search", batch_size)])


def compared(study: Study, results: dict[str, TrialResult]) -> Comparison:
    facts = facts_of(study, metric="accuracy", higher_is_better=True, chance_score=0.1)
    return compare(facts, list(results.values()))


def test_a_hopeless_search_ends_and_its_choice_is_confirmed() -> None:
    done = execute(Campaign(study()), hopeless)
    assert (searched(done.asked, 128), searched(done.asked, 512)) == (24, EARLIEST)
    best = max(done.of("tuned", "search", 512), key=hopeless)
    assert [best.params] * 2 == [trial.params for trial in done.of("tuned", "confirmation", 512)]
    assert searched(execute(Campaign(study(NO_STOP)), hopeless).asked) == 24


@pytest.mark.parametrize("num_workers", [2, 5, 30])
def test_neither_workers_nor_a_stop_of_the_study_change_where_a_search_ends(num_workers: int) -> None:
    expected = execute(Campaign(study()), hopeless).ids()
    for seed in range(3):
        assert execute(Campaign(study()), hopeless, num_workers=num_workers, seed=seed).ids() == expected
        part = execute(Campaign(study()), hopeless, num_workers=num_workers, seed=seed, stop_after=9 + 11 * seed)
        rest = execute(Campaign(study(), part.results), hopeless, known=part.results, num_workers=3, seed=seed)
        assert rest.ids() == expected


def test_the_rule_is_asked_for_before_the_search_which_waits_for_it_at_a_look() -> None:
    campaign = Campaign(study(("batch_sizes: [128, 512]", "batch_sizes: [512]")))
    assert [cell.arm for cell in campaign.cells] == ["baseline", "sqrt", "tuned", "longer"]
    asked = []
    while isinstance(trial := campaign.ask(), Trial):
        asked.append(trial)
    assert [trial.arm for trial in asked[:2]] == ["sqrt", "sqrt"]
    assert searched(asked) == 8
    for trial in asked[1:]:
        campaign.tell(result(trial, hopeless(trial)))
    assert campaign.ask() == "wait"
    campaign.tell(result(asked[0], 0.9))
    following = campaign.ask()
    assert isinstance(following, Trial)
    assert (following.arm, following.index) == ("tuned", 8)


def lucky_once(trial: Trial) -> float:
    return 0.95 if (trial.role, trial.index) == ("search", 2) else hopeless(trial)


def all_the_same(trial: Trial) -> float:
    return 0.5 if trial.role == "search" else 0.9


@pytest.mark.parametrize("score", [lucky_once, all_the_same])
def test_a_search_goes_on_where_a_trial_beats_the_rule_or_scores_say_nothing(score: Score) -> None:
    assert searched(execute(Campaign(study()), score).asked) == 24


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_rule_that_lost_a_seed_is_no_measure(status: str) -> None:
    def make(trial: Trial, score: float | None) -> TrialResult:
        if (trial.arm, trial.config.seed) != ("sqrt", 12):
            return result(trial, score)
        return result(trial, None) if status == "failed" else result(trial, 0.9, status="diverged")

    assert searched(execute(Campaign(study()), hopeless, make=make).asked) == 24


def test_a_retried_confirmation_of_the_rule_ends_no_search_that_went_on() -> None:
    def fails(trial: Trial) -> float | None:
        return None if (trial.arm, trial.config.seed, trial.batch_size) == ("sqrt", 12, 512) else hopeless(trial)

    first = execute(Campaign(study()), fails).results
    assert searched([run.trial for run in first.values()]) == 24
    failed = {key: run for key, run in first.items() if run.status == "failed"}
    known = {key: run for key, run in first.items() if key not in failed}
    again = execute(Campaign(study(), known, failed), hopeless, known=known)
    assert (again.ids(), set(again.results)) == (set(first), set(failed))


def test_a_budget_is_not_taken_for_an_early_end() -> None:
    spent = study(("arms:\n", "budget: {trials: 36}\narms:\n"))
    results = completed(spent, hopeless)
    assert searched([run.trial for run in results.values()]) == 12
    assert [one.ended for one in compared(spent, results).searches] == [None, None]


def test_where_lower_is_better_the_rule_is_a_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    lower = replace(APPLICATIONS["lenet_mnist"], higher_is_better=False)
    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", lower)
    assert searched(execute(Campaign(study()), lambda trial: 2 - hopeless(trial)).asked) == EARLIEST
    assert searched(execute(Campaign(study()), hopeless).asked) == 24


# -- what is told ------------------------------------------------------------------------------------------------------


def test_the_answer_says_why_a_search_ended_and_what_was_not_spent() -> None:
    found = compared(study(), completed(study(), hopeless))
    (at_512,) = [one for one in found.searches if one.batch_size == 512]
    assert at_512.ended is not None
    assert (at_512.num_trials, at_512.num_left, at_512.ended.device_seconds) == (16, 8, 80.0)
    assert describe_searches(found)[0] == (
        "tuned at B=512 ended early, after 16 of 24 trials: the chance that one of the 8 left would validate better "
        "than sqrt (90.00%) by more than 1% of that was estimated at 8%, below the level of 10%. Not spent: 8 "
        "trainings, about 80 device-seconds at the mean of the others."
    )


def test_bill_and_trials_to_match_count_what_was_spent() -> None:
    row = compared(study(), completed(study(), hopeless)).row("sqrt", 512)
    reference = compared(study(), completed(study(), hopeless)).row("tuned", 512)
    assert reference.bill is not None
    assert reference.bill["trials"] == EARLIEST
    assert row.effort is not None
    assert (row.effort.trials, row.effort.num_trials) == (None, EARLIEST)


def test_what_is_told_can_be_written_as_json() -> None:
    found = json.loads(format_json("comparison", asdict(compared(study(), completed(study(), hopeless)))))
    assert found["facts"]["early_ends"]["tuned"]["arm"] == "sqrt"
    assert found["searches"][1]["ended"]["chance"] == pytest.approx(0.08)


def test_an_unfinished_search_is_not_told_as_ended() -> None:
    results = {key: run for key, run in completed(study(), hopeless).items() if run.trial.role != "confirmation"}
    assert [one.ended for one in compared(study(), results).searches] == [None, None]


def test_optunas_terminator_ends_a_search_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminator, "is_within_regret_bound", lambda found, **_: len(found.trials) >= 12)
    ended = study(("method: sobol", "method: optuna"), ("stop: 0.1", "terminator: regret_bound"))
    results = completed(ended, hopeless)
    assert searched([run.trial for run in results.values()]) == 12
    assert describe_searches(compared(ended, results))[1] == (
        "tuned at B=512 ended early, after 12 of 24 trials: by Optuna's terminator regret_bound, more trials could "
        "hardly improve on the best one's accuracy by more than 1% of it. Not spent: 12 trainings, about 120 "
        "device-seconds at the mean of the others."
    )
    limited = study(
        ("method: sobol", "method: optuna"),
        ("stop: 0.1", "terminator: regret_bound"),
        ("arms:\n", "budget: {trials: 99}\narms:\n"),
    )
    assert [one.ended for one in compared(limited, results).searches] == [None, None]


def test_plan_and_report_say_that_a_search_may_end_early() -> None:
    plan = plan_as_json(study(), Plan([]))
    assert plan["early_ends"] == (
        "tuned may end early: after every 4 trials, from the 8th on, where the chance is below 10% that one of the "
        "trials left validates better than sqrt by more than 1% of its score. sqrt is trained before it.",
    )
    assert format_arm(study(), study().arm("tuned")).endswith(
        "; ends after every 4 trials, from the 8th on, where the chance is below 10% that one of the trials left "
        "validates better than sqrt by more than 1% of its score"
    )


# -- the key -----------------------------------------------------------------------------------------------------------


def test_a_study_without_the_key_is_what_it_was() -> None:
    assert study(NO_STOP).fingerprint == "7eeb06b2b59d"
    assert study(("stop: 0.1", "stop: null")).fingerprint == "7eeb06b2b59d"


def test_the_records_say_what_a_search_is_held_against() -> None:
    stop = {"level": 0.1, "arm": "sqrt", "every": 4}
    assert study().resolved()["arms"][0]["stop"] == stop
    assert study(("stop: 0.1", "stop: {level: 0.1, arm: sqrt}")).fingerprint == study().fingerprint
    assert read_definition(study().resolved()).arm("tuned").stop == StopDefinition(level=0.1, arm="sqrt", every=4)


REFUSED = {
    "stop: 1.0": "must be below 1, got 1.0.",
    "stop: {level: 0.1, arm: longer}": "unknown rule that trains 12 epochs 'longer': Known: sqrt.",
    "stop: 0.04": "has no effect: of 24 trials, looked at every 4 from the 8th on, the chance is stated as 0.04 at "
    "least, got level 0.04: raise the level or the trials, or leave it out.",
    "stop: 0.1\n    repeats: 2": "cannot be combined with repeats: 2, which compare searches of one length: leave one "
    "out.",
    "terminator: regret_bound": "has no effect with method sobol: leave it out (for optuna, gp).",
}


@pytest.mark.parametrize("stated", REFUSED)
def test_an_early_end_that_cannot_be_is_refused(stated: str) -> None:
    with pytest.raises(BadInput) as refused:
        study(("stop: 0.1", stated))
    assert str(refused.value).endswith(REFUSED[stated])


def test_a_search_without_an_arm_to_beat_or_of_a_grid_is_refused() -> None:
    with pytest.raises(BadInput, match=r"needs an arm to beat, a rule that trains 12 epochs as this arm does"):
        study(("  - {name: sqrt, method: sqrt}\n", ""))
    with pytest.raises(BadInput, match=r"arms\[0\].stop: has no effect with method grid"):
        study(("method: sobol\n    trials: 24", "method: grid"))
