"""Learning-rate schedules: iteration -> learning rate, as pure functions.

A schedule is a warm-up (a name in `WARMUPS`) followed by a decay (a name in `DECAYS`); any warm-up goes with any decay.
It is stated in epochs (`trainers.spec.ScheduleSpec`) and becomes iterations only here, where the number of samples and
the batch size are known. This module must not know torch, nor which rule chose the numbers.

Notation: n training samples, B batch size, E epochs, w warm-up epochs, t the 1-based iteration, e = t B / n the current
epoch (DATE, Algorithm 1, line 4), T = ceil(E n / B) the total iterations.

>>> from trainers.spec import DecaySpec, ScheduleSpec
>>> spec = ScheduleSpec(peak_lr=1.25e-3, warmup_epochs=2, decay=DecaySpec(name="poly", options={"power": 1.0}))
>>> schedule = build_schedule(spec, num_samples=60_000, batch_size=1024, epochs=30)
>>> schedule.total_iterations, schedule.warmup_iterations
(1758, 117)
>>> f"{schedule.lr(117):.6f} {schedule.lr(118):.6f} {schedule.lr(1758):.6f}"
'0.001248 0.001249 0.000000'
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trainers.options import Kind, Range, complete_options
from trainers.spec import OptionValue, ScheduleSpec
from trainers.tables import lookup


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One iteration of a training, in the units that decays are written in.

    Attributes:
        iteration: t, 1 .. T.
        total_iterations: T.
        epoch: e = t B / n, epochs done once the iteration is over; passes E in a last, incomplete batch.
        middle: (t - 1/2) B / n, the middle of the iteration; which epoch an iteration belongs to is decided by it.
        warmup_epochs: w, below E.
        epochs: E.
        peak_lr: learning rate at the end of warm-up.
    """

    iteration: int
    total_iterations: int
    epoch: float
    middle: float
    warmup_epochs: float
    epochs: int
    peak_lr: float


@dataclass(frozen=True, kw_only=True)
class DecayEntry:
    """What the learning rate does after warm-up.

    Attributes:
        factor: (moment, completed options) -> learning rate over peak, in [0, 1].
        description: one line.
        source: paper and section.
        defaults: the options that may be left out, with their defaults.
        required: the kinds of the options that may not.
        ranges: the values allowed, both ends included.
    """

    factor: Callable[[Moment, Mapping[str, Any]], float]
    description: str
    source: str
    defaults: Mapping[str, OptionValue] = field(default_factory=dict)
    required: Mapping[str, Kind] = field(default_factory=dict)
    ranges: Mapping[str, Range] = field(default_factory=dict)


def _constant(moment: Moment, options: Mapping[str, Any]) -> float:
    return 1.0


def _multistep(moment: Moment, options: Mapping[str, Any]) -> float:
    passed = sum(1 for milestone in options["milestones"] if moment.middle >= milestone)
    return float(options["factor"] ** passed)


def _exponential(moment: Moment, options: Mapping[str, Any]) -> float:
    begun = max(0, math.floor(moment.middle - options["start_epoch"]) + 1)
    return float(options["factor"] ** begun)


def _poly(moment: Moment, options: Mapping[str, Any]) -> float:
    left = max(0.0, (moment.epochs - moment.epoch) / (moment.epochs - moment.warmup_epochs))
    return float(left ** options["power"])


def _date(moment: Moment, options: Mapping[str, Any]) -> float:
    """max{(T - t) / ((1 - w/E) T), floor / peak}; w is the baseline's w0 in the reading `as_printed`.

    At most 1: T is rounded up, so at the end of warm-up the fraction can pass 1 by less than one iteration's worth.
    """
    warmup_epochs = options["baseline_warmup_epochs"] if options["as_printed"] else moment.warmup_epochs
    total = moment.total_iterations
    left = (total - moment.iteration) / ((1.0 - warmup_epochs / moment.epochs) * total)
    return float(max(min(left, 1.0), options["floor"] / moment.peak_lr))


WARMUPS: dict[str, Callable[[float], float]] = {
    "linear": lambda part: part,
    "quadratic": lambda part: part * part,
}
"""Part of the warm-up done, e/w in [0, 1] -> learning rate over peak (DATE, Algorithm 1, line 6, names both)."""

