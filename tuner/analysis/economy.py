"""The choice of a search for score and cost: the cheapest trial whose score keeps the margin of the best.

Pure functions of results. This module must not know how a search proposes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..study import ArmDefinition, Study
from ..trial import TrialResult
from .verdict import tolerated_loss

Scored = tuple[float, TrialResult]
"""A score, larger is better, and its trial."""


@dataclass(frozen=True, kw_only=True)
class Economy:
    """What a search for score and cost lowers, and how much of its best score it may give for that.

    Attributes:
        currency: the cost, a name in `tuner.study.fields.COSTS`.
        margin: share of the best validation score that the choice keeps, in (0, 1].
    """

    currency: str
    margin: float

    def cost(self, result: TrialResult) -> float:
        """Return the cost of a trial."""
        return float(getattr(result.cost, self.currency))

    def limit(self, best: float) -> float:
        """Return the score, larger is better, that the choice keeps."""
        return best - tolerated_loss(self.margin, best)

    def cheapest(self, scored: Sequence[Scored]) -> TrialResult | None:
        """Return the cheapest finished trial whose score keeps the margin; of equals the best, then the earliest.

        It lies on the Pareto front of the finished trials. None if no trial has finished.
        """
        finished = [(score, result) for score, result in scored if result.status == "finished"]
        limit = self.limit(max((score for score, _ in finished), default=0.0))
        near = [(score, result) for score, result in finished if score >= limit]
        return min(near, key=lambda one: (self.cost(one[1]), -one[0], one[1].trial.index))[1] if near else None


def economy_of(study: Study, arm: ArmDefinition) -> Economy | None:
    """Return how an arm chooses by score and cost; None if it goes by the score alone."""
    return Economy(currency=arm.objectives[-1], margin=study.margin) if arm.objectives else None
