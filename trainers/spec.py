"""What a training is given and what it returns.

Frozen dataclasses of plain values, without torch: they are hashed into trial ids, sent to workers and written to
journals. This module must not know how a configuration is trained or chosen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

OptionValue = float | int | bool | str | tuple[float, ...]
"""Type of an option of an optimizer or a decay: a plain value that JSON can hold."""

TrainStatus = Literal["running", "finished", "diverged"]
"""State of a training. Divergence is a state, not an exception."""

PATIENCE = 50
"""Updates within which a loss that is far worse than the untrained model's may come back (`trainers.outcome`)."""

MAX_SCORE = 1e150
"""Largest score or loss to compute with: squares of larger ones overflow, in means and intervals over seeds."""

MicroBatchSize = int | Literal["auto"] | None
"""Samples in memory at once; None for the whole batch, "auto" for the fastest number that a measurement finds."""

Precision = Literal["float32", "bfloat16", "float64"]
"""Number format. "bfloat16" is mixed precision: products in bfloat16; weights, gradients and loss in float32."""


@dataclass(frozen=True, kw_only=True)
class DecaySpec:
    """Decay of the learning rate after the warm-up: a name in `trainers.schedules.DECAYS` and its options."""

    name: str = "constant"
    options: Mapping[str, OptionValue] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ScheduleSpec:
    """Learning-rate schedule. Its lengths are in epochs, so that they mean the same at every batch size.

    Attributes:
        peak_lr: learning rate at the end of warm-up, > 0.
        warmup_epochs: length of the warm-up in epochs, >= 0; 0 is no warm-up.
        warmup: shape of the warm-up, a name in `trainers.schedules.WARMUPS`.
        warmup_start: initial learning rate of the warm-up over `peak_lr`, in [0, 1]. The warm-up "constant" stays at it
            and needs it above 0. Scaling rules keep the baseline's initial learning rate, not this fraction.
        decay: decay after the warm-up.
    """

    peak_lr: float
    warmup_epochs: float = 0.0
    warmup: str = "linear"
    warmup_start: float = 0.0
    decay: DecaySpec = field(default_factory=DecaySpec)


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec:
    """Optimizer: a name in `trainers.optimizers.OPTIMIZERS` and its options, without the learning rate."""

    name: str
    options: Mapping[str, OptionValue] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Training recipe: everything around model, schedule and optimizer. The defaults are plain training.

    A batch that is not larger than `ghost_batch_size` or `micro_batch_size` is not split, so that one recipe also fits
    the baseline's batch size.

    Attributes:
        clip_norm: largest norm of the gradient over all parameters, > 0; None for no clipping.
        label_smoothing: fraction of the target that is spread evenly over all classes in the training loss, in [0, 1).
            Validation and test losses are never smoothed. Only for classification.
        ghost_batch_size: samples over which batch normalisation computes its statistics, >= 2; None for the whole
            batch. Only for models with batch normalisation.
        micro_batch_size: samples in memory at once, >= 1; the gradients of a larger batch are accumulated. A multiple
            of `ghost_batch_size`. None for the whole batch. "auto" for the fastest number that fits into the device:
            scores then differ between devices by rounding.
        precision: number format of training and evaluation.
    """

    clip_norm: float | None = None
    label_smoothing: float = 0.0
    ghost_batch_size: int | None = None
    micro_batch_size: MicroBatchSize = None
    precision: Precision = "float32"


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Configuration of a training at one batch size: what is tuned, scaled and compared.

    Attributes:
        batch_size: samples of a weight update, >= 1.
        schedule: the learning rate over the run.
        optimizer: the optimizer and its options.
        recipe: clipping, label smoothing, ghost batches, micro-batches and precision.
        model_options: options of the model that were chosen with the rest; those left out are the study's.
    """

    batch_size: int
    schedule: ScheduleSpec
    optimizer: OptimizerSpec
    recipe: Recipe = Recipe()
    model_options: Mapping[str, OptionValue] = field(default_factory=dict)


