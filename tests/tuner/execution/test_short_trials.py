"""Trials shorter than the time between two updates are dispatched several at a time, and trained in turn."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray import cloudpickle

from tests.tuner.execution.agendas import SINGLE_WORKER, ListAgenda, make_trial, without_seconds
from tests.tuner.execution.simulated_workers import (
    FAST_IN_FOURS,
    Workers,
    make_update,
    packs,
    searched_recipes,
    small_batch,
)
from zerotune.trainers.spec import Placement
from zerotune.tuner.execution.ray.messages import UPDATE_SECONDS, Assignment, BenchmarkResult, Idle, ProgressUpdates
from zerotune.tuner.execution.ray.tune_worker import TuneWorker
from zerotune.tuner.execution.trial_runner import PackSetting, TrialRunner
from zerotune.tuner.trial import Trial

SHORT = UPDATE_SECONDS / 3
TRIALS = [make_trial(index, epochs=2) for index in range(8)]


def ended(trials: list[Trial], seconds: float) -> ProgressUpdates:
    return ProgressUpdates({trial.id: make_update(2, of=2, seconds=seconds) for trial in trials})


def test_as_many_are_handed_out_as_fill_a_slice_once_one_has_shown_how_long_they_take() -> None:
    workers = Workers(ListAgenda(TRIALS))
    workers.ready("one")
    workers.send("one", ended(TRIALS[:1], SHORT))
    assert packs(workers, "one") == [TRIALS[:1], TRIALS[1:4]]
    assert not any(item.as_pack for item in workers.post.items["one"])
    workers.send("one", ended(TRIALS[1:4], 2 * UPDATE_SECONDS))
    assert packs(workers, "one")[2:] == [TRIALS[4:5]]
    assert [result.trial for result in workers.agenda.results] == TRIALS[:4]


@pytest.mark.parametrize("end", ["diverged", "failed"])
def test_a_trial_that_did_not_get_to_its_end_does_not_show_how_long_they_take(end: str) -> None:
    short = make_update(1, of=2, seconds=SHORT, error="ValueError: no" if end == "failed" else None)
    assert short.training is not None
    if end == "diverged":
        short = replace(short, training=replace(short.training, status="diverged"))
    workers = Workers(ListAgenda(TRIALS))
    workers.ready("one")
    workers.report_progress("one", short)
    if end == "failed":
        workers.die("one")
        workers.ready("one")
    assert packs(workers, "one") == [TRIALS[:1], TRIALS[1:2]]
    assert [result.status for result in workers.agenda.results] == [end]


def test_those_that_a_worker_holds_when_one_fails_are_trained_by_a_new_process() -> None:
    workers = Workers(ListAgenda(TRIALS))
    workers.ready("one")
    workers.send("one", ended(TRIALS[:1], SHORT))
    assert packs(workers, "one")[1:] == [TRIALS[1:4]]
    workers.send("one", ProgressUpdates({TRIALS[1].id: make_update(1, of=2, error="ValueError: no")}))
    workers.die("one")
    workers.ready("one", "anew")
    assert packs(workers, "anew")[0][0] in TRIALS[2:4]


@pytest.mark.parametrize("packing", ["off", "auto", 4])
def test_trials_of_a_searched_recipe_are_of_one_kind_also_where_no_two_can_be_in_one_pack(packing: PackSetting) -> None:
    trials = searched_recipes([small_batch(index) for index in range(5)], clipped=True)
    workers = Workers(ListAgenda(trials), packing=packing)
    workers.ready("one")
    if packing == "auto":
        workers.send("one", BenchmarkResult(speed=FAST_IN_FOURS))
    assert packs(workers, "one") == [trials[:1]]
    workers.send("one", ended(trials[:1], SHORT))
    assert packs(workers, "one") == [trials[:1], trials[1:4]]
    assert not any(item.as_pack for item in workers.post.items["one"] if isinstance(item, Assignment))


def test_of_those_that_a_worker_holds_only_the_one_that_is_trained_is_reported_to_have_begun() -> None:
    workers = Workers(ListAgenda(TRIALS))
    workers.ready("one")
    workers.send("one", ended(TRIALS[:1], SHORT))
    assert packs(workers, "one")[1:] == [TRIALS[1:4]]
    assert workers.agenda.begun == TRIALS[:2]
    workers.send("one", ProgressUpdates({TRIALS[1].id: make_update(1, of=2)}))
    assert workers.agenda.begun == TRIALS[:2]
    workers.send("one", ended(TRIALS[1:3], SHORT))
    assert workers.agenda.begun == [*TRIALS[:2], TRIALS[3]]  # the third began and ended between two updates


def test_the_last_of_them_are_shared_by_all_workers() -> None:
    agenda = ListAgenda(TRIALS[:6])
    workers = Workers(agenda)
    workers.ready("one")
    asked, agenda.ask = agenda.ask, lambda: "wait"  # type: ignore[method-assign]
    workers.ready("two")
    agenda.ask = asked  # type: ignore[method-assign]
    workers.send("one", ended(TRIALS[:1], SHORT))
    assert packs(workers, "two") == [TRIALS[1:4]]
    assert packs(workers, "one") == [TRIALS[:1], TRIALS[4:5]]
    workers.send("one", ended(TRIALS[4:5], SHORT))
    assert packs(workers, "one")[2:] == [TRIALS[5:6]]


@pytest.mark.parametrize("change", ["epochs", "may be pruned"])
def test_another_kind_of_trial_is_not_among_them(change: str) -> None:
    last = TRIALS[2]
    other = replace(last, config=replace(last.config, epochs=3)) if change == "epochs" else last
    pruned_at = {other.id: 99} if change == "may be pruned" else {}
    workers = Workers(ListAgenda([*TRIALS[:2], other, TRIALS[3]], pruned_at=pruned_at))
    workers.ready("one")
    workers.send("one", ended(TRIALS[:1], SHORT))
    assert packs(workers, "one")[1:] == [TRIALS[1:2]]
    workers.send("one", ended(TRIALS[1:2], SHORT))
    assert packs(workers, "one")[2:] == [[other]]


def test_those_of_a_dead_worker_are_done_again_one_by_one() -> None:
    workers = Workers(ListAgenda(TRIALS[:4]))
    workers.ready("one")
    workers.send("one", ended(TRIALS[:1], SHORT))
    workers.die("one")
    for number in range(3):
        workers.ready("one", f"life {number}")
        (given,) = packs(workers, f"life {number}")
        assert len(given) == 1
        workers.send("one", ended(given, SHORT))
        workers.die("one")
    assert sorted(result.trial.index for result in workers.agenda.results) == [0, 1, 2, 3]
    assert {result.status for result in workers.agenda.results} == {"finished"}


def test_a_worker_trains_them_one_after_the_other_to_the_scores_each_has_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed one ends them: the next is for a process in which nothing has failed."""
    trials = [make_trial(0), make_trial(1), make_trial(2, data="nowhere"), make_trial(3)]
    letters = [cloudpickle.dumps(Assignment(trials=tuple(trials), placements=(Placement(),) * 4))]

    def take(name: str, seconds: float) -> Any:
        return letters.pop(0) if letters else None

    monkeypatch.setattr(ray, "get", lambda answer: answer)
    worker = TuneWorker.__new__(TuneWorker)
    worker.setup({"post": SimpleNamespace(take=SimpleNamespace(remote=take)), "worker_group": SINGLE_WORKER})
    worker.step()
    found = {}
    while len(found) < 3:
        found.update(worker.step()["message"].updates)
    assert {"message": Idle()} == worker.step()
    assert [update.error is None for update in found.values()] == [True, True, False]
    for trial in trials[:2]:
        alone = TrialRunner(trial, Placement()).advance(600.0).training
        assert alone is not None
        training = found[trial.id].training
        assert without_seconds(training.epochs) == without_seconds(alone.epochs)
