"""Pareto fronts of arms and trials in cost and score.

Pure functions of points. This module must not know how fronts are drawn.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ..trial import TrialResult, is_score


@dataclass(frozen=True, kw_only=True)
class ParetoPoint:
    """Arm or trial with its cost and score.

    Attributes:
        name: readable and unique name.
        batch_size: batch size of the training.
        cost: cost in the requested currency; lower is better.
        score: value of the metric.
    """

    name: str
    batch_size: int
    cost: float
    score: float


def pareto_front(points: Iterable[ParetoPoint], *, higher_is_better: bool) -> tuple[ParetoPoint, ...]:
    """Return the points that no other point dominates in cost and score.

    Exact ties are all on the front. The order is by cost, then by score from best, then by name, whatever the order of
    the points.

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
    """Return the area that the points dominate, bounded by a reference point.

    Args:
        points: any points; those beyond the reference point add nothing.
        worst_cost: cost of the reference point.
        worst_score: score of the reference point.
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
    """Return a point for every trial with a validation score, at the trial's own cost."""
    return tuple(
        ParetoPoint(
            name=result.trial.name,
            batch_size=result.trial.batch_size,
            cost=float(getattr(result.cost, currency)),
            score=result.validation_score,
        )
        for result in results
        if is_score(result.validation_score)
    )
