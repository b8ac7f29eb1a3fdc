"""The evidence on every judged arm, in sentences, behind the answer of `verdict`.

This module escapes nothing; the caller that draws a text escapes it.
"""

from ...analysis.comparison import Comparison
from ...analysis.comparison_row import ComparisonRow
from .not_judged import why_not_judged
from .scores import format_points
from .seeds import describe_lost, describe_seeds
from .verdict import judged_arms


def findings(comparison: Comparison, *, cost: str) -> tuple[str, ...]:
    """Return what else is found: the evidence on every judged arm, and other searches that beat the reference."""
    facts = comparison.facts
    sentences: list[str] = []
    for batch_size in facts.batch_sizes:
        rows = [comparison.row(arm, batch_size) for arm in judged_arms(facts)]
        sentences += [f"B={batch_size:,}, {row.arm}: {_detail(comparison, row)}." for row in rows if row.verdict]
        sentences += [
            f"B={batch_size:,}: {row.arm}, which searches too, is better than {facts.reference}, so {facts.reference} "
            "is not the strongest tuned arm there."
            for row in comparison.rows
            if row.batch_size == batch_size
            and row.arm not in facts.rule_arms
            and row.verdict is not None
            and row.verdict.kind == "yes"
            and row.verdict.finding == "better"
        ]
    return tuple(sentences)


def _detail(comparison: Comparison, row: ComparisonRow) -> str:
    """Return all the evidence on an arm at a batch size."""
    verdict, facts = row.verdict, comparison.facts
    assert verdict is not None
    if verdict.kind == "cannot be judged":
        return f"cannot be judged, {why_not_judged(comparison, row)}"
    reference = comparison.row(facts.reference, row.batch_size)
    parts = [f"{verdict.kind} ({describe_seeds(row.seeds, facts.metric)}"]
    if len(reference.seeds):
        parts[0] += f"; {facts.reference} {describe_seeds(reference.seeds, facts.metric)}"
    parts[0] += ")"
    if row.seeds.lost:
        parts.append(describe_lost(row.seeds))
    if reference.seeds.lost:
        parts.append(f"{facts.reference} is unreliable too: {describe_lost(reference.seeds)}")
    if verdict.difference is not None and verdict.num_pairs > 1:
        parts.append(_difference(comparison, row))
    if verdict.seeds_needed is not None:
        parts.append(f"{verdict.seeds_needed:,} seeds would show it if the difference stays as it is")
    return "; ".join(parts)


def _difference(comparison: Comparison, row: ComparisonRow) -> str:
    """Return the difference on the sound seeds and what it says."""
    verdict, metric = row.verdict, comparison.facts.metric
    assert verdict is not None
    assert verdict.difference is not None
    low, high = verdict.difference.low, verdict.difference.high
    tolerated = format_points(verdict.tolerance, metric, signed=False)
    if low is None or high is None:
        return f"difference {format_points(verdict.difference.mean, metric)}, {tolerated} tolerated"
    ends = f"{format_points(low, metric).removesuffix(' points')} to {format_points(high, metric)}"
    luck = f", the luck of {verdict.num_searches} searches included" if verdict.num_searches > 1 else ""
    return f"difference {ends} (95% interval{luck}), {tolerated} tolerated: {format_finding(row)}"


def format_finding(row: ComparisonRow) -> str:
    """Format what the sound seeds say against the reference; empty without a verdict."""
    return "" if row.verdict is None else _FINDINGS[row.verdict.finding]


_FINDINGS = {
    "better": "better",
    "as good": "not worse than tolerated",
    "likely as good": "likely not worse than tolerated",
    "likely worse": "worse if taken alone, whether by more than tolerated is open",
    "worse": "worse, whether by more than tolerated is open",
    "worse by more": "worse by more than tolerated",
    "open": "open",
}
