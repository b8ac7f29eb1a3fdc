"""The table cells of a comparison as text, the same on a terminal, on a page and in a paper.

This module must not know how tables are drawn. It escapes nothing.
"""

from ...analysis.comparison import Comparison
from ...analysis.comparison_row import ComparisonRow
from ..text.format import format_share
from ..text.scores import format_points, format_score

_MAX_SHARE = 1e6


def format_share_of_baseline(comparison: Comparison, row: ComparisonRow) -> str:
    """Format the score as a share of the baseline's at B0, ticked if it keeps the margin (LIMIT, Definition 2.1).

    There is no share of a score that is next to nothing.
    """
    baseline = comparison.baseline
    if baseline is None or baseline.score is None or row.score is None or not baseline.score.mean:
        return "-"
    share = row.score.mean / baseline.score.mean
    return f"{100 * share:.1f}%{' ✓' if row.holds else ''}" if abs(share) < _MAX_SHARE else "-"


def format_verdict(comparison: Comparison, row: ComparisonRow) -> str:
    """Format the verdict: "reference" for the reference, "-" if there is none."""
    if row.arm == comparison.facts.reference:
        return "reference"
    return "-" if row.verdict is None else row.verdict.kind


def format_improvement(comparison: Comparison, row: ComparisonRow) -> str:
    """Format the interval of the improvement over the reference; empty if there is none."""
    difference = row.verdict.difference if row.verdict else None
    if difference is None or difference.low is None or difference.high is None:
        return ""
    low, high = (format_points(end, comparison.facts.metric) for end in (difference.low, difference.high))
    return f"{low.removesuffix(' points')} to {high.removesuffix(' points')}"


def format_savings(row: ComparisonRow, cost: str) -> tuple[str, str]:
    """Format the saving without and with the baseline's bill; empty if the verdict allows none."""
    saving = row.savings.get(cost)
    if saving is None:
        return ("", "")
    with_baseline = "stated" if has_stated_baseline(row, cost) else format_share(saving.share_with_baseline)
    return (format_share(saving.share), with_baseline)


def has_stated_baseline(row: ComparisonRow, cost: str) -> bool:
    """Return whether the arm's baseline was stated, so that no search for it is billed."""
    return row.is_rule and row.baseline_bill[cost] == 0


def format_break_even(row: ComparisonRow, cost: str) -> str:
    """Format after how many batch sizes the baseline's search pays off; empty if there is none to pay for."""
    saving = row.savings.get(cost)
    if saving is None or not row.is_rule or has_stated_baseline(row, cost):
        return ""
    return "never" if saving.break_even is None else f"{saving.break_even:,}"


def format_median(comparison: Comparison, row: ComparisonRow) -> str:
    """Format the median score of the sound seeds; "none yet" without a confirmation run, "-" if all are lost."""
    if not len(row.seeds):
        return "none yet"
    return "-" if row.seeds.median is None else format_score(row.seeds.median, comparison.facts.metric)
