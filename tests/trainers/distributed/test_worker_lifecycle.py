"""Trainings of several workers end early, diverge, resume and fail on all workers alike."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.trainers.distributed.trainings import NEEDS_GLOO, TwoWorkers, language_model, learned, lenet, trained
from zerotune.trainers import loop
from zerotune.trainers.distributed.data_parallel import ProcessGroup
from zerotune.trainers.distributed.local_workers import WorkerLost
from zerotune.trainers.loop import Training, train
from zerotune.trainers.spec import Placement, Recipe, ScheduleSpec

pytestmark = NEEDS_GLOO


def test_a_training_diverges_on_all_workers(workers: TwoWorkers) -> None:
    config = lenet(batch_size=30, schedule=ScheduleSpec(peak_lr=1e30), recipe=Recipe())
    training = trained(config, Placement(), workers.start_training(config, Placement()))
    assert training.result().status == "diverged"
    again = lenet(epochs=1)  # the workers are at hand for the next one
    assert trained(again, Placement(), workers.start_training(again, Placement())).result().status == "finished"


@pytest.mark.parametrize(("application", "number"), [("unscored", "accuracy"), ("half_scored", "top5")])
def test_all_workers_end_at_a_score_that_only_the_first_one_knows(
    workers: TwoWorkers, application: str, number: str
) -> None:
    config = lenet(application=application)
    training = trained(config, Placement(), workers.start_training(config, Placement()))
    assert training.result().divergence == f"the validation {number} is nan in epoch 1"
    again = lenet(epochs=1)
    assert trained(again, Placement(), workers.start_training(again, Placement())).result().status == "finished"


def test_a_training_may_be_stopped_early(workers: TwoWorkers) -> None:
    config = lenet()
    training = Training(config, Placement(), workers.start_training(config, Placement()))
    training.run_epoch()
    training.stop()
    assert trained(config, Placement(), workers.start_training(config, Placement())).result().status == "finished"


def test_seconds_are_summed_over_the_workers(workers: TwoWorkers) -> None:
    config = lenet(epochs=1)
    training = Training(config, Placement(), workers.start_training(config, Placement()))
    begin = time.perf_counter()
    metrics = training.run_epoch()
    passed = time.perf_counter() - begin
    assert passed / 2 <= metrics.device_seconds / 2 <= passed
    assert metrics.samples == 330


def test_train_starts_the_other_workers(workers: TwoWorkers, text_folder: Path) -> None:
    workers.close()
    config, folder = language_model("momentum"), str(text_folder)
    alone = train(config, Placement(data_folder=folder))
    together = train(config, Placement(data_folder=folder, num_workers=3))
    assert together.num_workers == 3
    for one, two in zip(learned(alone), learned(together), strict=True):
        assert two == pytest.approx(one, rel=1e-8)
    assert train(config, Placement(data_folder=folder, num_workers=2), lambda metrics: False).status == "running"


def test_a_training_resumes_from_its_checkpoint_with_the_same_samples(workers: TwoWorkers, tmp_path: Path) -> None:
    config = lenet(epochs=3)
    placement = Placement(checkpoint=str(tmp_path / "a.pt"), checkpoint_seconds=0.0)
    whole = trained(config, Placement(), workers.start_training(config, Placement())).result()
    first = Training(config, placement, workers.start_training(config, placement))
    first.run_epoch()
    first.stop()
    assert (tmp_path / "a.pt").exists()
    resumed = trained(config, placement, workers.start_training(config, placement)).result()
    assert resumed.resumed_epochs == 1
    assert learned(resumed) == learned(whole)  # to the bit
    assert not (tmp_path / "a.pt").exists()


def test_after_a_lost_worker_the_next_attempt_resumes_from_the_checkpoint(workers: TwoWorkers, tmp_path: Path) -> None:
    config = lenet(epochs=3)
    placement = Placement(checkpoint=str(tmp_path / "a.pt"), checkpoint_seconds=0.0)
    training = Training(config, placement, workers.start_training(config, placement))
    training.run_epoch()
    os.kill(workers.children[0].process.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError):
        training.run_epoch()
    with pytest.raises(WorkerLost, match=r"^worker 1 of 2 was lost$"):
        workers.failure()
    workers.close()
    resumed = trained(config, placement, workers.start_training(config, placement)).result()
    assert resumed.resumed_epochs == 1
    whole = trained(config, Placement(), ProcessGroup()).result()
    for one, two in zip(learned(whole), learned(resumed), strict=True):
        assert two == pytest.approx(one, rel=1e-8)


def test_workers_that_do_not_all_read_the_checkpoint_are_stopped(
    workers: TwoWorkers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = lenet(epochs=3)
    placement = Placement(checkpoint=str(tmp_path / "a.pt"), checkpoint_seconds=0.0)
    first = Training(config, placement, workers.start_training(config, placement))
    first.run_epoch()
    first.stop()
    monkeypatch.setattr(loop, "restore_checkpoint", lambda *_: None)
    with pytest.raises(RuntimeError, match=r"a\.pt: one worker could read this checkpoint and another could not\.$"):
        Training(config, placement, workers.start_training(config, placement))
    assert "one worker could read this checkpoint" in (workers.failure() or "")
    workers.close()


def test_the_failure_of_another_worker_is_reported(workers: TwoWorkers) -> None:
    config = lenet()
    process_group = workers.start_training(replace(config, data="no such data"), Placement())
    with pytest.raises(RuntimeError):
        trained(config, Placement(), process_group)
    assert "no such data" in (workers.failure() or "")
    workers.close()
