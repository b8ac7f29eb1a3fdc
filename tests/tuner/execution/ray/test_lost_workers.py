"""A trial with several workers that loses one of them: its result, its cost and its checkpoint."""

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
import torch.distributed
from ray import cloudpickle

from tests.tuner.execution.agendas import NUM_TRAIN, SINGLE_WORKER, ListAgenda, make_trial
from tests.tuner.execution.simulated_workers import Workers, make_update
from zerotune.trainers import checkpoint as checkpoint_module
from zerotune.trainers.distributed.data_parallel import READY_TIMEOUT
from zerotune.trainers.distributed.local_workers import LocalWorkers, WorkerLost
from zerotune.trainers.spec import EpochMetrics, Placement
from zerotune.trainers.updates import Updates
from zerotune.tuner.cost import Cost, device_cost
from zerotune.tuner.execution import serial
from zerotune.tuner.execution.failures import MAX_WORKER_FAILURES
from zerotune.tuner.execution.progress_update import conclude
from zerotune.tuner.execution.ray.dispatcher import Dispatcher
from zerotune.tuner.execution.ray.messages import Assignment
from zerotune.tuner.execution.ray.tune_worker import TuneWorker
from zerotune.tuner.execution.serial import run_serial
from zerotune.tuner.execution.trial_runner import Execution, TrialRunner
from zerotune.tuner.run.journal import Journal

TRIAL = make_trial(0, epochs=4)
BATCH = 500
SHORT = make_trial(1, epochs=2)
SHORT = replace(SHORT, batch_size=BATCH, config=replace(SHORT.config, batch_size=BATCH))
needs_gloo = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="this build of torch has no gloo, which workers on CPUs need",
)


class KeptWorkers(LocalWorkers):
    """Two workers that the next test finds at hand, unless one was lost: starting them takes seconds."""

    def close(self) -> None:
        if any(child.process.poll() is not None for child in self.children):
            super().close()


@pytest.fixture(scope="module")
def kept() -> Iterator[KeptWorkers]:
    workers = KeptWorkers(2)
    yield workers
    LocalWorkers.close(workers)


@pytest.fixture
def others(kept: KeptWorkers, monkeypatch: pytest.MonkeyPatch) -> LocalWorkers:
    """A group of two workers, as the serial driver has too."""
    monkeypatch.setattr(serial, "LocalWorkers", lambda world_size: kept)
    return kept


def kill_the_other(others: LocalWorkers) -> None:
    os.kill(others.children[0].process.pid, signal.SIGKILL)
    others.children[0].process.wait()


