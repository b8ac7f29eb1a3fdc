"""What trials cost, in every currency, added up exactly.

A `Cost` is a sum type: costs add, and an arm's cost is the sum of its trials' costs. Integers stay integers, so the
ledger adds up to the last sample and operation. The energy model is DATE, Section 4.5.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields

PICOJOULES_PER_FLOP = 100.0
"""Energy of one floating-point operation (DATE 4.5)."""
PICOJOULES_PER_WORD = 2500.0
"""Energy of moving one word to a neighbouring node (DATE 4.5)."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The price of one trial, or the sum of several.

    Attributes:
        trials: trainings that were started.
        epochs: passes over the training data.
        iterations: weight updates.
        samples: training samples processed.
        flops: floating-point operations of training.
        device_seconds: seconds a device was held.
        searcher_seconds: seconds the tuning method itself took to propose configurations.
        words: words a data-parallel run moves: parameters x iterations (one gradient exchange an update).
        peak_memory_bytes: the largest over the trials; this one is a maximum, not a sum.
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

    @property
    def modelled_joules(self) -> float:
        """Energy by the paper's model: 100 pJ an operation plus 2,500 pJ a word moved (DATE 4.5)."""
        return 1e-12 * (PICOJOULES_PER_FLOP * self.flops + PICOJOULES_PER_WORD * self.words)

    def __add__(self, other: "Cost") -> "Cost":
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        sums["peak_memory_bytes"] = max(self.peak_memory_bytes, other.peak_memory_bytes)
        return Cost(**sums)


CURRENCIES = ("trials", "epochs", "iterations", "samples", "flops", "device_seconds", "modelled_joules")
"""The cost axes a comparison or a Pareto front can be drawn over."""


def total(costs: Iterable[Cost]) -> Cost:
    """The sum of costs; of none, the zero cost.

    >>> total([Cost(trials=1, samples=10), Cost(trials=1, samples=5)]).samples
    15
    """
    result = Cost()
    for cost in costs:
        result = result + cost
    return result
