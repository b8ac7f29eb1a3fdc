"""The points and fronts of a comparison, as figures draw them and exports write them.

This module must not know plotly.
"""

from collections.abc import Iterable, Sequence

from ...analysis.comparison import Comparison, ComparisonRow
from ...analysis.pareto import ParetoPoint, pareto_front, trial_points
from ...trial import TrialResult


def arm_points(rows: Iterable[ComparisonRow], currency: str) -> tuple[ParetoPoint, ...]:
    """One point an arm and batch size: the cost to a model against the mean test score; none for rows without both."""
    return tuple(
        ParetoPoint(name=row.arm, batch_size=row.batch_size, cost=row.bill[currency], score=row.score.mean)
        for row in rows
        if row.score is not None and row.bill is not None
    )


def arm_front(comparison: Comparison, batch_size: int, currency: str) -> tuple[ParetoPoint, ...]:
    """The Pareto front over the arms of a batch size."""
    rows = [row for row in comparison.rows if row.batch_size == batch_size]
    return pareto_front(arm_points(rows, currency), higher_is_better=comparison.facts.higher_is_better)


def study_trials(comparison: Comparison, results: Iterable[TrialResult], batch_size: int) -> list[TrialResult]:
    """The trials of a study's arms at a batch size that have a score; the baseline's own are left out."""
    return [
        result
        for result in results
        if result.trial.batch_size == batch_size
        and result.trial.role != "baseline"
        and result.trial.arm in comparison.facts.arms
        and result.validation_score is not None
    ]


def trial_front(
    comparison: Comparison, results: Sequence[TrialResult], batch_size: int, currency: str
) -> tuple[ParetoPoint, ...]:
    """The Pareto front over the single trials of a batch size: each trial's own cost against its validation score."""
    points = trial_points(study_trials(comparison, results, batch_size), currency)
    return pareto_front(points, higher_is_better=comparison.facts.higher_is_better)
