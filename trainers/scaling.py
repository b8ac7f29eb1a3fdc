"""Batch-size scaling rules: a baseline tuned at batch size B0 -> the configuration to train with at B.

Pure maths, no torch: k = B/B0 changes the peak learning rate, the length of the warm-up and, for DATE, the decay.
Rules run downwards too, k < 1 (LEGW 3.3). This module must not know what is trained or who asks.

The worked example of DATE 3.6, LeNet on MNIST from batch size 1,024 to 8,192: 16 epochs of warm-up to 3.54e-3.

>>> from trainers.spec import Baseline, OptimizerSpec, ScheduleSpec
>>> schedule = ScheduleSpec(peak_lr=1.25e-3, warmup_epochs=2)
>>> baseline = Baseline(batch_size=1024, schedule=schedule, optimizer=OptimizerSpec(name="date"))
>>> scaled = scale("date", baseline, batch_size=8192, epochs=30)
>>> f"{scaled.schedule.peak_lr:.3g} {scaled.schedule.warmup_epochs:g} {scaled.schedule.decay.name}"
'0.00354 16 date'
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from trainers.spec import Baseline, DecaySpec, OptimizerSpec, ScheduleSpec
from trainers.tables import lookup

OnLongWarmup = Literal["error", "clamp", "keep"]
"""What to do where a warm-up would outlast the run: refuse, warm up for half the run, or never leave warm-up."""

GOYAL_WARMUP_EPOCHS = 5.0
"""Warm-up of the practice before LEGW, whatever the batch size (Goyal et al., arXiv 1706.02677, Section 2.2)."""


class WarmupTooLong(ValueError):
    """A rule's warm-up would last as long as the run or longer, so that the peak learning rate is never used."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A scaling rule.

    Attributes:
        peak_factor: k -> peak learning rate over lr0.
        warmup_epochs: (w0, k) -> warm-up in epochs.
        decay: the decay it brings, or None where it keeps the baseline's.
        description: one line.
        source: paper and section.
    """

    peak_factor: Callable[[float], float]
    warmup_epochs: Callable[[float, float], float]
    decay: DecaySpec | None = None
    description: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """What a rule gives: the schedule and the optimizer to train with at the target batch size."""

    schedule: ScheduleSpec
    optimizer: OptimizerSpec


def _unchanged(k: float) -> float:
    return 1.0


def _proportional(k: float) -> float:
    return k


def _baseline_warmup(w0: float, k: float) -> float:
    return w0


def _linear_epoch_warmup(w0: float, k: float) -> float:
    return k * w0


def _goyal_warmup(w0: float, k: float) -> float:
    return GOYAL_WARMUP_EPOCHS


RULES: dict[str, Rule] = {
    "constant": Rule(
        peak_factor=_unchanged,
        warmup_epochs=_baseline_warmup,
        description="the baseline's own learning rate and warm-up",
        source="DATE Fig. 15.1",
    ),
    "linear": Rule(
        peak_factor=_proportional,
        warmup_epochs=_baseline_warmup,
        description="learning rate times k",
        source="Krizhevsky, arXiv 1404.5997; DATE Fig. 15.2",
    ),
    "linear-warmup": Rule(
        peak_factor=_proportional,
        warmup_epochs=_goyal_warmup,
        description="learning rate times k, 5 epochs of warm-up",
        source="Goyal et al., arXiv 1706.02677, Section 2",
    ),
    "sqrt": Rule(
        peak_factor=math.sqrt,
        warmup_epochs=_baseline_warmup,
        description="learning rate times sqrt(k)",
        source="DATE 2.4",
    ),
    "legw": Rule(
        peak_factor=math.sqrt,
        warmup_epochs=_linear_epoch_warmup,
        description="learning rate times sqrt(k), warm-up epochs times k",
        source="LEGW, arXiv 1901.08256v1, Section 3",
    ),
    "date": Rule(
        peak_factor=math.sqrt,
        warmup_epochs=_linear_epoch_warmup,
        decay=DecaySpec(name="date"),
        description="as legw, then a linear decay to the floor (roller coaster)",
        source="DATE Algorithm 1",
    ),
}
"""The rules by name; the single source for the study schema, the contract tests and `zerotune list`."""


def scale(
    rule: str, baseline: Baseline, *, batch_size: int, epochs: int, on_long_warmup: OnLongWarmup = "error"
) -> Scaled:
    """What `rule` trains with at `batch_size`, from the baseline alone: no tuning.

    Args:
        rule: a name in `RULES`.
        baseline: the configuration tuned at B0.
        batch_size: B, samples, >= 1; above or below B0.
        epochs: E, epochs of the run, >= 1.
        on_long_warmup: where the warm-up is E epochs or more: "error", "clamp" (to E/2) or "keep".

    Raises:
        UnknownName: there is no such rule.
        WarmupTooLong: the warm-up would last E epochs or more, and `on_long_warmup` is "error".
        ValueError: a batch size or `epochs` is below 1, or `on_long_warmup` is none of the three.
    """
    entry = lookup("rule", RULES, rule)
    sizes = (("batch_size", batch_size), ("the baseline's batch_size", baseline.batch_size), ("epochs", epochs))
    for name, value in sizes:
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")
    lookup("on_long_warmup", {"error": None, "clamp": None, "keep": None}, on_long_warmup)
    k = batch_size / baseline.batch_size
    warmup_epochs = entry.warmup_epochs(baseline.schedule.warmup_epochs, k)
    if warmup_epochs >= epochs and on_long_warmup == "error":
        raise WarmupTooLong(
            f"rule {rule!r} at batch size {batch_size}: its warm-up of {warmup_epochs:g} epochs would outlast the run"
            f" of {epochs} epochs; train longer, choose a smaller batch size, or set on_long_warmup to 'clamp'"
            f" ({epochs / 2:g} epochs) or 'keep'."
        )
    if warmup_epochs >= epochs and on_long_warmup == "clamp":
        warmup_epochs = epochs / 2
    schedule = replace(
        baseline.schedule,
        peak_lr=baseline.schedule.peak_lr * entry.peak_factor(k),
        warmup_epochs=warmup_epochs,
        decay=entry.decay or baseline.schedule.decay,
    )
    return Scaled(schedule=schedule, optimizer=baseline.optimizer)
