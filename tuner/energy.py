"""Energy of data-parallel training by DATE's model: a price for every operation and every communicated word.

    joules = 1e-12 (100 pJ x operations + 2,500 pJ x words)        (DATE, Section 4.5)
    words  = parameters x iterations x all-reduce factor           (one exchange of the gradients an update)

At fixed epochs the operations do not depend on the batch size B, and the iterations fall as 1/B: a larger batch saves
communication alone. A model, not a measurement: `trainers.energy_meter` measures. This module must not know trials or
studies.
"""

from dataclasses import dataclass

PICOJOULES_PER_FLOP = 100.0
"""Energy of one floating-point operation."""
PICOJOULES_PER_WORD = 2500.0
"""Energy of moving one word off the chip to a neighbouring node."""


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Modelled energy in joules, by its use."""

    compute_joules: float
    communication_joules: float

    @property
    def joules(self) -> float:
        """The sum of both."""
        return self.compute_joules + self.communication_joules


def modelled_energy(flops: float, words: float, *, all_reduce_factor: float = 1.0) -> Energy:
    """Return the energy of operations and communicated words.

    Args:
        flops: floating-point operations, >= 0.
        words: parameters x iterations, >= 0.
        all_reduce_factor: words that a node sends for each parameter and exchange, >= 0. 1 is the paper's model.

    >>> modelled_energy(3e12, 4e10)
    Energy(compute_joules=300.0, communication_joules=100.0)
    """
    return Energy(
        compute_joules=1e-12 * (PICOJOULES_PER_FLOP * flops),
        communication_joules=1e-12 * (PICOJOULES_PER_WORD * (words * all_reduce_factor)),
    )
