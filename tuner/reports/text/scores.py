"""Scores and their differences as text, with accuracies in percent.

This module must not know rich or plotly.
"""

import math
from collections.abc import Sequence

from ....trainers.applications.metric_names import is_share
from ...analysis.evidence import Interval

_MAX_PLAIN = 1e12
"""Numbers from here on are written with an exponent."""


def format_score(score: float, metric: str) -> str:
    """Format a score in its metric's usual form, with accuracies in percent.

    >>> format_score(0.952, "accuracy"), format_score(116.23, "perplexity")
    ('95.20%', '116.2')
    """
    return f"{_format_number(100 * score, 2)}%" if is_share(metric) else _format_number(score, _decimals(score))


def _format_number(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}" if abs(value) < _MAX_PLAIN else f"{value:.3e}"


def format_shares(shares: Sequence[float]) -> list[str]:
    """Format shares in percent without the sign, to a tenth; to a hundredth if all are 97% or more.

    >>> format_shares([0.9612, 0.99123]), format_shares([0.9912, 1.0])
    (['96.1', '99.1'], ['99.12', '100.00'])
    """
    decimals = 2 if min(shares, default=0.0) >= 0.97 else 1
    return [f"{100 * share:.{decimals}f}" for share in shares]


def _decimals(score: float) -> int:
    """Return the number of decimals that show four digits of a score."""
    return max(0, 3 - math.floor(math.log10(abs(score)))) if score else 3


def format_interval(interval: Interval, metric: str) -> str:
    """Format a mean with the half-width of its interval, if it has one.

    >>> format_interval(Interval(mean=0.952, low=0.949, high=0.955), "accuracy")
    '95.20% ± 0.30'
    """
    if interval.high is None:
        return format_score(interval.mean, metric)
    width = interval.high - interval.mean
    shown = _format_number(100 * width, 2) if is_share(metric) else _format_number(width, _decimals(interval.mean))
    return f"{format_score(interval.mean, metric)} ± {shown}"


def format_points(difference: float, metric: str, *, signed: bool = True) -> str:
    """Format a difference of scores, with accuracies in percentage points.

    >>> format_points(-0.0082, "accuracy")
    '-0.82 points'
    """
    sign = "+" if signed else ""
    points = 100 * difference
    shown = f"{points:{sign}.{'2f' if abs(points) < _MAX_PLAIN else '3e'}}"
    return f"{shown} points" if is_share(metric) else f"{difference:{sign}.3g}"


def score_title(metric: str, split: str, *, higher_is_better: bool) -> str:
    """Return the title of a score axis, which states the direction if lower is better.

    >>> score_title("perplexity", "test", higher_is_better=False)
    'test perplexity (lower is better)'
    """
    return f"{split} {metric}" + ("" if higher_is_better else " (lower is better)")
