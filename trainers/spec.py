"""The contract between whoever chooses a configuration and the trainer that runs it.

Frozen dataclasses of plain values, no torch: they can be hashed into a trial id, sent to a worker and written to a
journal. This module must not know how anything here is trained or searched.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

OptionValue = float | int | bool | str | tuple[float, ...]
"""What an option of an optimizer or a decay may be: a plain value that JSON can hold."""

TrainStatus = Literal["running", "finished", "diverged"]
"""How far a training got. Divergence is a state, not an exception."""

MicroBatchSize = int | Literal["auto"] | None
"""Samples in memory at once; None for the whole batch, "auto" for what a measurement finds."""

Precision = Literal["float32", "bfloat16", "float64"]
"""Number format of a training; "bfloat16" is mixed: products in bfloat16, weights, gradients and loss in float32."""


@dataclass(frozen=True, kw_only=True)
class DecaySpec:
    """What the learning rate does after its warm-up: a name in `trainers.schedules.DECAYS` and its options."""

    name: str = "constant"
    options: Mapping[str, OptionValue] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ScheduleSpec:
    """A learning-rate schedule in epochs, so that it means the same at every batch size.

    Attributes:
        peak_lr: learning rate at the end of warm-up, > 0.
        warmup_epochs: length of the warm-up in epochs, >= 0; 0 is no warm-up.
        warmup: shape of the warm-up, a name in `trainers.schedules.WARMUPS`.
        warmup_start: learning rate at the beginning of the warm-up over `peak_lr`, in [0, 1]; above 0 for the warm-up
            "constant", which stays at it. A scaling rule keeps the learning rate that it means in the baseline.
        decay: what follows the warm-up.
    """

    peak_lr: float
    warmup_epochs: float = 0.0
    warmup: str = "linear"
    warmup_start: float = 0.0
    decay: DecaySpec = field(default_factory=DecaySpec)


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec:
    """A name in `trainers.optimizers.OPTIMIZERS` and its options, the learning rate left out."""

    name: str
    options: Mapping[str, OptionValue] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What stands around model, schedule and optimizer; the defaults leave plain training as it is.

    Attributes:
        clip_norm: gradients are scaled down to this norm over all parameters before an update, > 0; None for never.
        label_smoothing: share of the target spread evenly over all classes in the training loss, in [0, 1);
            validation and test losses are never smoothed. Only for applications that classify.
        ghost_batch_size: samples that batch normalisation takes its statistics over, >= 2; None for the whole batch.
            Only for models with batch normalisation.
        micro_batch_size: samples in memory at once, >= 1: a larger batch is split and its gradients are added up;
            None for the whole batch. With `ghost_batch_size` it must be a multiple of that. "auto" for the number that
            is fastest on the device, of those that fit: scores then differ by rounding from device to device.
        precision: number format, of evaluation too.

    A batch that is no larger than `ghost_batch_size` or `micro_batch_size` is not split, so that one recipe serves the
    baseline's batch size too.
    """

    clip_norm: float | None = None
    label_smoothing: float = 0.0
    ghost_batch_size: int | None = None
    micro_batch_size: MicroBatchSize = None
    precision: Precision = "float32"


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What is tuned, scaled and compared: how a model is trained at one batch size.

    Attributes:
        batch_size: samples of a weight update, >= 1.
        schedule: the learning rate over the run.
        optimizer: the optimizer and its options.
        recipe: clipping, label smoothing, ghost batches, micro-batches and precision.
    """

    batch_size: int
    schedule: ScheduleSpec
    optimizer: OptimizerSpec
    recipe: Recipe = Recipe()


Baseline = Configuration
"""A configuration that was tuned at a small batch size B0; scaling rules start from it (DATE, Algorithm 1, Input). Its
`batch_size` is B0, its schedule's `peak_lr` lr0 and `warmup_epochs` w0."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training, completely: the same configuration gives the same numbers on the same kind of CPU.

    Attributes:
        application: a name in `trainers.applications.APPLICATIONS`.
        data: one of the application's data sources, such as "mnist5k" or "mnist".
        data_options: the source's options; those left out have its defaults.
        model_options: the model's sizes; those left out have the application's defaults.
        batch_size: samples a weight update, 1 .. number of training samples.
        epochs: passes over the training data, >= 1. Every training sees exactly epochs x n samples, whatever its
            batch size (DATE, Section 4: the same number of epochs, so the same floating-point operations).
        schedule: learning rate against time.
        optimizer: the solver.
        seed: fixes initialisation and data order, >= 0.
        divergence_factor: a training loss above this multiple of the first epoch's, or one that is not finite,
            ends the training as diverged.
        recipe: clipping, label smoothing, ghost batches, micro-batches and precision.
    """

    application: str
    data: str
    batch_size: int
    epochs: int
    schedule: ScheduleSpec
    optimizer: OptimizerSpec
    seed: int
    data_options: Mapping[str, OptionValue] = field(default_factory=dict)
    model_options: Mapping[str, OptionValue] = field(default_factory=dict)
    divergence_factor: float = 10.0
    recipe: Recipe = Recipe()


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where and how a training runs; nothing here may change what it learns.

    Attributes:
        data_folder: the folder that holds the data source's files, where it reads files; None for its default.
        device: "cpu" or a CUDA device such as "cuda:0".
        num_threads: CPU threads torch may use.
        checkpoint: file to save progress in and resume from, or None for no checkpoints.
        checkpoint_seconds: training seconds between two checkpoints; None for what costs a hundredth of the time, as
            long as that is from 2 to 60 seconds.
        energy_share: the part of what the device's energy meter counts that is this training's, in (0, 1]: 1 over the
            trainings that share the meter; where one training has several workers, this worker's part of it.
        num_workers: processes that train together, each on its own share of every batch and its own device, >= 1.
    """

    data_folder: str | None = None
    device: str = "cpu"
    num_threads: int = 1
    checkpoint: str | None = None
    checkpoint_seconds: float | None = None
    energy_share: float = 1.0
    num_workers: int = 1


