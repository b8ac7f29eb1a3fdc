"""End a search where the trials left hardly beat an arm that needs no tuning.

The decision rests on results alone: it is made every so many trials, once all of them and all confirmation runs of the
arm to beat are there. So a resumed study, and one with any number of workers, ends its searches at the same trials.
This module must not know how a method proposes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ...trainers.spec import OptionValue
from ..analysis.stopping import Tried, chance_to_beat, score_to_beat
from ..search.method import NOT_RUN, Method, Outcome, Proposal
from ..study.stopping import StopDefinition, is_look
from ..trial import TrialResult
from .cell import Cell

Limit = Callable[[], float | Literal["wait"] | None]
"""Returns the score to beat, larger is better; None if there is none; "wait" until it is known."""


@dataclass(kw_only=True)
class EndingEarly:
    """A method that ends once the chance of its trials left is below a level.

    Attributes:
        method: the method.
        trials: number of its proposals.
        every: trials between two looks.
        level: chance below which the search ends.
        limit: the score to beat.
    """

    method: Method
    trials: int
    every: int
    level: float
    limit: Limit
    _asked: list[Proposal] = field(default_factory=list)
    _outcomes: dict[int, Outcome] = field(default_factory=dict)
    _looked_at: int = 0
    _has_ended: bool = False

    def start_from(self, params: Mapping[str, OptionValue]) -> None:
        """Propose these hyperparameters first."""
        self.method.start_from(params)

    def ask(self) -> Proposal | Literal["wait", "done"]:
        """Return the next proposal; "wait" before a look until all outcomes are told; "done" once the search ends."""
        number = len(self._asked)
        if not self._has_ended and self._looked_at < number and is_look(number, self.every, self.trials):
            limit = self.limit() if len(self._outcomes) == number else "wait"
            if limit == "wait":
                return "wait"
            self._looked_at = number
            self._has_ended = limit is not None and self._chance(limit) < self.level
        if self._has_ended:
            return "done"
        proposal = self.method.ask()
        if isinstance(proposal, Proposal):
            self._asked.append(proposal)
        return proposal

    def report(self, index: int, epoch: int, score: float) -> bool:
        """Receive the score after an epoch; return False to end the trial early."""
        return self.method.report(index, epoch, score)

    def tell(self, index: int, outcome: Outcome) -> None:
        """Receive an outcome."""
        self._outcomes[index] = outcome
        self.method.tell(index, outcome)

    def _chance(self, limit: float) -> float:
        """Return the chance of the trials left; 1 where a budget forbids them, which ends the search itself."""
        outcomes = [self._outcomes[proposal.index] for proposal in self._asked]
        if any(outcome is NOT_RUN for outcome in outcomes):
            return 1.0
        tried = [
            Tried(params=proposal.params, score=None if outcome.pruned else outcome.score)
            for proposal, outcome in zip(self._asked, outcomes, strict=True)
        ]
        return chance_to_beat(tried, self.trials - len(tried), limit)


def end_early(
    cells: Sequence[Cell],
    stop: StopDefinition,
    margin: float,
    sign: float,
    first_failures: Mapping[str, TrialResult],
) -> None:
    """Let the search of the last cell end early, held against the arm to beat at its batch size, a cell before it."""
    search = cells[-1]
    rule = next(cell for cell in cells if (cell.arm, cell.batch_size) == (stop.arm, search.batch_size))

    def limit() -> float | Literal["wait"] | None:
        if not all(needed.is_searched for needed in rule.needs):
            return "wait"
        if any(needed.choice(sign) is None for needed in rule.needs):
            return None  # its baseline has no trial with a score, so the rule is never trained
        runs = [result for result in rule.results if result.trial.role == "confirmation"]
        if len(runs) < len(rule.seeds):
            return "wait"
        # A retried confirmation counts as it first failed, so that no search ends where it did not end before.
        return score_to_beat([first_failures.get(run.trial.id, run) for run in runs], margin=margin, sign=sign)

    assert search.method is not None
    assert stop.every is not None
    search.method = EndingEarly(
        method=search.method, trials=search.num_search, every=stop.every, level=stop.level, limit=limit
    )
