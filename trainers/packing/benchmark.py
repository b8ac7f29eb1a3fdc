"""Measure whether trainings are faster in a pack on the device that they will run on.

This module must not know which trainings there will be.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from ..flops_and_memory import device_model
from ..loop import Training
from ..memory import is_out_of_memory
from ..process_state import keep_process_state
from ..spec import Placement, TrainConfig
from .packed_training import PackedTraining, pack_problem

PACK_SIZES = (2, 4, 8, 16, 32, 64, 128)
"""Pack sizes to try, ascending."""
WORTHWHILE = 1.1
"""A pack must be this many times as fast as training alone to be worth its memory."""
ALWAYS_TRIED = 8
"""Sizes up to this are always measured, since small packs can be slower although larger ones are faster."""
ROUNDS = 3
ROUND_SECONDS = 0.15
"""Duration of a round of training alone."""
SAME_DIGITS = 1e-9
"""Relative difference of weights that float64 rounding can cause in a few updates."""


@dataclass(frozen=True, kw_only=True)
class PackSpeed:
    """Seconds of a training's update, alone and in packs.

    Attributes:
        device: model of the device they were measured on.
        alone: median seconds of an update.
        packed: pack size -> median seconds of an update divided by the size; empty if packs are impossible.
        problem: why packs are impossible; empty if they are possible.
    """

    device: str
    alone: float
    packed: Mapping[int, float] = field(default_factory=dict)
    problem: str = ""

    @property
    def best(self) -> int:
        """The best pack size; 1 if no pack is worthwhile.

        >>> PackSpeed(device="", alone=1.0, packed={2: 1.3, 4: 0.8, 8: 0.6, 16: 0.59}).best
        8
        >>> PackSpeed(device="", alone=1.0, packed={2: 1.3, 4: 0.95}).best
        1
        """
        limit = min([self.alone / WORTHWHILE, *(1.05 * seconds for seconds in self.packed.values())])
        return min((size for size, seconds in self.packed.items() if seconds <= limit), default=1)

    def is_worthwhile(self, number: int) -> bool:
        """Return whether a pack of this size is worthwhile, judged by the largest measured size up to it.

        >>> speed = PackSpeed(device="", alone=1.0, packed={2: 1.3, 4: 0.8, 8: 0.6})
        >>> speed.is_worthwhile(3), speed.is_worthwhile(5)
        (False, True)
        """
        below = [size for size in self.packed if size <= number]
        return bool(below) and self.packed[max(below)] <= self.alone / WORTHWHILE

    @property
    def gain(self) -> float:
        """Speed-up of the best size over training alone, in trainings an hour; 1 for training alone."""
        return self.alone / self.packed[self.best] if self.best > 1 else 1.0


@keep_process_state()
def measure_packs(config: TrainConfig, placement: Placement, sizes: Sequence[int] = PACK_SIZES) -> PackSpeed:
    """Time a few updates of a training alone and in packs, alternately.

    First, two trainings with different learning rates are compared with the same trainings in a pack, in float64. A
    model whose results differ is not packed. Larger sizes are skipped once they gain less than a twentieth, or do not
    fit into memory. At most the updates of an epoch are timed.

    Args:
        config: configuration of the training; its schedule and seed do not matter.
        placement: where to train; its checkpoint is not used.
        sizes: sizes to try, ascending.

    Raises:
        ValueError: the configuration cannot be trained.
        DataError: the data source's files cannot be used.
    """
    placement = replace(placement, checkpoint=None)
    problem = pack_problem(config) or _find_difference(config, placement)
    training = Training(config, placement)
    single, in_epoch = _seconds_per_update(training, 1), len(training.data.train) // config.batch_size
    device = device_model(placement.device)
    if problem is not None:
        return PackSpeed(device=device, alone=single, problem=problem)
    updates = min(in_epoch, max(2, min(50, int(ROUND_SECONDS / single))))
    singles = [single]
    relative: dict[int, float] = {}
    for size in sizes:
        updates_packed = min(in_epoch, max(2, updates // size))
        try:
            rounds = [
                (
                    _seconds_per_update(Training(config, placement), updates),
                    _seconds_per_update(PackedTraining([config] * size, placement), updates_packed) / size,
                )
                for _ in range(ROUNDS)
            ]
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            break
        # Compare only what was timed alternately, since the machine may be busier a second later.
        singles += [one for one, _ in rounds]
        best_before = min(relative.values(), default=float("inf"))
        relative[size] = statistics.median(seconds / one for one, seconds in rounds)
        if size >= ALWAYS_TRIED and relative[size] > 0.95 * best_before:
            break
    alone = statistics.median(singles)
    return PackSpeed(device=device, alone=alone, packed={size: ratio * alone for size, ratio in relative.items()})


def _seconds_per_update(training: Training | PackedTraining, num_updates: int) -> float:
    """Time an update as the mean of so many; an epoch must have as many."""
    training.time_updates(1)  # warm-up: memory is allocated and kernels are chosen
    return training.time_updates(num_updates) / num_updates


def _find_difference(config: TrainConfig, placement: Placement) -> str | None:
    """Say how a training in a pack differs from the same training alone, as a clause; None if it does not."""
    exact = replace(config, recipe=replace(config.recipe, precision="float64"))
    peaks = [config.schedule.peak_lr, config.schedule.peak_lr / 2]
    pair = [replace(exact, schedule=replace(config.schedule, peak_lr=peak)) for peak in peaks]
    try:
        pack = PackedTraining(pair, placement)
        pack.time_updates(2)
    except RuntimeError as error:  # torch.func's, for an operation that it cannot stack
        return f"torch.func cannot stack its model ({str(error).strip().splitlines()[0]})"
    for row, each in enumerate(pair):
        training = Training(each, placement)
        training.time_updates(2)
        for name, weights in training.model.named_parameters():
            if not torch.allclose(pack.weights(row)[name], weights, rtol=SAME_DIGITS, atol=SAME_DIGITS):
                return f"its weights {name!r} differ in a pack from those of training alone"
    return None
