"""Which arms and trials no other one beats in both cost and score.

Pure functions of points. This module must not know how fronts are drawn.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ..trial import TrialResult


@dataclass(frozen=True, kw_only=True)
class ParetoPoint:
    """Something that costs and scores.

    Attributes:
        name: what the point stands for, readable and distinct.
        batch_size: the batch size it was trained at.
        cost: what it cost, in the currency that was asked for; lower is better.
        score: the metric's value.
    """

    name: str
    batch_size: int
    cost: float
    score: float


def pareto_front(points: Iterable[ParetoPoint], *, higher_is_better: bool) -> tuple[ParetoPoint, ...]:
    """The points that no other point betters in one of cost and score without losing in the other.

    Exact ties stand together on the front. The order is by cost, then score from best, then name: the same whatever
    order the points came in.

    >>> cheap = ParetoPoint(name="cheap", batch_size=64, cost=1.0, score=0.90)
    >>> worse = ParetoPoint(name="worse", batch_size=64, cost=2.0, score=0.89)
    >>> dear = ParetoPoint(name="dear", batch_size=64, cost=3.0, score=0.95)
    >>> [point.name for point in pareto_front([dear, worse, cheap], higher_is_better=True)]
    ['cheap', 'dear']
    """
    sign = 1.0 if higher_is_better else -1.0
    front: list[ParetoPoint] = []
    for point in sorted(points, key=lambda point: (point.cost, -sign * point.score, point.name)):
        tied = bool(front) and (point.cost, point.score) == (front[-1].cost, front[-1].score)
        if not front or tied or sign * point.score > sign * front[-1].score:
            front.append(point)
    return tuple(front)


def hypervolume(
    points: Iterable[ParetoPoint], *, worst_cost: float, worst_score: float, higher_is_better: bool
) -> float:
    """Area that the points dominate, up to a corner that is worse than all of interest.

    Args:
        points: any points; those beyond the corner add nothing.
        worst_cost: cost of the corner.
        worst_score: score of the corner.
        higher_is_better: direction of the score.

    Returns:
        The area in cost times score, >= 0; larger is better.

    Source: Zitzler and Thiele, Multiobjective evolutionary algorithms (1999), the size of the space covered.

    >>> cheap = ParetoPoint(name="cheap", batch_size=64, cost=1.0, score=2.0)
    >>> dear = ParetoPoint(name="dear", batch_size=64, cost=2.0, score=3.0)
    >>> hypervolume([cheap, dear], worst_cost=4.0, worst_score=0.0, higher_is_better=True)
    8.0
    """
    sign = 1.0 if higher_is_better else -1.0
    area, level = 0.0, 0.0
    for point in pareto_front(points, higher_is_better=higher_is_better):
        gain = sign * (point.score - worst_score)
        if point.cost < worst_cost and gain > level:
            area += (worst_cost - point.cost) * (gain - level)
            level = gain
    return area


def trial_points(results: Iterable[TrialResult], currency: str) -> tuple[ParetoPoint, ...]:
    """One point a trial: its own cost against its validation score; trials without a score are left out."""
    return tuple(
        ParetoPoint(
            name=result.trial.name,
            batch_size=result.trial.batch_size,
            cost=float(getattr(result.cost, currency)),
            score=result.validation_score,
        )
        for result in results
        if result.validation_score is not None
    )
