"""The schedule of one training, a warm-up followed by a decay: iteration -> learning rate."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..options import complete_options
from ..spec import ScheduleSpec
from ..tables import lookup
from .decays import DECAYS, ScheduleStep
from .warmups import WARMUPS


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The learning-rate schedule of one training, created by `build_schedule`.

    Attributes:
        spec: the specification in epochs.
        decay_options: options of the decay, checked and complete.
        num_samples: n.
        batch_size: B.
        epochs: E.
    """

    spec: ScheduleSpec
    decay_options: Mapping[str, Any]
    num_samples: int
    batch_size: int
    epochs: int

    @property
    def total_iterations(self) -> int:
        """T = ceil(E n / B)."""
        return -(-self.epochs * self.num_samples // self.batch_size)

    @property
    def warmup_iterations(self) -> int:
        """Number of warm-up iterations: those t <= T with t B / n < w, and all T if w >= E."""
        if self.spec.warmup_epochs >= self.epochs:
            return self.total_iterations
        # Rounding: k w0 n / (k B0) is the same number for every k, but not the same float. 1e-9 decides what is whole.
        length = self.spec.warmup_epochs * self.num_samples / self.batch_size
        whole = round(length)
        return max(0, (whole if math.isclose(length, whole, rel_tol=1e-9) else math.ceil(length)) - 1)

    def lr(self, iteration: int) -> float:
        """Return the learning rate of an iteration.

        If w > E the run ends during the warm-up, below the peak; if w = E it ends at the peak.

        Args:
            iteration: t, in 1 .. T.

        Raises:
            ValueError: the iteration is out of range.

        Source: DATE, Algorithm 1, lines 4 to 8.
        """
        total = self.total_iterations
        if not 1 <= iteration <= total:
            raise ValueError(f"iteration must be from 1 to {total}, got {iteration}.")
        spec = self.spec
        epoch = iteration * self.batch_size / self.num_samples
        if iteration <= self.warmup_iterations:
            part = WARMUPS[spec.warmup].shape(min(1.0, epoch / spec.warmup_epochs))
            return spec.peak_lr * (spec.warmup_start + (1.0 - spec.warmup_start) * part)
        step = ScheduleStep(
            iteration=iteration,
            total_iterations=total,
            # At least w: t B / n may be rounded below w, and the decay must not start above the peak.
            epoch=max(epoch, spec.warmup_epochs),
            mid_epoch=(iteration - 0.5) * self.batch_size / self.num_samples,
            warmup_epochs=spec.warmup_epochs,
            epochs=self.epochs,
            peak_lr=spec.peak_lr,
        )
        return spec.peak_lr * DECAYS[spec.decay.name].factor(step, self.decay_options)

    def as_factor(self, step: int) -> float:
        """Return the learning rate over its peak for torch's LambdaLR; step 0 is iteration 1.

        From step T on the factor is that of the last iteration: LambdaLR evaluates once more after the last update, and
        a DataLoader that keeps the incomplete last batch of every epoch yields more than T batches.

        Example: `LambdaLR(optimizer, schedule.as_factor)` over an optimizer made with `lr=spec.peak_lr`.
        """
        return self.lr(min(step + 1, self.total_iterations)) / self.spec.peak_lr


def build_schedule(spec: ScheduleSpec, *, num_samples: int, batch_size: int, epochs: int) -> Schedule:
    """Build the schedule of one training.

    Args:
        spec: the schedule in epochs. A warm-up longer than the run is allowed here; `trainers.scaling` decides on it.
        num_samples: n, training samples, >= 1.
        batch_size: B, in 1 .. n.
        epochs: E, >= 1.

    Raises:
        UnknownName: the warm-up, the decay or an option is unknown.
        ValueError: a number is out of range.
    """
    for name, value in (("num_samples", num_samples), ("batch_size", batch_size), ("epochs", epochs)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")
    if batch_size > num_samples:
        raise ValueError(f"batch_size must be at most the number of training samples, {num_samples}, got {batch_size}.")
    options = check_schedule(spec)
    if options.get("as_printed") and options["baseline_warmup_epochs"] >= epochs:
        raise ValueError(
            f"decay 'date': option 'baseline_warmup_epochs' must be below the {epochs} epochs of the run,"
            f" got {options['baseline_warmup_epochs']:g}."
        )
    return Schedule(spec=spec, decay_options=options, num_samples=num_samples, batch_size=batch_size, epochs=epochs)


def check_schedule(spec: ScheduleSpec) -> dict[str, Any]:
    """Check a schedule as far as possible without the run's size, and return the decay's complete options.

    Raises:
        UnknownName: the warm-up, the decay or an option is unknown.
        ValueError: a number is out of range, or an option is missing or has no effect.
    """
    if not (math.isfinite(spec.peak_lr) and spec.peak_lr > 0):
        raise ValueError(f"peak_lr must be a finite number above 0, got {spec.peak_lr}.")
    _check_warmup(spec)
    name, given = spec.decay.name, spec.decay.options
    entry = lookup("decay", DECAYS, name)
    options = complete_options(
        f"decay {name!r}", given, defaults=entry.defaults, required=entry.required, ranges=entry.ranges
    )
    entry.check(spec, options)
    return options


def _check_warmup(spec: ScheduleSpec) -> None:
    lookup("warm-up", WARMUPS, spec.warmup)
    if not (math.isfinite(spec.warmup_epochs) and spec.warmup_epochs >= 0):
        raise ValueError(f"warmup_epochs must be a finite number of at least 0, got {spec.warmup_epochs}.")
    if not 0 <= spec.warmup_start <= 1:
        raise ValueError(
            f"warmup_start, a fraction of the peak learning rate, must be from 0 to 1, got {spec.warmup_start}."
        )
    if spec.warmup == "none" and (spec.warmup_epochs or spec.warmup_start):
        name, value = (
            ("warmup_epochs", spec.warmup_epochs) if spec.warmup_epochs else ("warmup_start", spec.warmup_start)
        )
        raise ValueError(f"{name} has no effect with warm-up 'none', got {value:g}: remove it, or name a warm-up.")
    if spec.warmup == "constant" and not spec.warmup_start:
        raise ValueError(
            "warm-up 'constant' needs warmup_start, its fraction of the peak learning rate: in a baseline, 1 keeps"
            " the baseline's learning rate during the warm-up of a larger batch."
        )