Baseline = Configuration
"""A configuration that was tuned at a small batch size B0 and that scaling rules start from (DATE, Algorithm 1, Input).

Its `batch_size` is B0, its schedule's `peak_lr` is lr0 and its schedule's `warmup_epochs` is w0.
"""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Complete description of a training. The same `TrainConfig` gives the same numbers on the same kind of CPU.

    Attributes:
        application: a name in `trainers.applications.APPLICATIONS`.
        data: one of the application's data sources, such as "mnist5k" or "mnist".
        data_options: options of the data source; the source has defaults for those left out.
        model_options: sizes of the model; the application has defaults for those left out.
        batch_size: samples of a weight update, 1 .. number of training samples.
        epochs: passes over the n training samples, >= 1. Every training sees exactly epochs x n samples, whatever its
            batch size, and so takes the same floating-point operations (DATE, Section 4).
        schedule: learning-rate schedule.
        optimizer: optimizer and its options.
        seed: seed of initialisation and data order, >= 0.
        divergence_factor: a training diverges if its loss ends up worse than the untrained model's loss L0 by this many
            times |L0|, and by at least this much in nats (`trainers.outcome`). Part of a trial's id.
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
    """Where and how a training runs. Nothing here may change what it learns.

    Attributes:
        data_folder: folder of the data source's files; None for its default.
        device: "cpu" or a CUDA device such as "cuda:0".
        num_threads: CPU threads of torch.
        checkpoint: file to save progress in and to resume from; None for no checkpoints.
        checkpoint_seconds: training seconds between two checkpoints; None for 2 to 60 seconds, chosen so that
            checkpoints take about a hundredth of the time.
        energy_share: fraction of the device's energy meter that is billed to this training, in (0, 1]: 1 over the
            number of trainings that share the meter; of several workers, this worker's fraction.
        num_workers: processes that train together, each on its local batch and its own device, >= 1.
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
    """Metrics of one epoch. Counts and seconds are those of this epoch, not running totals.

    Attributes:
        epoch: 1-based. The last epoch of a diverged training may have fewer updates than the others.
        lr: learning rate of the epoch's last update.
        train_loss: mean training loss over the epoch's samples (nats), with label smoothing; may be non-finite.
        validation_loss: mean loss on the validation split (nats); NaN if training diverged in this epoch.
        validation_score: the application's metric on the validation split.
        iterations: weight updates.
        samples: training samples seen.
        flops: floating-point operations of training, a multiply-add counted as two.
        device_seconds: seconds for which the device was held, evaluation included; summed over workers.
        other_scores: the application's other scores on the validation split, by name, such as top-5 accuracy.
        words: words that data-parallel training communicates: parameters x iterations.
        measured_joules: energy in those seconds by the device's meter (`trainers.energy_meter`); None without one.
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
    """Result of a training so far; final once `status` is not "running".

    Attributes:
        status: "running", "finished" or "diverged".
        epochs: metrics of every finished epoch, in order.
        validation_score: the application's metric after the last epoch; chance level if the training diverged.
        test_score: the same on the test split; None while running.
        test_loss: mean loss on the test split; None while running or if diverged.
        test_other_scores: the application's other scores on the test split; empty while running or if diverged.
        test_samples: samples of the test split; None while running or if diverged.
        validation_samples: samples of the validation split; None before the first epoch.
        divergence: which number shows the divergence, and in which epoch; None if the training has not diverged.
        diverged_on_test: whether only the test split shows the divergence. The last epoch's metrics are then sound.
        setup_seconds: device-seconds of building model and data and of measuring the untrained model before the first
            update, summed over all attempts.
        peak_memory_bytes: peak memory of the process (CPU) or of the device (CUDA); of several workers, worker 0's.
        num_parameters: trainable parameters of the model.
        resumed_epochs: epochs that came from a checkpoint, not from this attempt.
        setup_joules: energy in `setup_seconds` by the device's meter; None if part of them was not metered.
        micro_batch_size: most samples that a worker had in memory at once; None for the whole batch, unless a
            measurement found that number.
        num_workers: processes that trained every batch together.
        accumulation_steps: micro-batches of a worker's local batch, computed one after the other. Up to the remainder
            of the division, the batch is micro-batch x accumulation steps x workers.
    """

    status: TrainStatus
    epochs: tuple[EpochMetrics, ...]
    validation_score: float
    test_score: float | None = None
    test_loss: float | None = None
    test_other_scores: Mapping[str, float] = field(default_factory=dict)
    test_samples: int | None = None
    validation_samples: int | None = None
    divergence: str | None = None
    diverged_on_test: bool = False
    setup_seconds: float = 0.0
    peak_memory_bytes: int = 0
    num_parameters: int = 0
    resumed_epochs: int = 0
    setup_joules: float | None = None
    micro_batch_size: int | None = None
    num_workers: int = 1
    accumulation_steps: int = 1
