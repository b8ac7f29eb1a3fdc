"""A baseline's search goes on: beyond the end of its range where the best lies there, and over seeds where it ties.

It wraps another method, whose proposals come first and are what they would be without it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from ...trainers.spec import OptionValue
from ..study.baseline_keys import EXTENSIONS, TIE_CANDIDATES
from ..study.definition import TuneDefinition
from ..study.search_space import SIGNIFICANT_DIGITS, Choice, Param, is_number, numeric_range, params_on_edge
from .method import Method, Outcome, Proposal

FACTOR = 2.0
"""Factor between an end of a range and the learning rate beyond it, where the range is no grid on a log scale."""

Params = Mapping[str, OptionValue]


@dataclass(kw_only=True)
class _Tried:
    """A configuration that was proposed once; its score is None until it is told, and where it has none."""

    params: Params
    score: float | None = None

    @property
    def lr(self) -> float:
        return float(self.params["lr"])  # type: ignore[arg-type]  # the schema requires numbers


class BaselineSearch:
    """A search of a baseline that is extended at edges and repeated where learning rates may tie.

    Args:
        inner: the method that proposes first.
        definition: the search, with the learning rate in its space.
    """

    def __init__(self, inner: Method, definition: TuneDefinition) -> None:
        self._inner: Method | None = inner
        self._method = inner
        self._definition = definition
        self._num_inner = 0
        self._tried: list[_Tried] = []
        self._asked = self._told = 0
        self._stages = self._plan()
        self._stage: list[tuple[_Tried, int]] = []

    def start_from(self, params: Params) -> None:
        """Let the inner method propose these hyperparameters first."""
        self._method.start_from(params)

    def ask(self) -> Proposal | Literal["wait", "done"]:
        """Return the inner method's next proposal, then those that follow from all outcomes so far."""
        if self._inner is not None:
            proposal = self._inner.ask()
            if isinstance(proposal, Proposal):
                self._tried.append(_Tried(params=proposal.params))
                self._num_inner = self._asked = len(self._tried)
            if proposal != "done":
                return proposal
            self._inner = None
        if not self._stage:
            if self._told < self._asked:
                return "wait"
            following = next(self._stages, None)
            if following is None:
                return "done"
            self._stage = following
        tried, repeat = self._stage.pop(0)
        self._asked += 1
        return Proposal(index=self._asked - 1, params=tried.params, repeat=repeat)

    def report(self, index: int, epoch: int, score: float) -> bool:
        """Return whether the inner method lets its own proposal go on; the others are never ended early."""
        return index >= self._num_inner or self._method.report(index, epoch, score)

    def tell(self, index: int, outcome: Outcome) -> None:
        """Receive an outcome; that of a repetition is for whoever chooses."""
        self._told += 1
        if index < self._num_inner:
            self._method.tell(index, outcome)
        if index < len(self._tried):
            self._tried[index].score = None if outcome.pruned else outcome.score

    def _plan(self) -> Iterator[list[tuple[_Tried, int]]]:
        for _ in range(EXTENSIONS if self._definition.extend else 0):
            beyond = self._beyond()
            if beyond is None:
                break
            self._tried.append(_Tried(params=beyond))
            yield [(self._tried[-1], 0)]
        repeats = range(1, self._definition.tie_seeds + 1)
        if again := [(tried, repeat) for repeat in repeats for tried in self._candidates()]:
            yield again

    def _ranked(self) -> list[_Tried]:
        """Return the configurations with a score, the best first, the earliest of equals."""
        scored = [tried for tried in self._tried if tried.score is not None]
        return sorted(scored, key=lambda tried: -(tried.score or 0.0))

    def _candidates(self) -> list[_Tried]:
        """Return the best and the best of those with smaller learning rates; none if no other is smaller."""
        ranked = self._ranked()
        smaller = [tried for tried in ranked if tried.lr < ranked[0].lr]
        return [ranked[0], *smaller[: TIE_CANDIDATES - 1]] if smaller else []

    def _beyond(self) -> Params | None:
        """Return the best configuration with a learning rate beyond the end of its range; None if it is not there."""
        ranked, param = self._ranked(), self._definition.space["lr"]
        if not ranked:
            return None
        best, lrs = ranked[0], [tried.lr for tried in ranked]
        if best.lr not in (min(lrs), max(lrs)) or not _reaches_end(param, best.params):
            return None
        is_top = best.lr == max(lrs)
        factor = _step(param, at_top=is_top)
        lr = best.lr * factor if is_top else best.lr / factor
        return {**best.params, "lr": float(f"{lr:.{SIGNIFICANT_DIGITS}g}")}


def _reaches_end(param: Param, params: Params) -> bool:
    """Return whether the learning rate lies on the edge of its range or beyond."""
    return bool(params_on_edge({"lr": param}, params))


def _step(param: Param, *, at_top: bool) -> float:
    """Return the factor by which the next learning rate lies beyond an end: that of its neighbour, else `FACTOR`."""
    ends = numeric_range(param)
    if isinstance(param, Choice):
        numbers = sorted(float(choice) for choice in param.choices if is_number(choice))
        return numbers[-1] / numbers[-2] if at_top else numbers[1] / numbers[0]
    if ends is None or param.num is None or param.scale != "log":
        return FACTOR
    return float((ends[1] / ends[0]) ** (1 / (param.num - 1)))


def num_further(definition: TuneDefinition) -> int:
    """Return the most trials that a search makes beyond those of its method."""
    return EXTENSIONS * definition.extend + TIE_CANDIDATES * definition.tie_seeds
