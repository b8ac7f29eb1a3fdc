"""Costs of trials in every currency, which add up exactly.

The cost of an arm is the sum of its trials' costs. Integers stay integers, so that the ledger adds up to the last
sample and operation.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import reduce
from operator import add
from typing import Any

from ..trainers.spec import EpochMetrics
from .energy import modelled_energy


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Cost of a trial, or the sum of several.

    Attributes:
        trials: trainings that were started.
        epochs: passes over the training data.
        iterations: weight updates.
        samples: training samples processed.
        flops: floating-point operations of training.
        device_seconds: seconds for which devices were held.
        searcher_seconds: seconds that the tuning method took to propose configurations.
        words: words that a data-parallel run communicates: parameters x iterations (one gradient exchange an update).
        peak_memory_bytes: peak memory; the maximum over trials, not a sum.
        measured_joules: energy by the devices' meters (`trainers.energy_meter`) over `metered_seconds`; None without
            any meter.
        metered_seconds: device-seconds with an energy meter. If they are fewer than `device_seconds`,
            `measured_joules` is not the whole energy.
    """

    trials: int = 0
    epochs: int = 0
    iterations: int = 0
    samples: int = 0
    flops: int = 0
    device_seconds: float = 0.0
    searcher_seconds: float = 0.0
    words: int = 0
    peak_memory_bytes: int = 0
    measured_joules: float | None = None
    metered_seconds: float = 0.0

    @property
    def modelled_joules(self) -> float:
        """Modelled energy: 100 pJ an operation plus 2,500 pJ a communicated word (DATE 4.5)."""
        return modelled_energy(self.flops, self.words).joules

    def __add__(self, other: "Cost") -> "Cost":
        return total_cost((self, other))


_NO_SUMS = ("peak_memory_bytes", "measured_joules")
_SUMMED: dict[str, Any] = {f.name: f.default for f in fields(Cost) if f.name not in _NO_SUMS}
"""The amounts that are sums, with their zeros."""

CURRENCIES = ("trials", "epochs", "iterations", "samples", "flops", "device_seconds", "modelled_joules")
"""Costs that comparisons and Pareto fronts can be drawn over."""


def total_cost(costs: Iterable[Cost]) -> Cost:
    """Return the sum of costs; the zero cost without any.

    >>> total_cost([Cost(trials=1, samples=10), Cost(trials=1, samples=5)]).samples
    15
    """
    addends = list(costs)
    sums = {name: reduce(add, [getattr(cost, name) for cost in addends], zero) for name, zero in _SUMMED.items()}
    known = [cost.measured_joules for cost in addends if cost.measured_joules is not None]
    return Cost(
        **sums,
        peak_memory_bytes=max((cost.peak_memory_bytes for cost in addends), default=0),
        measured_joules=reduce(add, known) if known else None,
    )


def device_cost(seconds: float, joules: float | None = None) -> Cost:
    """Return the cost of holding a device.

    Args:
        seconds: seconds for which it is held, >= 0.
        joules: energy in that time by its meter; None without a meter.

    >>> device_cost(2.0).metered_seconds, device_cost(2.0, 30.0).metered_seconds
    (0.0, 2.0)
    """
    return Cost(device_seconds=seconds, measured_joules=joules, metered_seconds=0.0 if joules is None else seconds)


def epochs_cost(epochs: Sequence[EpochMetrics]) -> Cost:
    """Return the cost of epochs, in the currencies that an epoch measures."""
    counts = Cost(
        epochs=len(epochs),
        iterations=sum(epoch.iterations for epoch in epochs),
        samples=sum(epoch.samples for epoch in epochs),
        flops=sum(epoch.flops for epoch in epochs),
        words=sum(epoch.words for epoch in epochs),
    )
    return total_cost((counts, *(device_cost(epoch.device_seconds, epoch.measured_joules) for epoch in epochs)))
