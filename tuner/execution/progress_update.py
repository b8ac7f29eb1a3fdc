"""Progress updates of a trial, as a worker sends them, and the result built from the last one.

This module must not know how a trial is trained.
"""

import time
from dataclasses import dataclass, field, replace

from ...trainers.spec import EpochMetrics, TrainResult
from ..cost import Cost, device_cost, epochs_cost, total_cost
from ..trial import Trial, TrialResult, TrialStatus


@dataclass(frozen=True, kw_only=True)
class ProgressUpdate:
    """Progress of a trial since its last update.

    Attributes:
        new_epochs: epochs finished since the last update.
        training: the training so far; None if it failed before it started.
        error: why the trial failed, in one sentence; None if it did not.
        host: name of the machine.
        device: model of the device.
        unfinished: cost of a setup or epoch that did not finish because of an error in the trial, an error in its pack,
            or the loss of a worker.
        warnings: sentences about problems that did not stop the training.
        num_workers: processes that train the trial together.
        lost: one sentence if another worker was lost; training then continues from the checkpoint. Otherwise None.
    """

    new_epochs: tuple[EpochMetrics, ...] = ()
    training: TrainResult | None = None
    error: str | None = None
    host: str = ""
    device: str = ""
    unfinished: Cost = field(default_factory=Cost)
    warnings: tuple[str, ...] = ()
    num_workers: int = 1
    lost: str | None = None

    @property
    def done(self) -> bool:
        """Whether the trial has ended."""
        return self.error is not None or (self.training is not None and self.training.status != "running")


def conclude(trial: Trial, last: ProgressUpdate, *, pruned: bool = False) -> TrialResult:
    """Return the result of a trial from its last update. A failed trial has no score, but all its work is billed.

    Keep test scores only for confirmations: the test set is used once, for the chosen configuration. So a search trial
    that diverges on the test split alone has finished.
    """
    has_failed = last.error is not None
    training = last.training or TrainResult(status="running", epochs=(), validation_score=0.0)
    if training.diverged_on_test and trial.role != "confirmation":
        score = training.epochs[-1].validation_score
        training = replace(training, status="finished", validation_score=score, divergence=None)
    ended: TrialStatus = "diverged" if training.status == "diverged" else "finished"
    is_tested = trial.role == "confirmation" and not has_failed
    return TrialResult(
        trial=trial,
        status="failed" if has_failed else "pruned" if pruned else ended,
        epochs=training.epochs,
        validation_score=None if has_failed else training.validation_score,
        test_score=training.test_score if is_tested else None,
        test_other_scores=training.test_other_scores if is_tested else {},
        test_samples=training.test_samples if is_tested else None,
        validation_samples=training.validation_samples,
        cost=training_cost(training) + last.unfinished,
        error=last.error,
        host=last.host,
        device=last.device,
        finished_at=time.time(),
        micro_batch_size=training.micro_batch_size,
        num_workers=last.num_workers,
        accumulation_steps=training.accumulation_steps,
        divergence=None if has_failed else training.divergence,
    )


def failed_result(trial: Trial, error: str, *, num_workers: int = 1) -> TrialResult:
    """Return the result of a trial that ended without a last update."""
    return conclude(trial, ProgressUpdate(error=error, num_workers=num_workers))


def training_cost(training: TrainResult) -> Cost:
    """Return the cost of a training from its epochs' measurements. The setup counts as device time."""
    setup = device_cost(training.setup_seconds, training.setup_joules)
    started = Cost(trials=1, peak_memory_bytes=training.peak_memory_bytes)
    cost = total_cost((started, setup, epochs_cost(training.epochs)))
    return replace(cost, words=training.num_parameters * cost.iterations)
