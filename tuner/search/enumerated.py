"""Grid search, random search and published defaults, whose proposals are independent of outcomes."""

import random
from collections.abc import Mapping, Sequence
from typing import Literal

from ...trainers.spec import OptionValue
from ..study import DEFAULT, DEFAULTS
from ..study.search_space import Space, grid_points, sample
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


def grid(space: Space) -> EnumeratedMethod:
    """Return all points of the grid spanned by the space's counts and choices (the papers' comprehensive tuning)."""
    return EnumeratedMethod(grid_points(space))


def random_search(space: Space, *, trials: int, seed: int) -> EnumeratedMethod:
    """Return `trials` points drawn independently from the space (Bergstra and Bengio, 2012)."""
    generator = random.Random(seed)
    return EnumeratedMethod([sample(space, generator) for _ in range(trials)])


def defaults(num: int) -> EnumeratedMethod:
    """Return the first `num` published default configurations, by name, as an alternative to tuning."""
    return EnumeratedMethod([{DEFAULT: name} for name in list(DEFAULTS)[:num]])
