"""Which trials the Ray driver trains at once, without Ray: the test speaks for the workers."""

import pytest

from tests.tuner.execution.agendas import ListAgenda, make_trial
from tests.tuner.execution.simulated_workers import (
    FAST_IN_FOURS,
    FIVE,
    OTHERS,
    Workers,
    make_update,
    packs,
    searched_recipes,
)
from zerotune.trainers.packing.benchmark import PackSpeed
from zerotune.tuner.execution.ray.messages import BenchmarkResult, BenchmarkTask, Idle, ProgressUpdates
from zerotune.tuner.execution.trial_runner import PackSetting


def test_trials_of_one_form_are_shared_out_to_the_idle_workers_in_packs() -> None:
    workers = Workers(ListAgenda([*FIVE, *OTHERS]), packing=4)
    agenda_waits = workers.agenda.ask
    workers.agenda.ask = lambda: "wait"  # type: ignore[method-assign]
    workers.ready("one")
    workers.ready("two")
    workers.agenda.ask = agenda_waits  # type: ignore[method-assign]
    workers.send("one", Idle())
    assert [FIVE[:3]] == packs(workers, "one")
    assert [FIVE[3:]] == packs(workers, "two")
    assert workers.agenda.begun == FIVE
    workers.send("two", ProgressUpdates({trial.id: make_update(2, of=2) for trial in FIVE[3:]}))
    assert [FIVE[3:], OTHERS] == packs(workers, "two")


def test_packs_are_measured_once_on_a_worker_before_trials_of_that_form_are_given_out() -> None:
    workers = Workers(ListAgenda([*FIVE]), packing="auto")
    workers.ready("one")
    workers.ready("two")
    (request,) = workers.post.items["one"]
    assert (BenchmarkTask, FIVE[0]) == (type(request), request.trial)
    assert "two" not in workers.post.items
    workers.send("one", BenchmarkResult(speed=FAST_IN_FOURS))
    assert [(FIVE[0], FAST_IN_FOURS)] == workers.agenda.measured
    assert ([FIVE[:3]], [FIVE[3:]]) == (packs(workers, "two"), packs(workers, "one"))


def test_a_pack_that_would_be_too_small_to_pay_is_not_made() -> None:
    workers = Workers(ListAgenda(FIVE[:3]), packing="auto")
    workers.ready("one")
    workers.ready("two")
    workers.send("one", BenchmarkResult(speed=PackSpeed(device="cpu", alone=1.0, packed={2: 1.3, 4: 0.5})))
    assert ([FIVE[:1]], [FIVE[1:2]]) == (packs(workers, "two"), packs(workers, "one"))


def test_packs_are_measured_once_for_all_values_of_a_searched_recipe() -> None:
    """Label smoothing and clipping cost the same at any value; turning them on is another workload."""
    trials = [*searched_recipes(FIVE[:3], clipped=True), *searched_recipes(FIVE[3:4], clipped=False), FIVE[4]]
    workers = Workers(ListAgenda(trials), packing="auto")
    workers.ready("one")
    for trial in trials:
        if trial in (trials[0], *trials[3:]):
            assert (BenchmarkTask, trial) == (type(workers.post.items["one"][-1]), workers.post.items["one"][-1].trial)
            workers.send("one", BenchmarkResult(speed=FAST_IN_FOURS))
        assert packs(workers, "one")[-1] == [trial]
        workers.report_progress("one", make_update(2, of=2, seconds=100.0))
    assert workers.agenda.measured == [(trial, FAST_IN_FOURS) for trial in (trials[0], *trials[3:])]


@pytest.mark.parametrize("death", [True, False], ids=["the worker dies", "nothing could be measured"])
def test_where_packs_cannot_be_measured_trials_are_trained_alone(death: bool) -> None:
    workers = Workers(ListAgenda([*FIVE]), packing="auto")
    workers.ready("one")
    workers.ready("two")
    if death:
        workers.die("one")
    else:
        workers.send("one", BenchmarkResult(speed=None))
    assert [FIVE[:1]] == packs(workers, "two")
    assert [] == workers.agenda.measured


def test_the_trials_of_a_lost_pack_are_trained_alone() -> None:
    workers = Workers(ListAgenda([*FIVE]), packing=3)
    workers.ready("one")
    workers.die("one")
    workers.ready("one", "again")
    assert [FIVE[2:3]] == packs(workers, "again")


def test_a_training_of_a_pack_that_ended_is_reported_at_once_and_its_worker_kept() -> None:
    workers = Workers(ListAgenda([*FIVE]), packing=3)
    workers.ready("one")
    workers.send(
        "one",
        ProgressUpdates(
            {FIVE[0].id: make_update(2, of=2), FIVE[1].id: make_update(1, of=2), FIVE[2].id: make_update(1, of=2)}
        ),
    )
    assert [FIVE[0]] == [result.trial for result in workers.agenda.results]
    assert [FIVE[:3]] == packs(workers, "one")
    workers.send("one", ProgressUpdates({FIVE[1].id: make_update(2, of=2), FIVE[2].id: make_update(2, of=2)}))
    assert [FIVE[:3], FIVE[3:]] == packs(workers, "one")


def test_trials_that_may_be_pruned_are_in_no_pack() -> None:
    workers = Workers(ListAgenda([*FIVE], pruned_at={FIVE[0].id: 99, FIVE[2].id: 99}), packing=4)
    workers.ready("one")
    assert [FIVE[:1]] == packs(workers, "one")
    workers.report_progress("one", make_update(2, of=2))
    assert [FIVE[:1], FIVE[1:2]] == packs(workers, "one")


@pytest.mark.parametrize("packing", ["off", 1, "auto"])
def test_large_batches_on_a_cpu_are_neither_packed_nor_measured(packing: PackSetting) -> None:
    large, other = make_trial(0, epochs=2), make_trial(1, epochs=2)
    workers = Workers(ListAgenda([large, other]), packing=packing)
    workers.ready("one")
    assert [[large]] == packs(workers, "one")
