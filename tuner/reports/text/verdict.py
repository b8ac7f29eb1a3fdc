"""What a study found, in sentences: the verdict first, then the findings.

The sentences name every judged arm. Test scores single out none, because that would be a choice on the test set. This
module escapes nothing; the caller that draws a text escapes it.
"""

from collections.abc import Callable, Iterable, Sequence

from ...analysis.comparison import Comparison, ComparisonRow
from ..tables.cells import has_stated_baseline
from .costs import cost_unit
from .format import format_share, join_names
from .headlines import headlines, is_as_good, judged_arms
from .scores import format_score


def verdict_sentence(comparison: Comparison, *, cost: str) -> str:
    """Summarise the study in one sentence: which arms do as well as the reference, where, and what that saves."""
    facts = comparison.facts
    arms = judged_arms(facts)
    rows = {arm: [comparison.row(arm, batch_size) for batch_size in facts.batch_sizes] for arm in arms}
    if not any(row.verdict for found in rows.values() for row in found):
        return f"Nothing can be judged yet: {facts.reference} and the others have no confirmed scores in common."
    always = [arm for arm in arms if all(map(is_as_good, rows[arm]))]
    partly = [arm for arm in arms if arm not in always and any(map(is_as_good, rows[arm]))]
    never = [arm for arm in arms if arm not in always and arm not in partly]
    where = _where(facts.batch_sizes)
    parts = []
    if always:
        parts.append(
            f"{join_names(always)} {_agree(always, 'does', 'do')} as well as {facts.reference} {where}"
            f"{_saved([row for arm in always for row in rows[arm]], cost)}"
        )
    for arm in partly:
        equal = [row.batch_size for row in rows[arm] if is_as_good(row)]
        does = "does so" if parts else "does as well as"
        of = "" if parts else f" {facts.reference}"
        parts.append(f"{arm} {does}{of} at {_sizes(equal)} ({_other_findings(rows[arm])})")
    if not parts:
        kind = "zero-tuning arm" if set(arms) <= set(facts.zero_tuning_arms) else "arm"
        return f"No {kind} is shown to do as well as {facts.reference} {where}: {_never(never, rows.__getitem__)}."
    return "; ".join([*parts, *([_never(never, rows.__getitem__)] if never else [])]) + "."


def findings(comparison: Comparison, *, cost: str) -> tuple[str, ...]:
    """Return the findings: each arm, other searches that beat the reference, and arms at the baseline's level."""
    facts = comparison.facts
    sentences: list[str] = []
    for batch_size in facts.batch_sizes:
        sentences += headlines(comparison, batch_size, cost=cost)
        sentences += [
            f"At B={batch_size} {row.arm}, which searches too, beats {facts.reference}: {facts.reference} is not the "
            "strongest tuned arm there."
            for row in comparison.rows
            if row.batch_size == batch_size
            and row.arm not in facts.zero_tuning_arms
            and row.verdict is not None
            and row.verdict.finding == "beats"
        ]
        sentences += _kept(comparison, batch_size)
    return tuple(sentences)


def _kept(comparison: Comparison, batch_size: int) -> list[str]:
    """Name the arms that keep the baseline's score within the margin (LIMIT, Definition 2.1)."""
    facts, baseline = comparison.facts, comparison.baseline
    rows = [row for row in comparison.rows if row.batch_size == batch_size and row.holds is not None]
    if baseline is None or baseline.score is None or not rows:
        return []
    keepers = [row.arm for row in rows if row.holds]
    level = f"within {100 * (1 - facts.margin):.3g}% of what the baseline scores at B0={facts.baseline_batch_size}"
    score = format_score(baseline.score.mean, facts.metric)
    if not keepers:
        none = "no arm, tuned or not," if len(rows) == len(facts.arms) else "no confirmed arm"
        return [f"At B={batch_size} {none} stays {level} ({score})."]
    return [f"At B={batch_size} {join_names(keepers)} {_agree(keepers, 'stays', 'stay')} {level} ({score})."]


def _saved(rows: Sequence[ComparisonRow], cost: str) -> str:
    """Format the range of savings, and a second range that includes the baseline's bill if it is billed."""
    savings = [row.savings[cost] for row in rows if cost in row.savings]
    if not savings:
        return ""
    text = f", saving {_range([saving.share for saving in savings])} of {cost_unit(cost, []).label}"
    billed = [
        row.savings[cost].share_with_baseline
        for row in rows
        if cost in row.savings and row.zero_tuning and not has_stated_baseline(row, cost)
    ]
    if not billed:
        return text
    others = "" if len(billed) == len(savings) else " where one was tuned"
    return f"{text} ({_range(billed)} with the baseline's bill{others})"


def _never(arms: Sequence[str], rows: Callable[[str], Sequence[ComparisonRow]]) -> str:
    """Name the arms that are not as good at any batch size, grouped by their findings."""
    fates: dict[str, list[str]] = {}
    for arm in arms:
        fates.setdefault(_other_findings(rows(arm)), []).append(arm)
    return "; ".join(_fate(fate, names) for fate, names in fates.items())


def _fate(fate: str, arms: Sequence[str]) -> str:
    if fate == "falls short":
        return f"{join_names(arms)} {_agree(arms, 'falls', 'fall')} short"
    return (
        f"{join_names(arms)} {_agree(arms, 'is', 'are')} {fate}" if fate in _STATES else f"{join_names(arms)}: {fate}"
    )


_STATES = ("undecided", "not judged yet")


def _other_findings(rows: Sequence[ComparisonRow]) -> str:
    """Describe where an arm is not as good: "undecided", or "falls short at B=64, undecided at B=256"."""
    by_finding: dict[str, list[int]] = {}
    for row in rows:
        if not is_as_good(row):
            finding = row.verdict.finding if row.verdict else "not judged yet"
            by_finding.setdefault(finding, []).append(row.batch_size)
    if len(by_finding) == 1 and len(next(iter(by_finding.values()))) == len(rows):
        return next(iter(by_finding))
    return ", ".join(f"{finding} at {_sizes(sizes)}" for finding, sizes in by_finding.items())


def _where(batch_sizes: Sequence[int]) -> str:
    if len(batch_sizes) == 1:
        return f"at {_sizes(batch_sizes)}"
    return f"at {'both' if len(batch_sizes) == 2 else f'all {len(batch_sizes)}'} batch sizes"


def _sizes(batch_sizes: Iterable[int]) -> str:
    return join_names([f"B={batch_size}" for batch_size in batch_sizes])


def _range(shares: Sequence[float]) -> str:
    low, high = format_share(min(shares)), format_share(max(shares))
    return low if low == high else f"{low} to {high}"


def _agree(names: Sequence[str], one: str, several: str) -> str:
    return one if len(names) == 1 else several
