"""Intervals of scores as figures need them. This module must not know which figure draws them."""

from collections.abc import Iterable, Sequence
from typing import Any

from ...analysis.comparison import ComparisonRow


def error_bars(rows: Sequence[ComparisonRow], colour: str) -> dict[str, Any]:
    """Plotly's error bars for rows that have a score; one without an interval gets no bar."""
    widths = [0.0 if row.score is None or row.score.high is None else row.score.high - row.score.mean for row in rows]
    return {"type": "data", "array": widths, "color": colour, "thickness": 1.2, "width": 3}


def interval_ends(rows: Iterable[ComparisonRow]) -> list[float]:
    """Both ends of the intervals, those of arms with diverged seeds left out: they would span any axis."""
    scores = [row.score for row in rows if row.score is not None and not row.num_diverged]
    return [end for score in scores for end in (score.low, score.high) if end is not None]
