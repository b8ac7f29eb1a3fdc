"""Grids of trainings over learning rate and batch size: the best learning rate at each batch, and what another loses.

A grid is one model and one amount of data, trained at several batch sizes with several learning rates each. Losses are
lower if better; the reader of a table turns other scores around. Pure functions of numbers: this module must not know
files, rules or how anything is shown.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from statistics import fmean
from typing import Literal

from .evidence import Interval

CLIFF_SHARE, CLIFF_RATIO = 0.1, 10.0
"""A neighbour collapsed if it is worse than the best by more than this share of the best's loss, and by more than so
many times what the other neighbour is: a parabola through it would have its minimum where nothing was measured."""

EDGE = 1e-9
"""By how much of a learning rate the end of a grid may be missed, for rounding."""

Flag = Literal["lowest", "highest", "cliff"]
"""Why a batch size has no best learning rate: it is the lowest or highest that was tried, or a neighbour collapsed."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training.

    Attributes:
        grid: name of its grid.
        lr: peak learning rate, > 0.
        batch_size: in the table's unit, >= 1.
        loss: lower is better; infinite if it diverged.
        parameters: size of the model; None if it is not known.
        tokens: samples that it was trained on, in the table's unit; None if not known.
    """

    grid: str
    lr: float
    batch_size: int
    loss: float
    parameters: float | None = None
    tokens: float | None = None


@dataclass(frozen=True, kw_only=True)
class Best:
    """The minimum of the parabola in log(lr) through the best training and its two neighbours.

    Attributes:
        log_lr: logarithm of the best learning rate.
        loss: loss there, at most the lowest that was measured.
        curvature: a of loss + a (log(lr) - log_lr)^2, > 0.
        low: logarithm of the lower neighbour's learning rate.
        high: of the higher neighbour's.
    """

    log_lr: float
    loss: float
    curvature: float
    low: float
    high: float

    @property
    def lr(self) -> float:
        """The best learning rate."""
        return math.exp(self.log_lr)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Loss against the learning rate at one batch size, by ascending learning rate.

    Attributes:
        best: the best learning rate; None if it cannot be told.
        flag: why it cannot; None if it can.
    """

    log_lrs: tuple[float, ...]
    losses: tuple[float, ...]
    best: Best | None
    flag: Flag | None

    def loss_at(self, log_lr: float) -> float:
        """Return the loss at a learning rate: by the parabola between the best's neighbours, else linear in log(lr).

        Infinite outside the grid, which is never extrapolated, and beside a training that diverged.
        """
        best, lrs = self.best, self.log_lrs
        if not lrs[0] - EDGE <= log_lr <= lrs[-1] + EDGE:
            return math.inf
        if best is not None and best.low <= log_lr <= best.high:
            return best.loss + best.curvature * (log_lr - best.log_lr) ** 2
        place = min(max(bisect_right(lrs, log_lr), 1), len(lrs) - 1)
        share = min(max((log_lr - lrs[place - 1]) / (lrs[place] - lrs[place - 1]), 0.0), 1.0)
        low, high = self.losses[place - 1], self.losses[place]
        if share in (0.0, 1.0):  # 0 times infinity is no number
            return high if share else low
        return low + share * (high - low)

    def covers(self, log_lr: float) -> bool:
        """Return whether a learning rate lies within the grid."""
        return self.log_lrs[0] - EDGE <= log_lr <= self.log_lrs[-1] + EDGE


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The trainings of one model on one amount of data.

    Attributes:
        curves: the curve at each batch size, ascending.
    """

    name: str
    parameters: float | None
    tokens: float | None
    curves: Mapping[int, Curve] = field(default_factory=dict)

    @cached_property
    def bests(self) -> dict[int, Best]:
        """The best learning rate at each batch size where it can be told."""
        return {batch_size: curve.best for batch_size, curve in self.curves.items() if curve.best is not None}

    @cached_property
    def lowest(self) -> float | None:
        """The lowest loss at any batch size's best learning rate."""
        return min((best.loss for best in self.bests.values()), default=None)


def build_grids(trainings: Iterable[Training]) -> tuple[Grid, ...]:
    """Sort trainings into grids, by parameters, tokens and name. Trainings of the same cell are averaged."""
    cells: dict[str, dict[int, dict[float, list[float]]]] = {}
    facts: dict[str, Training] = {}
    for one in trainings:
        facts.setdefault(one.grid, one)
        cells.setdefault(one.grid, {}).setdefault(one.batch_size, {}).setdefault(one.lr, []).append(one.loss)
    grids = [
        Grid(
            name=name,
            parameters=facts[name].parameters,
            tokens=facts[name].tokens,
            curves={batch_size: build_curve(column) for batch_size, column in sorted(cells[name].items())},
        )
        for name in cells
    ]
    return tuple(sorted(grids, key=lambda grid: (grid.parameters or 0.0, grid.tokens or 0.0, grid.name)))


