"""Methods whose proposals are independent of outcomes: grid search, random search and published defaults."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from ...trainers.spec import OptionValue
from ..study.search_space import Space, grid_points, sample, value_at
from .method import Outcome, Proposal


class EnumeratedMethod:
    """A method that proposes a fixed list of points, in order."""

    def __init__(self, points: Sequence[Mapping[str, OptionValue]]) -> None:
        self._points = points
        self._next = 0

    def mapped(self, function: Callable[[Mapping[str, OptionValue]], Mapping[str, OptionValue]]) -> "EnumeratedMethod":
        """Return a method that proposes what a function makes of the points."""
        return EnumeratedMethod([function(point) for point in self._points])

    def start_from(self, params: Mapping[str, OptionValue]) -> None:
        """Propose these first, and leave the last point out for them."""
        self._points = [params, *self._points[:-1]]

    def ask(self) -> Proposal | Literal["wait", "done"]:
        """Return the next point of the list."""
        if self._next == len(self._points):
            return "done"
        self._next += 1
        return Proposal(index=self._next - 1, params=self._points[self._next - 1])

    def report(self, index: int, epoch: int, score: float) -> bool:
        """Return True, because no trial is pruned."""
        return True

    def tell(self, index: int, outcome: Outcome) -> None:
        """Ignore the outcome."""


def grid_search(space: Space, *, earlier: Iterable[Space] = ()) -> EnumeratedMethod:
    """Return every point of a grid; the points of an earlier grid, which it holds, come first."""
    found: dict[tuple[OptionValue, ...], None] = {}
    for grid in (*earlier, space):
        points = grid_points({name: grid[name] for name in space})
        found |= dict.fromkeys(tuple(point.values()) for point in points)
    return EnumeratedMethod([dict(zip(space, values, strict=True)) for values in found])


def random_search(space: Space, *, trials: int, seed: int) -> EnumeratedMethod:
    """Return `trials` points drawn independently from the space (Bergstra and Bengio, 2012)."""
    generator = random.Random(seed)
    return EnumeratedMethod([sample(space, generator) for _ in range(trials)])


def sobol_search(space: Space, *, trials: int, seed: int) -> EnumeratedMethod:
    """Return `trials` points of `sobol_points`, which cover the space more evenly than random draws."""
    return EnumeratedMethod(sobol_points(space, trials=trials, seed=seed))


def sobol_points(space: Space, *, trials: int, seed: int) -> list[dict[str, OptionValue]]:
    """Return the first `trials` points of a scrambled Sobol sequence over the space, each uniform on its scale.

    Source: Owen, Scrambling Sobol' and Niederreiter-Xing points (1998).
    """
    return [
        {name: value_at(param, fraction) for (name, param), fraction in zip(space.items(), point, strict=True)}
        for point in sobol_fractions(len(space), trials=trials, seed=seed)
    ]


def sobol_fractions(dimensions: int, *, trials: int, seed: int) -> list[list[float]]:
    """Return the first `trials` points of a scrambled Sobol sequence in the unit cube."""
    from scipy.stats import qmc  # half a second to import

    sequence = qmc.Sobol(dimensions, scramble=True, rng=seed)
    points: list[list[float]] = sequence.random_base2((trials - 1).bit_length()).tolist()  # a power of 2 is balanced
    return points[:trials]
