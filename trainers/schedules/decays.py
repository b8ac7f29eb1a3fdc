"""Learning-rate decays after the warm-up, as factors of the peak learning rate, by name.

Figures 23 to 29 and 32 to 33 of LIMIT (arXiv 2006.08517) name cosine and cyclical schedules without formula or length.
The sources below state how each is interpreted.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..options import Kind, Range
from ..spec import OptionValue, ScheduleSpec


@dataclass(frozen=True, kw_only=True)
class ScheduleStep:
    """An iteration of a training, in the units of the decays' formulas.

    Attributes:
        iteration: t, in 1 .. T.
        total_iterations: T.
        epoch: e = t B / n, epochs completed after the iteration; exceeds E if the last batch is incomplete.
        mid_epoch: (t - 1/2) B / n, the middle of the iteration; it decides to which epoch an iteration belongs.
        warmup_epochs: w, in [0, E).
        epochs: E.
        peak_lr: learning rate at the end of the warm-up, > 0.
    """

    iteration: int
    total_iterations: int
    epoch: float
    mid_epoch: float
    warmup_epochs: float
    epochs: int
    peak_lr: float

    @property
    def remaining(self) -> float:
        """(E - e) / (E - w), the remaining fraction of the run after the warm-up, in [0, 1]."""
        return max(0.0, (self.epochs - self.epoch) / (self.epochs - self.warmup_epochs))


@dataclass(frozen=True, kw_only=True)
class DecayEntry:
    """A decay of the learning rate after the warm-up.

    Attributes:
        factor: (step, complete options) -> learning rate over peak, in [0, 1].
        description: one line.
        source: paper and section.
        defaults: optional options with their defaults.
        required: required options with their types.
        ranges: allowed values by option, as (lowest, highest), both inclusive.
        check: (schedule, complete options) -> None; raises ValueError if they contradict each other.
    """

    factor: Callable[[ScheduleStep, Mapping[str, Any]], float]
    description: str
    source: str
    defaults: Mapping[str, OptionValue] = field(default_factory=dict)
    required: Mapping[str, Kind] = field(default_factory=dict)
    ranges: Mapping[str, Range] = field(default_factory=dict)
    check: Callable[[ScheduleSpec, Mapping[str, Any]], None] = lambda spec, options: None


def _multistep(step: ScheduleStep, options: Mapping[str, Any]) -> float:
    passed = sum(1 for milestone in options["milestones"] if step.mid_epoch >= milestone)
    return float(options["factor"] ** passed)


def _check_multistep(spec: ScheduleSpec, options: Mapping[str, Any]) -> None:
    if list(options["milestones"]) != sorted(set(options["milestones"])):
        raise ValueError(f"decay 'multistep': option 'milestones' must rise, got {options['milestones']!r}.")


def _exponential(step: ScheduleStep, options: Mapping[str, Any]) -> float:
    begun = max(0, math.floor(step.mid_epoch - options["start_epoch"]) + 1)
    return float(options["factor"] ** begun)


def _date(step: ScheduleStep, options: Mapping[str, Any]) -> float:
    """Return max{(T - t) / ((1 - w/E) T), floor / peak}; with `as_printed`, w is the baseline's w0.

    The fraction is capped at 1: since T is rounded up, it can exceed 1 by less than one iteration after the warm-up.
    """
    warmup_epochs = options["baseline_warmup_epochs"] if options["as_printed"] else step.warmup_epochs
    total = step.total_iterations
    remaining = (total - step.iteration) / ((1.0 - warmup_epochs / step.epochs) * total)
    return float(max(min(remaining, 1.0), options["floor"] / step.peak_lr))


def _check_date(spec: ScheduleSpec, options: Mapping[str, Any]) -> None:
    if options["floor"] > spec.peak_lr:
        raise ValueError(
            f"decay 'date': option 'floor' must be at most the peak learning rate, {spec.peak_lr:g},"
            f" got {options['floor']:g}."
        )
    if options["as_printed"] != ("baseline_warmup_epochs" in spec.decay.options):
        raise ValueError(
            "decay 'date': options 'as_printed: true' and 'baseline_warmup_epochs' (w0) have an effect only together;"
            " set both or neither."
        )


def _cosine_cycles(step: ScheduleStep, options: Mapping[str, Any]) -> float:
    """Half a cosine per cycle. An iteration that ends with a cycle belongs to it, so that every cycle reaches 0."""
    cycles, done = options["cycles"], 1.0 - step.remaining
    if options["smooth"]:
        return (1.0 + math.cos(math.pi * (2 * cycles - 1) * done)) / 2.0
    position = cycles * done
    # Rounding: the end of a cycle, e = w + i (E - w) / cycles, is an integer position within 1e-9.
    cycle = max(0, math.ceil(position - 1e-9) - 1)
    return (1.0 + math.cos(math.pi * min(1.0, position - cycle))) / 2.0


def _cyclical(step: ScheduleStep, options: Mapping[str, Any]) -> float:
    position = math.fmod((step.epoch - step.warmup_epochs) / options["cycle_epochs"], 1.0)
    low = options["low"]
    return float(low + (1.0 - low) * abs(1.0 - 2.0 * position))


def _cosine_cycles_entry(grain: str, figure: str, cycles: int) -> DecayEntry:
    return DecayEntry(
        factor=_cosine_cycles,
        description=f"{grain} cosine: `cycles` half cosines from peak to 0; `smooth` rises again instead of jumping",
        source=(
            f"LIMIT {figure}, which names it apart from the cosine decay and gives no length: read as the warm restarts"
            f" of its reference, SGDR (arXiv 1608.03983, Eq. 5, T_mult = 1); {cycles} cycles are this project's choice,"
            " and its regular cosine schedule (Figs 23 and 26) lies between the two"
        ),
        defaults={"cycles": cycles, "smooth": False},
        ranges={"cycles": (2, 100_000)},
    )


DECAYS: dict[str, DecayEntry] = {
    "constant": DecayEntry(factor=lambda step, options: 1.0, description="stays at its peak", source="LEGW 3"),
    "multistep": DecayEntry(
        factor=_multistep,
        description="times `factor` at each of the epochs `milestones`",
        source="LEGW 3.2; DATE 3.6, whose iteration counts follow from deciding by the middle of an iteration",
        defaults={"factor": 0.1},
        required={"milestones": tuple},
        ranges={"milestones": (0.0, math.inf), "factor": (0.0, 1.0)},
        check=_check_multistep,
    ),
    "exponential": DecayEntry(
        factor=_exponential,
        description="constant for `start_epoch` epochs, then times `factor` in each further epoch",
        source="DATE 4.1.2 (PTB-small: constant for 7 epochs, then times 0.4)",
        required={"start_epoch": float, "factor": float},
        ranges={"start_epoch": (0.0, math.inf), "factor": (0.0, 1.0)},
    ),
    "poly": DecayEntry(
        factor=lambda step, options: float(step.remaining ** options["power"]),
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
        check=_check_date,
    ),
    "cosine": DecayEntry(
        factor=lambda step, options: (1.0 + math.cos(math.pi * (1.0 - step.remaining))) / 2.0,
        description="half a cosine from the end of warm-up to 0",
        source="LIMIT Figs 28 and 29, after SGDR (arXiv 1608.03983, Eq. 5) without restarts",
    ),
    "cosine-fine": _cosine_cycles_entry("fine-grained", "Fig. 25", 16),
    "cosine-coarse": _cosine_cycles_entry("coarse-grained", "Fig. 27", 4),
    "cyclical": DecayEntry(
        factor=_cyclical,
        description="down to `low` times the peak and up again, in straight lines, every `cycle_epochs`",
        source=(
            "LIMIT Figs 32 and 33, which give no length; Smith, arXiv 1506.01186, the triangular policy and, in"
            " Section 3.3, a quarter of the peak as its low end. Differs from it in starting at the peak, where"
            " warm-up ends"
        ),
        defaults={"low": 0.25},
        required={"cycle_epochs": float},
        ranges={"cycle_epochs": (1e-3, math.inf), "low": (0.0, 1.0)},
    ),
}
"""The decays by name; the single source for the study schema, the contract tests and `zerotune list`."""
