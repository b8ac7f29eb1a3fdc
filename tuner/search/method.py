"""What a tuning method is: it proposes hyperparameters and takes scores, and knows nothing of trainings.

Scores are oriented so that larger is better, whatever the metric; None means that the trial failed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from ...trainers.spec import OptionValue


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """Hyperparameters to try. `index` counts a method's proposals from 0."""

    index: int
    params: Mapping[str, OptionValue]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a proposal.

    Attributes:
        score: last validation score, larger is better; None where the trial failed.
        pruned: the method itself ended it early.
        epoch_scores: the score after every epoch, in order.
    """

    score: float | None
    pruned: bool
    epoch_scores: tuple[float, ...]


class Method(Protocol):
    """Ask/tell: a method's proposals depend on its seed and on the outcomes it was told, on nothing else."""

    def ask(self) -> Proposal | Literal["wait", "done"]:
        """Return the next proposal; "wait" until outstanding ones are told; "done" when there is none left."""
        ...

    def report(self, index: int, epoch: int, score: float) -> bool:
        """Take the score after an epoch of a running proposal; False to end it early."""
        ...

    def tell(self, index: int, outcome: Outcome) -> None:
        """Take the outcome of a proposal; in any order."""
        ...