@pytest.fixture
def lost_in_epoch_2(others: LocalWorkers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill the other worker once, in the second update of epoch 2, which rank 0 still completes."""
    train, killed = Updates.train, []

    def observe(update: int) -> None:
        if update == NUM_TRAIN // BATCH + 2 and not killed:
            kill_the_other(others)
            killed.append(update)

    def observed(self: Updates, *arguments: Any) -> float:
        self.observer = observe
        return train(self, *arguments)

    monkeypatch.setattr(Updates, "train", observed)


@pytest.mark.parametrize("time_limit", [None, 1e-9])
def test_a_trial_whose_workers_of_rays_are_lost_keeps_their_number(time_limit: float | None) -> None:
    workers = Workers(ListAgenda([TRIAL]))
    execution = Execution(workers_per_trial=3, time_limit=time_limit)
    workers.dispatch = Dispatcher(workers.agenda, execution, workers.post)  # type: ignore[arg-type]
    for _ in range(1 if time_limit else MAX_WORKER_FAILURES):
        workers.ready("one")
        workers.die("one")
    assert [("failed", 3)] == [(result.status, result.num_workers) for result in workers.agenda.results]


def test_a_trial_whose_workers_here_are_lost_keeps_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any) -> None:
        raise WorkerLost("worker 1 of 3 was lost")

    monkeypatch.setattr(LocalWorkers, "start_training", lost)
    agenda = ListAgenda([TRIAL])
    run_serial(agenda, Execution(workers_per_trial=3))
    assert [("failed", 3)] == [(result.status, result.num_workers) for result in agenda.results]


def test_a_trial_that_fails_keeps_how_it_was_trained() -> None:
    update = make_update(1, of=4, error="ValueError: no")
    assert update.training is not None
    training = replace(update.training, num_workers=3, micro_batch_size=50, accumulation_steps=4)
    result = conclude(TRIAL, replace(update, training=training, num_workers=3))
    assert (result.status, result.num_workers) == ("failed", 3)
    assert (result.micro_batch_size, result.accumulation_steps) == (50, 4)
    begun = conclude(TRIAL, replace(update, training=None, num_workers=3))
    assert (begun.status, begun.num_workers) == ("failed", 3)


@needs_gloo
@pytest.mark.parametrize("from_checkpoint", [False, True])
def test_what_an_attempt_cost_that_lost_a_worker_is_billed(
    from_checkpoint: bool, lost_in_epoch_2: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two updates of epoch 2 are billed; epoch 1 too if it is done again, which the journal knows."""
    monkeypatch.setattr(checkpoint_module, "INTERVAL_SECONDS", (0.0, 0.0))
    agenda = ListAgenda([SHORT])
    run_serial(agenda, Execution(workers_per_trial=2, checkpoints=tmp_path if from_checkpoint else None))
    journal = Journal(tmp_path / "journal")
    for trial, new_epochs in agenda.reported:
        journal.progress(trial.id, new_epochs)
    (result,) = agenda.results
    cost = journal.finish(result).cost
    journal.close()
    num_epochs = 2 if from_checkpoint else 3
    assert (result.status, cost.trials, cost.epochs) == ("finished", 1, num_epochs)
    assert cost.samples == num_epochs * NUM_TRAIN + 2 * BATCH
    assert cost.iterations == num_epochs * NUM_TRAIN // BATCH + 2
    assert (cost.words, cost.flops) == (61_706 * cost.iterations, result.epochs[0].flops // NUM_TRAIN * cost.samples)


@needs_gloo
@pytest.mark.parametrize("from_checkpoint", [False, True])
def test_setting_up_is_billed_once(
    from_checkpoint: bool, others: LocalWorkers, lost_in_epoch_2: None, tmp_path: Path
) -> None:
    checkpoint = str(tmp_path / "a.pt") if from_checkpoint else None
    work = TrialRunner(SHORT, Placement(num_workers=2, checkpoint=checkpoint, checkpoint_seconds=0.0), others=others)
    first = work.advance(0.0)
    assert first.training is not None
    assert work._setup.device_seconds >= first.training.setup_seconds
    work._setup = device_cost(1e9)  # so large that it cannot be mistaken for the broken epoch's time
    update = work.advance(0.0)
    assert (update.lost, update.done) == ("worker 1 of 2 was lost", False)
    assert (update.unfinished.device_seconds >= 1e9) == (not from_checkpoint)
    again = work.advance(0.0)
    assert again.training is not None
    assert again.training.resumed_epochs == int(from_checkpoint)
    while not again.done:  # the workers are kept for the next test
        again = work.advance(0.0)


@needs_gloo
def test_a_trial_may_be_pruned_though_a_worker_has_just_died(others: LocalWorkers, tmp_path: Path) -> None:
    pruned, after = make_trial(2, epochs=5), make_trial(3)
    agenda = ListAgenda([pruned, after], pruned_at={pruned.id: 2})

    def on_report(_: object, new_epochs: Sequence[EpochMetrics]) -> None:
        if new_epochs[-1].epoch == 2:
            Path(str(execution.placement(pruned).checkpoint)).touch()
            kill_the_other(others)

    agenda.on_report = on_report
    execution = Execution(workers_per_trial=2, checkpoints=tmp_path)
    run_serial(agenda, execution)
    assert ["pruned", "finished"] == [result.status for result in agenda.results]
    assert [] == list(tmp_path.iterdir())


@needs_gloo
def test_a_pruned_trial_does_not_wait_for_a_worker_whose_death_goes_unnoticed(
    others: LocalWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gloo has a race: a message to a worker that has just died may neither be sent nor fail."""

    def broadcast(*_: object, src: int) -> None:
        assert timeouts == [READY_TIMEOUT]
        raise RuntimeError("Timed out waiting 30000ms for send operation to complete")

    work = TrialRunner(make_trial(4, epochs=5), Placement(num_workers=2), others=others)
    update = work.advance(0.0)
    assert (update.error, update.lost) == (None, None)
    timeouts: list[timedelta] = []
    monkeypatch.setattr(torch.distributed.group.WORLD.__class__, "set_timeout", lambda group, t: timeouts.append(t))
    monkeypatch.setattr(torch.distributed, "broadcast", broadcast)
    closed: list[bool] = []
    monkeypatch.setattr(others, "close", lambda: closed.append(True))
    work.discard()
    assert closed == [True]
    LocalWorkers.close(others)  # they still wait for an answer


def test_what_an_attempt_of_rays_cost_that_lost_a_worker_is_billed() -> None:
    """Rank 0 reports it and then ends."""
    workers = Workers(ListAgenda([TRIAL]))
    workers.ready("one")
    lost = replace(make_update(1, of=4), new_epochs=(), lost="worker 1 of 2 was lost", unfinished=Cost(samples=7))
    workers.report_progress("one", lost)
    assert [] == workers.agenda.reported
    workers.die("one")
    workers.ready("one", "again")
    workers.post.items["one"] = workers.post.items["again"]
    workers.report_progress("one", make_update(4, of=4))
    (result,) = workers.agenda.results
    assert (result.status, result.cost.samples) == ("finished", 1 + 7)


def test_a_worker_of_rays_whose_other_was_lost_tells_it_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any) -> None:
        raise WorkerLost("worker 1 of 2 was lost")

    letter = cloudpickle.dumps(Assignment(trials=(TRIAL,), placements=(Placement(num_workers=2),)))
    monkeypatch.setattr(ray, "get", lambda answer: answer)
    worker = TuneWorker.__new__(TuneWorker)
    worker.setup(
        {"post": SimpleNamespace(take=SimpleNamespace(remote=lambda *_: letter)), "worker_group": SINGLE_WORKER}
    )
    worker._others = SimpleNamespace(start_training=lost, close=lambda: None)
    worker.step()
    (update,) = worker.step()["message"].updates.values()
    assert (update.lost, update.done) == ("worker 1 of 2 was lost", False)
    assert update.unfinished.device_seconds > 0
    with pytest.raises(WorkerLost):
        worker.step()
