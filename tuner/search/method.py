"""The tuning method protocol. A method proposes hyperparameters and receives scores; it must not know trainings.

Scores are oriented so that larger is better for every metric. None means that the trial failed. A training whose score
is not finite has diverged, and has the score of chance; an epoch of an earlier version's may hold any number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from ...trainers.spec import OptionValue
from ..cost import Cost


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """Hyperparameters to try.

    Attributes:
        index: number of the proposal, from 0.
        params: values by name.
        repeat: how often the method proposed them before: each time they are trained with another seed.
    """

    index: int
    params: Mapping[str, OptionValue]
    repeat: int = 0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a proposal.

    Attributes:
        score: last validation score, larger is better; None if the trial failed.
        pruned: whether the method ended it early.
        epoch_scores: the score after every epoch, in order.
        diverged: whether the training diverged; its score is that of chance.
        cost: what the training cost.
    """

    score: float | None
    pruned: bool
    epoch_scores: tuple[float, ...]
    diverged: bool = False
    cost: Cost = field(default_factory=Cost)


NOT_RUN = Outcome(score=None, pruned=False, epoch_scores=())
"""Outcome told to a method for a proposal that exceeds the budget."""


class Method(Protocol):
    """An ask/tell tuning method, whose proposals depend only on its seed, its start and the outcomes it was told."""

    def start_from(self, params: Mapping[str, OptionValue]) -> None:
        """Propose these hyperparameters first, as one of its trials. Called at most once, before the first `ask`."""
        ...

    def ask(self) -> Proposal | Literal["wait", "done"]:
        """Return the next proposal, "wait" if it needs outstanding outcomes, or "done" if there are no more."""
        ...

    def report(self, index: int, epoch: int, score: float) -> bool:
        """Receive the score after an epoch of a running proposal; return False to end it early."""
        ...

    def tell(self, index: int, outcome: Outcome) -> None:
        """Receive the outcome of a proposal, in any order."""
        ...
