"""Searches that start from what they chose at the next smaller batch size."""

import pytest

from tests.campaigns import by_lr, completed, execute
from tests.tuner.study.example_study import edited
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.errors import BadInput
from zerotune.tuner.search.method import Proposal
from zerotune.tuner.search.optuna_search import OptunaSearch
from zerotune.tuner.study import Study
from zerotune.tuner.study.comprehensive import RULE
from zerotune.tuner.study.search_space import Float
from zerotune.tuner.trial import Trial, TrialResult

TEXT = """\
name: example
application: lenet_mnist
data: {source: mnist5k}
epochs: 12
batch_sizes: [128, 256, 1024]
seeds: [11, 12]
reference: tuned
baseline: {batch_size: 32, lr: 0.02, optimizer: momentum}
arms:
  - {name: tuned, method: METHOD, trials: 8, start_from: neighbour}
  - {name: constant, method: constant}
"""
SPACE = ", space: {lr: {low: 0.005, high: 0.5, scale: log}, momentum: {low: 0.8, high: 0.98}}"
METHODS = {"random": SPACE, "sobol": SPACE, "optuna": SPACE, "comprehensive": ""}


def study(method: str, *edits: tuple[str, str]) -> Study:
    keys = "trials: 8, start_from: neighbour"
    return edited(TEXT, (f"METHOD, {keys}", f"{method}, {keys}{METHODS[method]}"), *edits)


def searched(results: dict[str, TrialResult], batch_size: int, repeat: int = 0) -> list[TrialResult]:
    own = [one for one in results.values() if (one.trial.arm, one.trial.batch_size) == ("tuned", batch_size)]
    trials = [one for one in own if one.trial.role != "confirmation" and one.trial.repeat == repeat]
    return sorted(trials, key=lambda one: one.trial.index)


def choice(results: dict[str, TrialResult], batch_size: int, repeat: int = 0) -> Trial:
    own = (one.trial for one in results.values() if one.trial.role == "confirmation" and one.trial.arm == "tuned")
    return next(trial for trial in own if (trial.batch_size, trial.repeat) == (batch_size, repeat))


@pytest.mark.parametrize("method", METHODS)
def test_a_search_first_tries_its_choice_at_the_next_smaller_batch_size_scaled_by_sqrt(method: str) -> None:
    results = completed(study(method), by_lr)
    for smaller, larger, root in ((128, 256, 2**0.5), (256, 1024, 2.0)):
        chosen, trials = choice(results, smaller).params, searched(results, larger)
        assert len(trials) == 8  # the start is one of them
        assert trials[0].trial.params == {**chosen, "lr": pytest.approx(chosen["lr"] * root)}


def test_a_gaussian_process_starts_there_and_goes_on_with_its_sobol_points() -> None:
    space = {"lr": Float(low=0.01, high=1.0, scale="log")}
    anew, started = (OptunaSearch(space, sampler="gp", trials=4, seed=1, epochs=1) for _ in range(2))
    started.start_from({"lr": 0.3})
    points, others = ([search.ask() for _ in range(4)] for search in (anew, started))
    assert [one.params for one in others if isinstance(one, Proposal)] == [
        {"lr": 0.3},
        *(one.params for one in points[:3] if isinstance(one, Proposal)),
    ]


def test_a_start_outside_the_range_is_moved_to_its_end() -> None:
    narrow = study("sobol", ("high: 0.5", "high: 0.04"))
    results = completed(narrow, lambda trial: trial.config.schedule.peak_lr)  # the largest learning rate is the best
    assert searched(results, 1024)[0].trial.params["lr"] == 0.04


def test_a_search_waits_for_its_neighbour_and_for_nothing_else() -> None:
    campaign = Campaign(study("random"))
    asked = []
    while isinstance(trial := campaign.ask(), Trial):
        asked.append(trial)
    assert trial == "wait"
    assert {(t.arm, t.batch_size) for t in asked if t.role == "search"} == {("tuned", 128)}
    assert {t.batch_size for t in asked if t.arm == "constant"} == {128, 256, 1024}


def test_every_repeat_starts_from_its_own_neighbour() -> None:
    results = completed(study("random", ("trials: 8", "trials: 8, repeats: 2")), by_lr)
    first, second = (choice(results, 128, repeat).params["lr"] for repeat in (0, 1))
    assert first != second
    for repeat, lr in enumerate((first, second)):
        assert searched(results, 256, repeat)[0].trial.params["lr"] == pytest.approx(lr * 2**0.5)


def test_a_neighbour_without_a_choice_leaves_the_search_to_itself() -> None:
    results = completed(study("random"), lambda trial: None if trial.batch_size == 128 else by_lr(trial))
    alone = completed(study("random", (", start_from: neighbour", "")), by_lr)
    assert [one.trial.id for one in searched(results, 256)] == [one.trial.id for one in searched(alone, 256)]


def test_a_rule_that_was_chosen_proposes_its_own_at_the_larger_batch_size() -> None:
    results = completed(study("comprehensive"), lambda trial: 0.9 if RULE in trial.params else 0.1)
    assert RULE in choice(results, 128).params
    assert [RULE in one.trial.params for one in searched(results, 256)].count(True) == 1


def test_a_resumed_and_a_retried_study_meet_the_same_trials() -> None:
    def score(trial: Trial) -> float | None:
        return None if (trial.batch_size, trial.role, trial.index) == (128, "search", 3) else by_lr(trial)

    complete = completed(study("optuna"), score)
    half = dict(list(complete.items())[: len(complete) // 2])
    assert completed(study("optuna"), score, known=half).keys() == complete.keys()
    failed = next(key for key, one in complete.items() if one.status == "failed")
    known = {key: one for key, one in complete.items() if key != failed}
    campaign = Campaign(study("optuna"), complete, {failed: complete[failed]})
    again = execute(campaign, lambda trial: 2.0 if trial.id == failed else by_lr(trial), known=known)
    assert {trial.id for trial in again.asked if trial.role != "confirmation"} == {
        key for key, one in complete.items() if one.trial.role != "confirmation"
    }


def test_a_study_without_a_start_keeps_its_fingerprint_and_a_start_changes_it() -> None:
    plain = study("random", (", start_from: neighbour", ""))
    assert "start_from" not in plain.resolved()["arms"][0]
    assert study("random").resolved()["arms"][0]["start_from"] == "neighbour"
    assert study("random").fingerprint != plain.fingerprint
    with pytest.raises(BadInput, match="start_from: has no effect with method constant: leave it out"):
        study("random", ("method: constant", "method: constant, start_from: neighbour"))