DECAYS: dict[str, DecayEntry] = {
    "constant": DecayEntry(factor=_constant, description="stays at its peak", source="LEGW 3"),
    "multistep": DecayEntry(
        factor=_multistep,
        description="times `factor` at each of the epochs `milestones`",
        source="LEGW 3.2; DATE 3.6, whose iteration counts follow from deciding by the middle of an iteration",
        defaults={"factor": 0.1},
        required={"milestones": tuple},
        ranges={"milestones": (0.0, math.inf), "factor": (0.0, 1.0)},
    ),
    "exponential": DecayEntry(
        factor=_exponential,
        description="constant for `start_epoch` epochs, then times `factor` in each further epoch",
        source="DATE 4.1.2 (PTB-small: constant for 7 epochs, then times 0.4)",
        required={"start_epoch": float, "factor": float},
        ranges={"start_epoch": (0.0, math.inf), "factor": (0.0, 1.0)},
    ),
    "poly": DecayEntry(
        factor=_poly,
        description="((E - e) / (E - w)) ** power, from the end of warm-up to 0",
        source="LEGW 3.2. Differs from its (1 - i/I)^p, which jumps at the end of warm-up",
        defaults={"power": 2.0},
        ranges={"power": (0.0, 100.0)},
    ),
    "date": DecayEntry(
        factor=_date,
        description="roller coaster: linear from the end of warm-up down to the learning rate `floor`",
        source=(
            "DATE 3.4 and Algorithm 1, line 8, read with E as the total number of epochs. Differs from the worked"
            " example of 3.6, which puts w0 for w and so drops to half the peak: `as_printed` gives that"
        ),
        defaults={"floor": 1e-6, "as_printed": False, "baseline_warmup_epochs": 0.0},
        ranges={"floor": (0.0, math.inf), "baseline_warmup_epochs": (0.0, math.inf)},
    ),
}
"""The decays by name; the single source for the study schema, the contract tests and `zerotune list`."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A learning-rate schedule of one training; made by `build_schedule`.

    Attributes:
        spec: what was asked for.
        decay_options: the decay's options, checked and complete.
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
        """Number of iterations of warm-up: those t <= T with t B / n < w, and all T where w >= E."""
        if self.spec.warmup_epochs >= self.epochs:
            return self.total_iterations
        # k w0 n / (k B0) is the same number for every k but not the same float: within 1e-9 of a whole number is whole.
        length = self.spec.warmup_epochs * self.num_samples / self.batch_size
        whole = round(length)
        return max(0, (whole if math.isclose(length, whole, rel_tol=1e-9) else math.ceil(length)) - 1)

    def lr(self, iteration: int) -> float:
        """Learning rate of an iteration, 1 .. T.

        Where w >= E the run never leaves its warm-up and ends below the peak, or at it where w = E.

        Raises:
            ValueError: the iteration is not in 1 .. T.

        Source: DATE, Algorithm 1, lines 4 to 8.
        """
        total = self.total_iterations
        if not 1 <= iteration <= total:
            raise ValueError(f"iteration must be from 1 to {total}, got {iteration}.")
        warmup_epochs = self.spec.warmup_epochs
        epoch = iteration * self.batch_size / self.num_samples
        if iteration <= self.warmup_iterations:
            return self.spec.peak_lr * WARMUPS[self.spec.warmup](min(1.0, epoch / warmup_epochs))
        moment = Moment(
            iteration=iteration,
            total_iterations=total,
            # At least w: where t B / n is w but for rounding, the decay must not start above its beginning.
            epoch=max(epoch, warmup_epochs),
            middle=(iteration - 0.5) * self.batch_size / self.num_samples,
            warmup_epochs=warmup_epochs,
            epochs=self.epochs,
            peak_lr=self.spec.peak_lr,
        )
        return self.spec.peak_lr * DECAYS[self.spec.decay.name].factor(moment, self.decay_options)

    def as_factor(self, step: int) -> float:
        """Learning rate over peak for torch's LambdaLR: step 0 is iteration 1.

        LambdaLR asks once more after the last update, for step T: that gives the last iteration's factor.

        Example: `LambdaLR(optimizer, schedule.as_factor)` over an optimizer made with `lr=spec.peak_lr`.
        """
        iteration = self.total_iterations if step == self.total_iterations else step + 1
        return self.lr(iteration) / self.spec.peak_lr


def build_schedule(spec: ScheduleSpec, *, num_samples: int, batch_size: int, epochs: int) -> Schedule:
    """The schedule of one training.

    Args:
        spec: the schedule in epochs. A warm-up longer than the run is allowed: whether it is meant is for
            `trainers.scaling` to ask.
        num_samples: n, training samples, >= 1.
        batch_size: B, 1 .. n.
        epochs: E, >= 1.

    Raises:
        UnknownName: unknown warm-up, decay or option.
        ValueError: a number is out of its range.
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
    """The decay's options, complete, after checking all that can be checked before the run's size is known.

    Raises:
        UnknownName: unknown warm-up, decay or option.
        ValueError: a number is out of its range, or an option is missing or without effect.
    """
    if not (math.isfinite(spec.peak_lr) and spec.peak_lr > 0):
        raise ValueError(f"peak_lr must be a finite number above 0, got {spec.peak_lr}.")
    if not (math.isfinite(spec.warmup_epochs) and spec.warmup_epochs >= 0):
        raise ValueError(f"warmup_epochs must be a finite number of at least 0, got {spec.warmup_epochs}.")
    lookup("warm-up", WARMUPS, spec.warmup)
    name, given = spec.decay.name, spec.decay.options
    entry = lookup("decay", DECAYS, name)
    options = complete_options(
        f"decay {name!r}", given, defaults=entry.defaults, required=entry.required, ranges=entry.ranges
    )
    if name == "multistep" and list(options["milestones"]) != sorted(set(options["milestones"])):
        raise ValueError(f"decay 'multistep': option 'milestones' must rise, got {options['milestones']!r}.")
    if name == "date":
        _check_date(spec, options)
    return options


def _check_date(spec: ScheduleSpec, options: Mapping[str, Any]) -> None:
    if options["floor"] > spec.peak_lr:
        raise ValueError(
            f"decay 'date': option 'floor' must be at most the peak learning rate, {spec.peak_lr:g},"
            f" got {options['floor']:g}."
        )
    if options["as_printed"] != ("baseline_warmup_epochs" in spec.decay.options):
        raise ValueError(
            "decay 'date': options 'as_printed: true' and 'baseline_warmup_epochs' (w0) have an effect only together;"
            " give both or neither."
        )
