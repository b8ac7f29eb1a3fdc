"""Methods whose proposals are independent of outcomes: grid search, random search and published defaults."""

import random
from collections.abc import Mapping, Sequence
from typing import Literal

from ...trainers.spec import OptionValue
from ..study.search_space import Space, sample, value_at
from .method import Outcome, Proposal


class EnumeratedMethod:
    """A method that proposes a fixed list of points, in order."""

    def __init__(self, points: Sequence[Mapping[str, OptionValue]]) -> None:
        self._points = points
        self._next = 0

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
