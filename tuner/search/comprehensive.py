"""Comprehensive tuning: the solver is searched too, the rules are tried first, and the finalists race over seeds.

The trials are spent in stages, each of which rests on the outcomes of the earlier ones alone:

1. *Rules*: what the study's rules propose, so that the search never loses to a rule by not looking, and before them
   what the search starts from, if it starts from a neighbour.
2. *Solvers*: Sobol points of every solver, in its own ranges; a rule's proposal for a solver counts as one. After each
   stage the worse half of the solvers is left.
3. *Best solver*: more of its Sobol points, up to half of those it gets in all; then points that a tree-structured
   Parzen estimator proposes from its outcomes. Where its best learning rate lies at an end of its range, the range is
   extended there.
4. *Race*: the best configurations again on further seeds, the worst of them left after each round. The choice has the
   best mean over the most seeds, so it is less often the luckiest.

Source: Sobol points, Bousquet et al. (arXiv 1706.03200); the estimator, Bergstra et al. (NeurIPS 2011); successive
halving, Jamieson and Talwalkar (arXiv 1502.07943); racing, Lindauer et al., SMAC3 (arXiv 2109.09831).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

from ...trainers.spec import OptionValue
from ..study.comprehensive import OPTIMIZER, RULE
from ..study.search_space import Float, Space, is_number, place_in, value_at
from .enumerated import sobol_fractions
from .method import Outcome, Proposal

FINALISTS = 3
"""Configurations that enter the race."""

STAGE = 4
"""Most trials of a stage with one solver: its best learning rate is looked at after each."""

NUM_FIRST = 2
"""Fewest points of every solver before one of them is left; what a rule proposes for a solver is one."""

SOLVER_COST = 6
"""Trials for which one more solver is tried."""

END = 0.1
"""A best learning rate in this share of its range, from either end, extends the range."""

EXTENSION = 2.0
"""Factor by which a range is extended, and by which the next learning rate lies beyond the best."""


def num_raced(trials: int) -> int:
    """Return how many of the trials race: about a quarter, in whole rounds; none of fewer than 16.

    With fewer, another point is worth more than another seed (benchmarks/replay.py).

    >>> [num_raced(trials) for trials in (12, 16, 24, 50)]
    [0, 3, 5, 11]
    """
    share = trials // 4
    return FINALISTS + (share - FINALISTS) // 2 * 2 if share > FINALISTS else 0


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
        seed: seed of the Sobol points, and of what is proposed from outcomes.
    """

    def __init__(
        self, spaces: Mapping[str, Space], rules: Sequence[tuple[str, str]], *, trials: int, seed: int
    ) -> None:
        self._spaces = {solver: dict(space) for solver, space in spaces.items()}
        self._rules: list[tuple[str, Mapping[str, OptionValue]]] = [
            (solver, {RULE: arm, OPTIMIZER: solver}) for arm, solver in rules[: trials // 4]
        ]
        self._trials, self._seed = trials, seed
        self._points = {
            solver: iter(sobol_fractions(len(space), trials=trials, seed=(seed + number) % 2**32))
            for number, (solver, space) in enumerate(spaces.items())
        }
        self._tried: list[_Tried] = []
        self._asked: list[_Tried] = []
        self._scores: dict[int, float | None] = {}
        self._stages = self._plan()
        self._stage: list[_Tried] = []

    def start_from(self, params: Mapping[str, OptionValue]) -> None:
        """Propose these first, before the rules; they name their solver, whose learning rates then range to theirs."""
        solver = str(params[OPTIMIZER])
        self._rules = [(solver, params), *self._rules]
        if is_number(lr := params.get("lr")):
            self._include(solver, lr)

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
        yield [self._try(solver, params) for solver, params in self._rules]
        left = self._trials - len(self._rules) - num_raced(self._trials)
        solvers = list(self._spaces)[: left // SOLVER_COST + 1]
        while len(solvers) > 1:
            each = max(NUM_FIRST, left // (2 * len(solvers)))
            stage = [solver for number in range(each) for solver in solvers if number >= self._num_by_rules(solver)]
            yield [self._next_point(solver) for solver in stage]
            left -= len(stage)
            solvers = sorted(solvers, key=lambda solver: self._best(solver).rank, reverse=True)[: len(solvers) // 2]
        solver = solvers[0]
        num_sobol = max(STAGE, (len(self._own_points(solver)) + left) // 2)
        while left:
            extended = [point for point in (self._extend(solver),) if point is not None]
            size, missing = min(left, STAGE), num_sobol - len(self._own_points(solver))
            if missing > 0:
                size = min(size, missing + len(extended))
                yield [*extended, *(self._next_point(solver) for _ in range(size - len(extended)))]
            else:
                yield [*extended, *self._learned_points(solver, size - len(extended))]
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

    def _num_by_rules(self, solver: str) -> int:
        """Return how many of the rules propose for a solver."""
        return sum(each == solver for each, _ in self._rules)

    def _own_points(self, solver: str) -> list[_Tried]:
        """Return the points of a solver's space that were tried; a rule's proposal is none."""
        return [tried for tried in self._tried if tried.solver == solver and RULE not in tried.params]

    def _learned_points(self, solver: str, num: int) -> list[_Tried]:
        """Return further points, learned from the solver's own that did not fail."""
        from .optuna_search import propose  # 0.15 s to import

        space, own = self._spaces[solver], [tried for tried in self._own_points(solver) if tried.rank[0]]
        seed = (self._seed + len(self._asked)) % 2**32
        points = propose(space, [(tried.params, tried.rank[1]) for tried in own], num=num, seed=seed)
        return [self._try(solver, {OPTIMIZER: solver, **point}) for point in points]

    def _best(self, solver: str) -> _Tried:
        return max((tried for tried in self._tried if tried.solver == solver), key=lambda tried: tried.rank)

    def _extend(self, solver: str) -> _Tried | None:
        """Return the best of a solver's own points with a learning rate beyond an end of its range, if it lies there.

        The range then includes it.
        """
        best = max(self._own_points(solver), key=lambda tried: tried.rank, default=None)
        param = self._spaces[solver]["lr"]
        if best is None or not isinstance(param, Float) or not best.rank[0]:
            return None
        lr = float(best.params["lr"])  # type: ignore[arg-type]  # values of a Float are numbers
        place = place_in(param, lr)
        if END < place < 1 - END:
            return None
        lr = lr * EXTENSION if place >= 1 - END else lr / EXTENSION
        self._include(solver, lr)
        return self._try(solver, {**best.params, "lr": lr})

    def _include(self, solver: str, lr: float) -> None:
        """Let a solver's range of learning rates hold this one."""
        param = self._spaces[solver].get("lr")
        if isinstance(param, Float):
            low, high = min(param.low, lr), max(param.high, lr)
            self._spaces[solver]["lr"] = Float(low=low, high=high, scale=param.scale)