def build_curve(column: Mapping[float, Sequence[float]]) -> Curve:
    """Return the curve of losses by learning rate.

    >>> curve = build_curve({0.5: [1.0], 1.0: [0.0], 2.0: [1.0], 4.0: [2.0]})
    >>> curve.best.lr, curve.best.loss, curve.flag
    (1.0, 0.0, None)
    >>> build_curve({1.0: [0.0], 2.0: [1.0], 4.0: [2.0]}).flag
    'lowest'
    """
    lrs = sorted(column)
    log_lrs, losses = tuple(math.log(lr) for lr in lrs), tuple(fmean(column[lr]) for lr in lrs)
    place = min(range(len(losses)), key=losses.__getitem__)
    flag = _flag(losses, place)
    best = None if flag else _parabola(log_lrs[place - 1 : place + 2], losses[place - 1 : place + 2])
    return Curve(log_lrs=log_lrs, losses=losses, best=best, flag=flag)


def _flag(losses: Sequence[float], place: int) -> Flag | None:
    if place == 0:
        return "lowest"
    if place == len(losses) - 1:
        return "highest"
    low, high = sorted(losses[beside] - losses[place] for beside in (place - 1, place + 1))
    if not math.isfinite(high) or high > max(CLIFF_SHARE * abs(losses[place]), CLIFF_RATIO * low):
        return "cliff"
    return None


def _parabola(x: Sequence[float], y: Sequence[float]) -> Best:
    """Return the minimum of the parabola through three points, the middle one of which is the lowest."""
    left, right = (y[1] - y[0]) / (x[1] - x[0]), (y[2] - y[1]) / (x[2] - x[1])
    curvature = (right - left) / (x[2] - x[0])
    if curvature <= 0.0:  # three equal losses
        return Best(log_lr=x[1], loss=y[1], curvature=0.0, low=x[0], high=x[2])
    log_lr = (x[0] + x[1]) / 2 - left / (2 * curvature)
    return Best(log_lr=log_lr, loss=y[1] - curvature * (x[1] - log_lr) ** 2, curvature=curvature, low=x[0], high=x[2])


def lr_exponent(grid: Grid) -> Interval | None:
    """Return p of best lr = constant x B^p by least squares in logarithms, with Student's 95% interval.

    None with fewer than three batch sizes that have a best learning rate. The interval is that of the scatter around
    the line; where the best learning rate levels off, no line is right.
    """
    points = [(math.log(batch_size), best.log_lr) for batch_size, best in grid.bests.items()]
    return fit_slope(points) if len(points) > 2 else None


def fit_slope(points: Sequence[tuple[float, float]]) -> Interval:
    """Return the slope of a line by least squares, with Student's 95% interval; at least three points.

    >>> slope = fit_slope([(0.0, 0.0), (1.0, 1.5), (2.0, 2.0)])
    >>> round(slope.mean, 3), round(slope.low, 2), round(slope.high, 2)
    (1.0, -2.67, 4.67)
    """
    from scipy import special  # takes a while to import, and is needed only at the end

    middle_x, middle_y = fmean(x for x, _ in points), fmean(y for _, y in points)
    spread = math.fsum((x - middle_x) ** 2 for x, _ in points)
    slope = math.fsum((x - middle_x) * (y - middle_y) for x, y in points) / spread
    left = math.fsum((y - middle_y - slope * (x - middle_x)) ** 2 for x, y in points)
    width = float(special.stdtrit(len(points) - 2, 0.975)) * math.sqrt(left / (len(points) - 2) / spread)
    return Interval(mean=slope, low=slope - width, high=slope + width)


def largest_batch(grid: Grid, tolerance: float) -> float | None:
    """Return the largest batch size whose own best loss is within a tolerance of the grid's lowest.

    Interpolated in log(B) to where the bests, above the best batch size, first exceed the tolerance. None if the
    largest batch size is still within it, or no best is known.
    """
    bests, lowest = grid.bests, grid.lowest
    if lowest is None:
        return None
    sizes = sorted(bests)
    start = min(sizes, key=lambda size: bests[size].loss)
    for small, large in pairwise(size for size in sizes if size >= start):
        low, high = bests[small].loss - lowest, bests[large].loss - lowest
        if high > tolerance:
            share = (tolerance - low) / (high - low)
            return math.exp(math.log(small) + share * (math.log(large) - math.log(small)))
    return None


def token_slope(grids: Sequence[Grid], grid: Grid) -> float | None:
    """Return by how much the lowest loss falls for each factor e of tokens, near a grid's tokens.

    The slope between the neighbouring amounts of tokens at the same model size, on both sides where there are both.
    None without another amount, or if the loss does not fall.
    """
    lowest: dict[float, float] = {}
    for other in grids:
        if other.parameters == grid.parameters and other.tokens and other.lowest is not None:
            lowest[other.tokens] = min(other.lowest, lowest.get(other.tokens, math.inf))
    amounts = sorted(lowest)
    if len(amounts) < 2 or grid.tokens not in lowest:
        return None
    place = amounts.index(grid.tokens)
    low, high = amounts[max(place - 1, 0)], amounts[min(place + 1, len(amounts) - 1)]
    slope = (lowest[low] - lowest[high]) / math.log(high / low)
    return slope if slope > 0 else None
