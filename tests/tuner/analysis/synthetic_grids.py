"""Grids of trainings whose best learning rates and curvature are known.

A learning rate that is one octave from the best loses `OCTAVE`, two octaves four times that. Learning rates are powers
of two, so that what is read between them on a line is read at a training.
"""

import math
from collections.abc import Callable, Sequence

from zerotune.tuner.analysis.learning_rate_grids import Training

OCTAVE = 0.008
SIZES = (16, 64, 256, 1024)
OCTAVES = range(-6, 7)


def trainings(
    best_octave: Callable[[int], float],
    *,
    grid: str = "one",
    parameters: float | None = None,
    tokens: float | None = None,
    sizes: Sequence[int] = SIZES,
    octaves: Sequence[int] = OCTAVES,
    lowest: Callable[[int], float] = lambda batch_size: 2.0,
) -> list[Training]:
    """Return a grid whose best learning rate at a batch size is 2^`best_octave`, with the loss `lowest` there."""
    return [
        Training(
            grid=grid,
            lr=2.0**octave,
            batch_size=size,
            loss=lowest(size) + OCTAVE * (octave - best_octave(size)) ** 2,
            parameters=parameters,
            tokens=tokens,
        )
        for size in sizes
        for octave in octaves
    ]


def half_power(batch_size: int) -> float:
    """Return the octave of a best learning rate in proportion to sqrt(B), 1 at B = 64."""
    return math.log2(batch_size / 64) / 2
