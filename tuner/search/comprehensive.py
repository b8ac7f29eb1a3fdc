"""Comprehensive tuning: the solver is searched too, the rules are tried first, and the finalists race over seeds.

The trials are spent in stages, each of which rests on the outcomes of the earlier ones alone:

1. *Rules*: what the study's rules propose, so that the search never loses to a rule by not looking.
2. *Solvers*: Sobol points of every solver, in its own ranges; after each stage the worse half of the solvers is left.
3. *Best solver*: more of its Sobol points. Where its best learning rate lies at an end of its range, the range is
   extended there.
4. *Race*: the best configurations again on further seeds, the worst of them left after each round. The choice has the
   best mean over the most seeds, so it is less often the luckiest.

Source: Sobol points, Bousquet et al. (arXiv 1706.03200); successive halving, Jamieson and Talwalkar (arXiv 1502.07943);
racing, Lindauer et al., SMAC3 (arXiv 2109.09831).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from statistics import fmean
from typing import Literal

from ...trainers.spec import OptionValue
from ..study.comprehensive import OPTIMIZER, RULE
from ..study.search_space import Float, Space, place_in, value_at
from .enumerated import sobol_fractions
from .method import Outcome, Proposal

FINALISTS = 3
"""Configurations that enter the race."""

STAGE = 4
"""Most trials of a stage with one solver: its best learning rate is looked at after each."""

END = 0.1
"""A best learning rate in this share of its range, from either end, extends the range."""

EXTENSION = 2.0
"""Factor by which a range is extended, and by which the next learning rate lies beyond the best."""


def num_raced(trials: int) -> int:
    """Return how many of the trials race: about a quarter, in whole rounds; none of fewer than 12.

    With fewer, another point is worth more than another seed (benchmarks/replay.py).

    >>> [num_raced(trials) for trials in (8, 12, 24, 50)]
    [0, 3, 5, 11]
    """
    share = trials // 4
    return FINALISTS + (share - FINALISTS) // 2 * 2 if share >= FINALISTS else 0


@dataclass(kw_only=True, eq=False)
class _Tried:
    """A configuration that was tried: its solver, its values, and its score for every seed, None where it failed."""

    solver: str
    params: Mapping[str, OptionValue]
    scores: list[float | None] = field(default_factory=list)

    @property
    def rank(self) -> tuple[bool, float]:
        """Larger is better: those that failed are last."""
        scores = [score for score in self.scores if score is not None]
        return len(scores) == len(self.scores) > 0, fmean(scores) if scores else 0.0


class Comprehensive:
    """Search over solvers, each with its own space, in stages.

    Args:
        spaces: space of every solver by its name, in the order in which few trials take them; each has "lr".
        rules: arms of the study that are rules, as (arm, solver).
        trials: number of proposals, >= 1.
        seed: seed of the Sobol points.
    """

    def __init__(
        self, spaces: Mapping[str, Space], rules: Sequence[tuple[str, str]], *, trials: int, seed: int
    ) -> None:
        self._spaces = {solver: dict(space) for solver, space in spaces.items()}
        self._rules = rules[: trials // 4]
        self._trials = trials
        self._points = {
            solver: iter(sobol_fractions(len(space), trials=trials, seed=(seed + number) % 2**32))
            for number, (solver, space) in enumerate(spaces.items())
        }
        self._tried: list[_Tried] = []
        self._asked: list[_Tried] = []
        self._scores: dict[int, float | None] = {}
        self._stages = self._plan()
        self._stage: list[_Tried] = []

    def ask(self) -> Proposal | Literal["wait", "done"]:
        """Return the next proposal, or "wait" at the end of a stage until all its outcomes are told."""
        while not self._stage:
            if len(self._scores) < len(self._asked):
                return "wait"
            self._sort_scores()
            following = next(self._stages, None)
            if following is None:
                return "done"
            self._stage = following
        tried = self._stage.pop(0)
        index, repeat = len(self._asked), sum(each is tried for each in self._asked)
        self._asked.append(tried)
        return Proposal(index=index, params=tried.params, repeat=repeat)

    def report(self, index: int, epoch: int, score: float) -> bool:
        """Return True, because no trial is pruned."""
        return True

    def tell(self, index: int, outcome: Outcome) -> None:
        """Receive an outcome, which counts once its stage is complete."""
        self._scores[index] = outcome.score

    def _sort_scores(self) -> None:
        """Give every configuration its scores, in the order of its proposals."""
        for tried in self._tried:
            tried.scores = [self._scores[index] for index, each in enumerate(self._asked) if each is tried]

    def _plan(self) -> Iterator[list[_Tried]]:
        yield [self._try(solver, {RULE: arm, OPTIMIZER: solver}) for arm, solver in self._rules]
        left = self._trials - len(self._rules) - num_raced(self._trials)
        solvers = list(self._spaces)[: max(1, left // 3)]
        while len(solvers) > 1:
            share = max(1, left // (2 * len(solvers))) * len(solvers)
            yield [self._next_point(solver) for solver in islice(cycle(solvers), share)]
            left -= share
            solvers = sorted(solvers, key=lambda solver: self._best(solver).rank, reverse=True)[: len(solvers) // 2]
        while left:
            extended = [point for point in (self._extend(solvers[0]),) if point is not None]
            size = min(left, STAGE)
            yield [*extended, *(self._next_point(solvers[0]) for _ in range(size - len(extended)))]
            left -= size
        yield from self._race(num_raced(self._trials))

    def _race(self, left: int) -> Iterator[list[_Tried]]:
        ranked = sorted(self._tried, key=lambda tried: tried.rank, reverse=True)
        finalists = [tried for tried in ranked if tried.rank[0]][: min(FINALISTS, left)]
        while finalists and left >= len(finalists):
            yield list(finalists)
            left -= len(finalists)
            finalists = sorted(finalists, key=lambda tried: tried.rank, reverse=True)[: max(2, len(finalists) - 1)]

    def _try(self, solver: str, params: Mapping[str, OptionValue]) -> _Tried:
        self._tried.append(_Tried(solver=solver, params=params))
        return self._tried[-1]

    def _next_point(self, solver: str) -> _Tried:
        space, fractions = self._spaces[solver], next(self._points[solver])
        values = {name: value_at(param, share) for (name, param), share in zip(space.items(), fractions, strict=True)}
        return self._try(solver, {OPTIMIZER: solver, **values})

    def _best(self, solver: str) -> _Tried:
        return max((tried for tried in self._tried if tried.solver == solver), key=lambda tried: tried.rank)

    def _extend(self, solver: str) -> _Tried | None:
        """Return the best of a solver's own points with a learning rate beyond an end of its range, if it lies there.

        The range then includes it.
        """
        own = [tried for tried in self._tried if tried.solver == solver and "lr" in tried.params]
        best = max(own, key=lambda tried: tried.rank, default=None)
        param = self._spaces[solver]["lr"]
        if best is None or not isinstance(param, Float) or not best.rank[0]:
            return None
        lr = float(best.params["lr"])  # type: ignore[arg-type]  # values of a Float are numbers
        place = place_in(param, lr)
        if END < place < 1 - END:
            return None
        lr = lr * EXTENSION if place >= 1 - END else lr / EXTENSION
        low, high = min(param.low, lr), max(param.high, lr)
        self._spaces[solver]["lr"] = Float(low=low, high=high, scale=param.scale)
        return self._try(solver, {**best.params, "lr": lr})
