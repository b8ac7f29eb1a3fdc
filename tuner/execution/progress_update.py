"""What a worker says of a trial: slice after slice of its training, and the result that the last of them makes.

This module must not know how a trial is trained.
"""

import time
from dataclasses import dataclass, field, replace

from ...trainers.spec import EpochMetrics, TrainResult
from ..cost import Cost, device_cost, epochs_cost
from ..trial import Trial, TrialResult, TrialStatus


@dataclass(frozen=True, kw_only=True)
class ProgressUpdate:
    """A piece of a trial's work.

    Attributes:
        new_epochs: epochs finished in this slice.
        training: the training so far; None where it failed before it began.
        error: one sentence, where the trial failed.
        host: name of the machine.
        device: model of the device.
        unfinished: what setting up or an epoch cost that an error ended: the trial's own, that of a pack it was in, or
            the loss of a worker.
        warnings: sentences about what went wrong and cost no training.
        num_workers: processes that train it together.
        lost: one sentence, where another worker was lost; the next slice begins from the checkpoint.
    """

    new_epochs: tuple[EpochMetrics, ...]
    training: TrainResult | None
    error: str | None
    host: str
    device: str
    unfinished: Cost = field(default_factory=Cost)
    warnings: tuple[str, ...] = ()
    num_workers: int = 1
    lost: str | None = None

    @property
    def done(self) -> bool:
        """Whether nothing of the trial is left to do."""
        return self.error is not None or (self.training is not None and self.training.status != "running")


def conclude(trial: Trial, last: ProgressUpdate, *, pruned: bool = False) -> TrialResult:
    """The result of a trial whose last slice this is.

    The test scores are kept for confirmations only: test is shown once, for the chosen configuration.
    """
    training = last.training
    if last.error is not None or training is None:
        error = last.error or "the training never began"
        return failed_result(trial, error, num_workers=last.num_workers, training=training, slice_=last)
    status: TrialStatus = "pruned" if pruned else "diverged" if training.status == "diverged" else "finished"
    return TrialResult(
        trial=trial,
        status=status,
        epochs=training.epochs,
        validation_score=training.validation_score,
        test_score=training.test_score if trial.role == "confirmation" else None,
        test_other_scores=training.test_other_scores if trial.role == "confirmation" else {},
        cost=training_cost(training) + last.unfinished,
        micro_batch_size=training.micro_batch_size,
        num_workers=training.num_workers,
        accumulation_steps=training.accumulation_steps,
        host=last.host,
        device=last.device,
        finished_at=time.time(),
    )


def failed_result(
    trial: Trial,
    error: str,
    *,
    num_workers: int = 1,
    training: TrainResult | None = None,
    slice_: ProgressUpdate | None = None,
) -> TrialResult:
    """The result of a trial that gave no score; what it did is billed all the same, an epoch it broke off included."""
    cost = Cost(trials=1) if training is None else training_cost(training)
    return TrialResult(
        trial=trial,
        status="failed",
        epochs=() if training is None else training.epochs,
        validation_score=None,
        test_score=None,
        cost=cost if slice_ is None else cost + slice_.unfinished,
        error=error,
        host="" if slice_ is None else slice_.host,
        device="" if slice_ is None else slice_.device,
        finished_at=time.time(),
        micro_batch_size=None if training is None else training.micro_batch_size,
        num_workers=num_workers,
        accumulation_steps=1 if training is None else training.accumulation_steps,
    )


def training_cost(training: TrainResult) -> Cost:
    """What a training cost, from what its epochs measured. Setting up is device time too."""
    setup = device_cost(training.setup_seconds, training.setup_joules)
    cost = Cost(trials=1, peak_memory_bytes=training.peak_memory_bytes) + setup + epochs_cost(training.epochs)
    return replace(cost, words=training.num_parameters * cost.iterations)
