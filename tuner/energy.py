"""Energy of data-parallel training by DATE's model: a price for every operation and every communicated word.

    joules = 1e-12 (100 pJ x operations + 2,500 pJ x words)        (DATE, Section 4.5)
    words  = parameters x iterations x all-reduce factor           (one exchange of the gradients an update)

At fixed epochs the operations do not depend on the batch size B, and the iterations fall as 1/B: a larger batch saves
communication alone. The constants and the factor are arguments. A model, not a measurement: `trainers.energy_meter`
measures. This module must not know trials or studies.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EnergyConstants:
    """Energy of an operation and of a word, in picojoules; the defaults are those of DATE, Section 4.5.

    Attributes:
        picojoules_per_flop: of one floating-point operation, >= 0.
        picojoules_per_word: of moving one word off the chip to a neighbouring node, >= 0.
    """

    picojoules_per_flop: float = 100.0
    picojoules_per_word: float = 2500.0


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Modelled energy in joules, by its use."""

    compute_joules: float
    communication_joules: float

    @property
    def joules(self) -> float:
        """The sum of both."""
        return self.compute_joules + self.communication_joules


@dataclass(frozen=True, kw_only=True)
class TrainingWork:
    """Work of a training, whatever its batch size.

    Attributes:
        flops_per_sample: operations of a forward and a backward pass, a multiply-add counted as two, >= 0.
        num_parameters: trainable parameters, so the words of one exchange, >= 0.
        num_samples: training samples n, >= 1.
        epochs: passes over them, >= 1.
    """

    flops_per_sample: int
    num_parameters: int
    num_samples: int
    epochs: int


def modelled_energy(
    flops: float, words: float, constants: EnergyConstants = EnergyConstants(), *, all_reduce_factor: float = 1.0
) -> Energy:
    """Return the energy of operations and communicated words.

    Args:
        flops: floating-point operations, >= 0.
        words: parameters x iterations, >= 0.
        constants: picojoules of each.
        all_reduce_factor: words that a node sends for each parameter and exchange, >= 0, such as `ring_factor` gives.
            1 is the paper's model.

    >>> modelled_energy(3e12, 4e10)
    Energy(compute_joules=300.0, communication_joules=100.0)
    """
    return Energy(
        compute_joules=1e-12 * (constants.picojoules_per_flop * flops),
        communication_joules=1e-12 * (constants.picojoules_per_word * (words * all_reduce_factor)),
    )


def training_energy(
    work: TrainingWork,
    batch_size: int,
    constants: EnergyConstants = EnergyConstants(),
    *,
    all_reduce_factor: float = 1.0,
) -> Energy:
    """Return the energy of a training at a batch size: T = ceil(E n / B) updates with a gradient exchange each.

    Args:
        work: work of the training.
        batch_size: samples an update B over all nodes, >= 1.
        constants: picojoules of an operation and of a word.
        all_reduce_factor: as for `modelled_energy`.

    Raises:
        ValueError: the batch size is below 1.

    At a batch 128 times as large, the same computation and a 128th of the communication:

    >>> work = TrainingWork(flops_per_sample=7_700_000_000, num_parameters=25_000_000, num_samples=2**20, epochs=1)
    >>> training_energy(work, 256).communication_joules, training_energy(work, 32_768).communication_joules
    (256.0, 2.0)
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
    samples = work.epochs * work.num_samples
    iterations = -(-samples // batch_size)
    return modelled_energy(
        samples * work.flops_per_sample,
        work.num_parameters * iterations,
        constants,
        all_reduce_factor=all_reduce_factor,
    )


def computational_intensity(flops_per_sample: float, num_parameters: int) -> float:
    """Return operations a sample over parameters exchanged an update, which is high for models that scale well.

    DATE counts the forward pass alone; with the forward and backward passes of training, as the ledger counts them, it
    is about three times as large.

    Args:
        flops_per_sample: operations, a multiply-add counted as two, >= 0.
        num_parameters: trainable parameters, >= 1.

    Raises:
        ValueError: there are no parameters.

    Source: DATE, Section 5.1, whose AlexNet and ResNet-50 these are:

    >>> round(computational_intensity(1.5e9, 61_000_000), 1), computational_intensity(7.7e9, 25_000_000)
    (24.6, 308.0)
    """
    if num_parameters < 1:
        raise ValueError(f"num_parameters must be at least 1, got {num_parameters}.")
    return flops_per_sample / num_parameters


def ring_factor(num_nodes: int) -> float:
    """Return the words that each node of a ring all-reduce sends for a parameter: 2 (p - 1) / p.

    Args:
        num_nodes: p, >= 1; a single node sends nothing.

    Raises:
        ValueError: there is no node.

    Source: Patarasuk and Yuan, Bandwidth optimal all-reduce algorithms for clusters of workstations, 2009.

    >>> ring_factor(1), ring_factor(2), ring_factor(128)
    (0.0, 1.0, 1.984375)
    """
    if num_nodes < 1:
        raise ValueError(f"num_nodes must be at least 1, got {num_nodes}.")
    return 2 * (num_nodes - 1) / num_nodes
