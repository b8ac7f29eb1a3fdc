"""A study's answer in single sentences: for an arm at a batch size, or for all arms in one line.

This module must not know rich or plotly. It escapes nothing; the caller that draws a text escapes it.
"""

from ...analysis.comparison import Comparison, ComparisonRow
from ...analysis.selection import Edge
from ...analysis.study_facts import StudyFacts
from ...analysis.tuning_effort import TuningEffort
from .costs import cost_unit
from .format import format_amount, format_loss, format_share, pluralize
from .scores import format_points, format_score


def is_as_good(row: ComparisonRow) -> bool:
    """Return whether the arm is at least as good as the reference, so that its lower cost is a saving."""
    return row.verdict is not None and row.verdict.finding in ("beats", "matches")


def judged_arms(facts: StudyFacts) -> tuple[str, ...]:
    """Return the arms that are judged: those that do not search, or all but the reference if all search."""
    others = tuple(arm for arm in facts.arms if arm != facts.reference)
    return tuple(arm for arm in others if arm in facts.zero_tuning_arms) or others


def headlines(comparison: Comparison, batch_size: int, *, cost: str = "device_seconds") -> tuple[str, ...]:
    """Return the answer at a batch size: one sentence for each judged arm.

    Test scores single out no arm, because that would be a choice on the test set.
    """
    arms = judged_arms(comparison.facts)
    return tuple(_headline(comparison, comparison.row(arm, batch_size), cost) for arm in arms)


def _headline(comparison: Comparison, row: ComparisonRow, cost: str) -> str:
    facts = comparison.facts
    reference = comparison.row(facts.reference, row.batch_size)
    start = f"At B={row.batch_size} {row.arm}"
    missing = next((other for other in (row, reference) if other.score is None), None)
    if row.verdict is None or row.score is None or reference.score is None:
        return f"{start} cannot be judged: {missing.arm if missing else row.arm} has no confirmed score."
    scores = f"{format_score(row.score.mean, facts.metric)} vs {format_score(reference.score.mean, facts.metric)}"
    finding = row.verdict.finding
    if finding == "undecided":
        return f"{start} is undecided: {scores}, {_why_undecided(row, facts)}."
    if finding == "falls short":
        lost = f"; {row.num_diverged} of {pluralize(row.num_seeds, 'seed')} diverged" if row.num_diverged else ""
        return f"{start} falls short of {reference.arm} ({scores}){lost}."
    return f"{start} {finding} {reference.arm} ({scores}) and {_format_bill(comparison, row, reference, cost)}."


def _why_undecided(row: ComparisonRow, facts: StudyFacts) -> str:
    verdict = row.verdict
    if verdict is None or verdict.difference is None or verdict.difference.low is None:
        pairs = verdict.num_pairs if verdict else 0
        return f"{pluralize(pairs, 'common seed')} {'gives' if pairs == 1 else 'give'} no interval"
    if row.num_diverged:
        return f"{row.num_diverged} of {pluralize(row.num_seeds, 'seed')} diverged"
    low, high = (format_points(end or 0.0, facts.metric) for end in (verdict.difference.low, verdict.difference.high))
    tolerance = format_points(verdict.tolerance, facts.metric, signed=False)
    return f"{low.removesuffix(' points')} to {high} ({tolerance.removesuffix(' points')} tolerated)"


def _format_bill(comparison: Comparison, row: ComparisonRow, reference: ComparisonRow, cost: str) -> str:
    if row.bill is None or reference.bill is None or cost not in row.savings:
        return "has no bill to compare"
    unit, saving = cost_unit(cost, []).label, row.savings[cost]
    trainings = (
        f"costs {pluralize(row.bill['trials'], 'training')} instead of {format_amount(reference.bill['trials'])}"
    )
    if saving.share < 0:
        return f"{trainings}: {format_loss(saving.share)} {unit}"
    text = f"{trainings}: {format_share(saving.share)} of {unit} saved"
    if not row.zero_tuning:
        return text
    if row.baseline_bill[cost] == 0:
        return f"{text}; the baseline was stated, so its tuning is not billed"
    paid_off = f" (paid off after {pluralize(saving.break_even, 'batch size')})" if saving.break_even else ""
    if saving.share_with_baseline < 0:
        return f"{text}, but {format_loss(saving.share_with_baseline)} with the baseline's bill{paid_off}"
    return f"{text}, {format_share(saving.share_with_baseline)} with the baseline's bill{paid_off}"


def format_trials_to_match(effort: TuningEffort | None) -> str:
    """Format K* for a table; empty if there is nothing to match."""
    if effort is None:
        return ""
    return f">{effort.num_trials}" if effort.trials is None else str(effort.trials)


def format_edge(edge: Edge) -> str:
    """Format the warning that a choice lies on the edge of its range.

    >>> format_edge(Edge(arm="tuned", batch_size=512, name="lr", value=0.98, low=0.01, high=1.0))
    'On the edge: tuned at B=512 chose lr 0.98 of 0.01 to 1; a better value may lie outside, so widen its range.'
    """
    return (
        f"On the edge: {edge.arm} at B={edge.batch_size} chose {edge.name} {edge.value:.4g} of {edge.low:g} to "
        f"{edge.high:g}; a better value may lie outside, so widen its range."
    )


def summary_line(comparison: Comparison) -> str:
    """Summarise the study in one line: at how many batch sizes each judged arm is as good as the reference."""
    facts = comparison.facts
    arms_by_number: dict[int, list[str]] = {}
    for arm in judged_arms(facts):
        num_equal = sum(is_as_good(comparison.row(arm, batch_size)) for batch_size in facts.batch_sizes)
        arms_by_number.setdefault(num_equal, []).append(arm)
    if not arms_by_number:
        return f"{facts.reference} stands alone: nothing to compare it with"
    num_sizes = len(facts.batch_sizes)
    all_of_them = "both" if num_sizes == 2 else f"all {num_sizes}"
    every = f"at B={facts.batch_sizes[0]}" if num_sizes == 1 else f"at {all_of_them} batch sizes"
    parts: list[str] = []
    for number, arms in sorted(arms_by_number.items(), reverse=True):
        where = every if number == num_sizes else f"at {number} of {num_sizes}"
        start = where if parts else f"As good as {facts.reference} {where}"
        if number == 0:
            start = f"{'not' if parts else 'Not'} shown to be as good as {facts.reference}"
        parts.append(f"{start}: {', '.join(arms)}")
    return "; ".join(parts)