@dataclass(frozen=True, kw_only=True)
class EpochMetrics:
    """What one epoch did. Counts and seconds are this epoch's own, not running totals.

    Attributes:
        epoch: 1-based. A diverged training's last epoch may hold fewer updates than an epoch has.
        lr: learning rate of the epoch's last update.
        train_loss: mean loss over the epoch's samples, as seen while training (nats), label smoothing included; may be
            non-finite.
        validation_loss: mean loss on the validation split (nats); not a number where training diverged before.
        validation_score: the application's metric on the validation split.
        iterations: weight updates.
        samples: training samples seen.
        flops: floating-point operations of training, a multiply-add counted as two.
        device_seconds: seconds the device was held, evaluation included; of several workers the sum.
        other_scores: on the validation split, the application's other scores by name, such as top-5 accuracy.
        words: words that data-parallel training exchanges: parameters x iterations.
        measured_joules: what the device's energy meter counted in those seconds (`trainers.energy_meter`); None where
            nothing did.
    """

    epoch: int
    lr: float
    train_loss: float
    validation_loss: float
    validation_score: float
    iterations: int
    samples: int
    flops: int
    device_seconds: float
    other_scores: Mapping[str, float] = field(default_factory=dict)
    words: int = 0
    measured_joules: float | None = None


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a training gave so far; final when `status` is not "running".

    Attributes:
        status: "running", "finished" or "diverged".
        epochs: one entry a finished epoch, in order.
        validation_score: the metric after the last epoch; a diverged training scores what chance scores.
        test_score: the metric on the test split after the last epoch, chance where diverged; None while running.
        test_loss: mean loss on the test split; None while running or where diverged.
        test_other_scores: the application's other scores on the test split; empty while running or where diverged.
        setup_seconds: device-seconds of building model and data before the first update, of all attempts that it rests
            on.
        peak_memory_bytes: the largest amount of memory the process (CPU) or the device (CUDA) held; of several
            workers, worker 0's.
        num_parameters: trainable parameters of the model.
        resumed_epochs: epochs that came from a checkpoint, not from this attempt.
        setup_joules: what the device's energy meter counted in `setup_seconds`; None where it did not for all of them.
        micro_batch_size: most samples that a worker has in memory at once, where that is not the whole batch or was
            found by a measurement; None elsewhere.
        num_workers: processes that shared every batch.
        accumulation_steps: pieces of a worker's share of a full batch that were computed one after the other. The batch
            is micro-batch x accumulation steps x workers, but for what the division leaves.
    """

    status: TrainStatus
    epochs: tuple[EpochMetrics, ...]
    validation_score: float
    test_score: float | None = None
    test_loss: float | None = None
    test_other_scores: Mapping[str, float] = field(default_factory=dict)
    setup_seconds: float = 0.0
    peak_memory_bytes: int = 0
    num_parameters: int = 0
    resumed_epochs: int = 0
    setup_joules: float | None = None
    micro_batch_size: int | None = None
    num_workers: int = 1
    accumulation_steps: int = 1
