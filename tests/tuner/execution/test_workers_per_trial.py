"""Trials that several workers train together, under every driver: results, failures and costs."""

import os
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch.distributed

from tests.tuner.execution.agendas import NUM_TRAIN, ListAgenda, make_trial
from zerotune.trainers import loop
from zerotune.trainers.spec import EpochMetrics, Placement
from zerotune.tuner.execution.ray.tune_worker import run_ray
from zerotune.tuner.execution.serial import run_serial
from zerotune.tuner.execution.trial_runner import Execution, TrialRunner
from zerotune.tuner.trial import Trial

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="this build of torch has no gloo, which workers on CPUs need",
)

PLAIN = make_trial(0, epochs=2)
HIT = make_trial(1, epochs=4)
PRUNED = make_trial(2, epochs=5)
WITHOUT_DATA = make_trial(3, data="nowhere")
AFTER = make_trial(4)
TRIALS = [PLAIN, HIT, PRUNED, WITHOUT_DATA, AFTER]


def kill_a_worker() -> int:
    """Kill one worker other than rank 0."""
    for child in psutil.Process().children(recursive=True):
        words = " ".join(child.cmdline())
        if "zerotune.trainers.distributed.worker_process" in words or child.name().startswith("ray::WorkerActor"):
            os.kill(child.pid, signal.SIGKILL)
            return 1
    return 0


class Careful(Execution):
    """Write a checkpoint after every epoch of a trial."""

    def placement(self, trial: Trial) -> Placement:
        return replace(super().placement(trial), checkpoint_seconds=0.0)


class Ran:
    """Results of a driver for TRIALS with two workers each; a worker of HIT was killed after its second epoch."""

    def __init__(self, driver: Any, checkpoints: Path) -> None:
        self.num_killed = 0
        self.agenda = ListAgenda(TRIALS, pruned_at={PRUNED.id: 2, HIT.id: 99})
        self.agenda.on_report = self.hit
        execution = Careful(checkpoints=checkpoints, workers_per_trial=2, max_concurrent=1)
        driver(self.agenda, execution)

    def hit(self, trial: Trial, new_epochs: Sequence[EpochMetrics]) -> None:
        if trial == HIT and new_epochs[-1].epoch == 2 and not self.num_killed:
            self.num_killed = kill_a_worker()


@pytest.fixture(scope="module", params=["serial", pytest.param("ray", marks=pytest.mark.ray)])
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    driver = run_serial if request.param == "serial" else run_ray
    if driver == run_ray:
        request.getfixturevalue("shared_head")
    return Ran(driver, tmp_path_factory.mktemp("checkpoints"))


def test_every_trial_has_exactly_one_result(ran: Ran) -> None:
    assert dict.fromkeys((trial.id for trial in TRIALS), 1) == Counter(r.trial.id for r in ran.agenda.results)
    assert ran.num_killed == 1


def test_the_numbers_are_those_of_one_worker_to_rounding(ran: Ran) -> None:
    for trial in (PLAIN, HIT, AFTER):
        alone = TrialRunner(trial, Placement()).advance(600.0).training
        result = ran.agenda.result(trial)
        assert alone is not None
        assert (result.status, result.num_workers) == ("finished", 2)
        assert [epoch.samples for epoch in result.epochs] == [epoch.samples for epoch in alone.epochs]
        for one, two in zip(alone.epochs, result.epochs, strict=True):
            assert two.train_loss == pytest.approx(one.train_loss, rel=1e-4)
        assert result.validation_score == pytest.approx(alone.validation_score, abs=0.01)


def test_a_trial_that_lost_a_worker_goes_on_from_its_checkpoint(ran: Ran) -> None:
    epochs = [epoch.epoch for trial, new_epochs in ran.agenda.reported if trial == HIT for epoch in new_epochs]
    assert epochs == [1, 2, 3]  # the last one comes with the result
    assert [epoch.epoch for epoch in ran.agenda.result(HIT).epochs] == [1, 2, 3, 4]
    assert ran.agenda.result(HIT).cost.samples == 4 * NUM_TRAIN


def test_a_trial_may_be_pruned_and_the_workers_go_on(ran: Ran) -> None:
    assert ran.agenda.result(PRUNED).status == "pruned"
    assert ran.agenda.result(AFTER).status == "finished"


def test_a_trial_that_fails_says_why(ran: Ran) -> None:
    result = ran.agenda.result(WITHOUT_DATA)
    assert (result.status, result.num_workers) == ("failed", 2)
    assert "nowhere" in (result.error or "")


def test_a_batch_is_shared_by_two_workers(ran: Ran) -> None:
    result = ran.agenda.result(PLAIN)
    assert (result.micro_batch_size, result.accumulation_steps) == (PLAIN.batch_size // 2, 1)


def test_a_second_of_two_workers_is_two_device_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock advances one second whenever it is read: the setup takes one second, and so does every epoch."""
    looks = count()
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: float(next(looks))))
    agenda = ListAgenda([PLAIN])
    run_serial(agenda, Execution(workers_per_trial=2))
    (result,) = agenda.results
    assert [epoch.device_seconds for epoch in result.epochs] == [2.0, 2.0]
    assert result.cost.device_seconds == 2.0 + 2 * 2.0
