"""The answer of a study in sentences a manager reads: one a batch size, then one for the whole study.

A sentence names every judged arm. Test scores single out none, because that would be a choice on the test set. This
module escapes nothing; the caller that draws a text escapes it.
"""

from collections.abc import Iterable, Sequence

from ...analysis.comparison import Comparison
from ...analysis.comparison_row import ComparisonRow
from ...analysis.study_facts import StudyFacts
from ...analysis.verdict import Kind
from .format import join_names
from .not_judged import why_not_judged
from .savings import describe_saving
from .scores import format_points, format_score
from .search_trials import count_search_trials
from .seeds import describe_bound, describe_lost, describe_seeds

KINDS: tuple[Kind, ...] = (
    *("yes", "yes, but", "not shown", "batch too large", "worse", "unreliable", "cannot be judged"),
)
"""Kinds of verdicts, in the order in which a sentence speaks of them."""


def judged_arms(facts: StudyFacts) -> tuple[str, ...]:
    """Return the arms that are judged: the rules, guarded or not, or all but the reference if all search."""
    others = tuple(arm for arm in facts.arms if arm != facts.reference)
    return tuple(arm for arm in others if arm in facts.rule_arms) or others


TABULATED_LINE = (
    "Looked up in a table of past trainings: nothing was trained for this answer, and its seconds are those that were "
    "recorded."
)
"""First line of an answer that rests on a table."""


def first_lines(comparison: Comparison, *, cost: str) -> tuple[str, ...]:
    """Return the answer: one line a batch size, then one for the whole study if there are several.

    Before them it says so if results were looked up in a table.
    """
    sizes = comparison.facts.batch_sizes
    source = (TABULATED_LINE,) if comparison.tabulated else ()
    if not judged_arms(comparison.facts):
        return (*source, f"{comparison.facts.reference} stands alone: nothing to compare it with.")
    lines = tuple(batch_size_line(comparison, batch_size, cost=cost) for batch_size in sizes)
    return (*source, *(lines if len(sizes) == 1 else (*lines, study_line(comparison))))


def verdict_text(comparison: Comparison, *, cost: str) -> str:
    """Return `first_lines` as one text."""
    return " ".join(first_lines(comparison, cost=cost))


def batch_size_line(comparison: Comparison, batch_size: int, *, cost: str) -> str:
    """Return the answer at a batch size: the arms of the best verdict with their evidence, then the others."""
    rows = [comparison.row(arm, batch_size) for arm in judged_arms(comparison.facts)]
    by_kind = _by_kind(rows)
    if not by_kind:
        return f"B={batch_size:,}: nothing is confirmed yet."
    lead = next(kind for kind in KINDS if kind in by_kind)
    sentences = [_lead(comparison, lead, by_kind[lead])]
    if lead in ("yes", "yes, but"):
        sentences += [_evidence(comparison, by_kind[lead]), describe_saving(comparison, by_kind[lead], cost)]
    others = [_brief(comparison, kind, by_kind[kind]) for kind in KINDS if kind != lead and kind in by_kind]
    if others:
        sentences.append(f"{_capital('; '.join(others))}.")
    return " ".join(sentence for sentence in sentences if sentence)


def study_line(comparison: Comparison) -> str:
    """Return the answer over all batch sizes: where tuning can be skipped, where not, and where that is open."""
    facts = comparison.facts
    arms = judged_arms(facts)
    fates = {size: _fate([comparison.row(arm, size) for arm in arms]) for size in facts.batch_sizes}
    spared = [size for size in facts.batch_sizes if fates[size] in ("yes", "yes, but")]
    parts = []
    if spared:
        names = _sparing_arms(comparison, spared)
        is_first = spared == list(facts.batch_sizes[: len(spared)]) and len(spared) > 1
        where = f"up to B={spared[-1]:,}" if is_first else f"at {_sizes(spared)}"
        certain = "" if all(fates[size] == "yes" for size in spared) else ", less certain than the study's level"
        what = "you need not tune again" if _are_zero_tuning(facts, arms) else f"{facts.reference} is not needed"
        parts.append(f"{where} {what} ({names}{certain})")
    for fate, text in _STUDY_FATES.items():
        sizes = [size for size in facts.batch_sizes if fates[size] == fate]
        if sizes:
            others = f"{join_names(arms)} {_agree(arms, 'is', 'are')}"
            parts.append(f"at {_sizes(sizes)} {text.format(reference=facts.reference, others=others)}")
    return f"{_capital('; '.join(parts))}."


def study_word(comparison: Comparison) -> str:
    """Return the answer over all batch sizes in the word that they share, "Depends" where they share none."""
    facts = comparison.facts
    fates = {_fate([comparison.row(arm, size) for arm in judged_arms(facts)]) for size in facts.batch_sizes}
    return _capital(fates.pop()) if len(fates) == 1 else "Depends"


_STUDY_FATES = {
    "no": "you must: {others} worse than {reference} or lost seeds",
    "not shown": "it is not shown",
    "batch too large": "the batch is too large for this budget of epochs",
    "cannot be judged": "nothing can be judged",
}


def summary_line(comparison: Comparison) -> str:
    """Summarise the study in one short line, such as for the title of a figure."""
    facts = comparison.facts
    arms = judged_arms(facts)
    if not arms:
        return f"{facts.reference} stands alone: nothing to compare it with"
    by_number: dict[int, list[str]] = {}
    for arm in arms:
        number = sum(comparison.row(arm, size).spares_tuning for size in facts.batch_sizes)
        by_number.setdefault(number, []).append(arm)
    sizes = len(facts.batch_sizes)
    parts: list[str] = []
    for number, names in sorted(by_number.items(), reverse=True):
        where = f"at B={facts.batch_sizes[0]:,}" if sizes == 1 else f"at {number} of {sizes} batch sizes"
        start = where if parts else f"As good as {facts.reference} {where}"
        if number == 0:
            start = f"{'not' if parts else 'Not'} shown to be as good as {facts.reference}"
        parts.append(f"{start}: {', '.join(names)}")
    return "; ".join(parts)


def _by_kind(rows: Iterable[ComparisonRow]) -> dict[Kind, list[ComparisonRow]]:
    found: dict[Kind, list[ComparisonRow]] = {}
    for row in rows:
        if row.verdict is not None:
            found.setdefault(row.verdict.kind, []).append(row)
    return found


def _fate(rows: Sequence[ComparisonRow]) -> str:
    """Return what the arms together say of a batch size."""
    kinds = set(_by_kind(rows))
    if kinds & {"yes", "yes, but"}:
        return "yes" if "yes" in kinds else "yes, but"
    if kinds and kinds <= {"worse", "unreliable"}:
        return "no"
    return next((kind for kind in ("batch too large", "not shown", "cannot be judged") if kind in kinds), "not shown")


def _sparing_arms(comparison: Comparison, sizes: Sequence[int]) -> str:
    """Name the arms that spare tuning at all of these batch sizes; without one, those of each."""
    arms = judged_arms(comparison.facts)
    always = [arm for arm in arms if all(comparison.row(arm, size).spares_tuning for size in sizes)]
    if always:
        return _either(always)
    each = [
        f"{_either([arm for arm in arms if comparison.row(arm, size).spares_tuning])} at {size:,}" for size in sizes
    ]
    return ", ".join(each)


def _are_zero_tuning(facts: StudyFacts, arms: Iterable[str]) -> bool:
    return all(arm in facts.zero_tuning_arms for arm in arms)


def _lead(comparison: Comparison, kind: Kind, rows: Sequence[ComparisonRow]) -> str:
    """Return the first sentence on a batch size, of the arms with its best verdict."""
    facts = comparison.facts
    names, where = [row.arm for row in rows], f"B={rows[0].batch_size:,}"
    if kind in ("yes", "yes, but"):
        answer = "Yes" if kind == "yes" else "Yes, but less certain"
        if _are_zero_tuning(facts, names):
            return f"{answer}: skip tuning at {where} ({_either(names)})."
        return f"{answer}: {join_names(names)} {_agree(names, 'does', 'do')} as well as {facts.reference} at {where}."
    if kind == "not shown":
        needed = rows[0].verdict.seeds_needed if rows[0].verdict and len(rows) == 1 else None
        more = f" With {needed:,} seeds it would show, if the difference stays as it is." if needed else ""
        start = f"Not shown at {where}: whether {_either(names)} {_agree(names, 'does', 'do')} as well as"
        return f"{start} {facts.reference} is open{_scores(comparison, rows)}.{more}"
    if kind == "batch too large":
        limit = f"{100 * facts.margin:.4g}% of the small batch's {_baseline_score(comparison)}"
        start = f"{where} is too large for this budget of epochs. On average neither {', '.join(names)} nor"
        return f"{start} {facts.reference} keeps {limit}{_scores(comparison, rows)}."
    if kind in ("worse", "unreliable"):
        return _no(comparison, kind, rows)
    return f"{where} cannot be judged: {why_not_judged(comparison, rows[0])}."


def _no(comparison: Comparison, kind: Kind, rows: Sequence[ComparisonRow]) -> str:
    """Return the answer for arms that are worse, or unreliable: which they are, and the evidence."""
    facts, names = comparison.facts, [row.arm for row in rows]
    reference = comparison.row(facts.reference, rows[0].batch_size)
    is_sound = _are_zero_tuning(facts, names) and not reference.seeds.lost
    answer = f"{'No, tune again' if is_sound else 'No'} at B={rows[0].batch_size:,}:"
    if kind == "worse":
        losses = [f"by {_mean_loss(row, facts.metric)}" for row in rows]
        others = [f"{name} {loss}" for name, loss in zip(names[1:], losses[1:], strict=True)]
        return f"{answer} {', '.join([f'{names[0]} is worse than {facts.reference} {losses[0]}', *others])}."
    lost = [f"{row.arm + ': ' if len(rows) > 1 else ''}{describe_lost(row.seeds)}" for row in rows]
    unreliable = f"{answer} {join_names(names)} {_agree(names, 'is', 'are')} unreliable."
    return f"{unreliable} {_capital('; '.join(lost))}. {_of_reference(comparison, rows)}"


def _of_reference(comparison: Comparison, rows: Sequence[ComparisonRow]) -> str:
    """Return what the reference scored beside unreliable arms, and whether any of them keeps the margin."""
    facts = comparison.facts
    reference = comparison.row(facts.reference, rows[0].batch_size)
    trials = f" ({count_search_trials(reference)})" if reference.search.trials else ""
    text = f"{facts.reference}{trials} gave {describe_seeds(reference.seeds, facts.metric)}"
    kept = [row.verdict.num_kept for row in rows if row.verdict]
    if any(kept) or None in kept or comparison.yardstick.num_kept(reference.seeds):
        return f"{_capital(text)}."
    limit = f"{100 * facts.margin:.4g}% of the small batch's {_baseline_score(comparison)}"
    return f"{_capital(text)}: no training of {'either' if len(rows) == 1 else 'any of them'} keeps {limit}."


def _brief(comparison: Comparison, kind: Kind, rows: Sequence[ComparisonRow]) -> str:
    """Return a clause on the arms with a verdict that does not lead."""
    names, metric = [row.arm for row in rows], comparison.facts.metric
    if kind == "unreliable":
        lost = [f"{row.arm} is unreliable: {describe_lost(row.seeds)}" for row in rows]
        return "; ".join(lost)
    if kind == "worse":
        worse = [f"{row.arm} by {_mean_loss(row, metric)}" for row in rows]
        return f"worse than {comparison.facts.reference}: {join_names(worse)}"
    if kind == "yes, but":
        return f"as good, less certain: {join_names(names)}"
    if kind == "batch too large":
        return f"too low, as {comparison.facts.reference} is: {join_names(names)}"
    return f"{kind}: {join_names(names)}"


def _evidence(comparison: Comparison, rows: Sequence[ComparisonRow]) -> str:
    """Return how many trainings of these arms and of the reference kept the margin, and how many could still fail."""
    facts = comparison.facts
    reference = comparison.row(facts.reference, rows[0].batch_size)
    counts = {row.arm: (row.verdict.num_kept if row.verdict else None, len(row.seeds)) for row in rows}
    numbers = set(counts.values())
    kept, total = next(iter(numbers))
    if kept is None:
        what = f"{_of_each(rows)} were sound"
    else:
        share = f"{100 * facts.margin:.4g}% of the small batch's {_baseline_score(comparison)}"
        same = f"{kept} of {total} trainings{'' if len(rows) == 1 else ' of each'}"
        several = join_names([f"{count} of {of} trainings of {arm}" for arm, (count, of) in counts.items()])
        what = f"{same} kept {share}" if len(numbers) == 1 else f"{several} kept {share}"
    of_reference = len(reference.seeds)
    count = reference.verdict.num_kept if reference.verdict else comparison.yardstick.num_kept(reference.seeds)
    other = f" ({facts.reference}: {len(reference.seeds.scores) if count is None else count} of {of_reference})"
    return f"{what}{other}; {describe_bound(max((row.seeds for row in rows), key=lambda seeds: seeds.lost_share[1]))}."


def _of_each(rows: Sequence[ComparisonRow]) -> str:
    number = len(rows[0].seeds)
    return f"{number} of {number} trainings" + ("" if len(rows) == 1 else " of each")


def _scores(comparison: Comparison, rows: Sequence[ComparisonRow]) -> str:
    """Return the seeds' scores of a few arms and of the reference, in brackets."""
    facts = comparison.facts
    reference = comparison.row(facts.reference, rows[0].batch_size)
    if len(rows) > 2:
        return ""
    each = [f"{row.arm} {describe_seeds(row.seeds, facts.metric)}" for row in (*rows, reference)]
    return f" ({', '.join(each)})"


def _mean_loss(row: ComparisonRow, metric: str) -> str:
    difference = row.verdict.difference if row.verdict else None
    return "" if difference is None else format_points(-difference.mean, metric, signed=False)


def _baseline_score(comparison: Comparison) -> str:
    baseline = comparison.baseline
    if baseline is None or baseline.score is None:
        return "no score"
    return format_score(baseline.score.mean, comparison.facts.metric)


def _sizes(batch_sizes: Iterable[int]) -> str:
    return join_names([f"B={batch_size:,}" for batch_size in batch_sizes])


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _agree(names: Sequence[str], one: str, several: str) -> str:
    return one if len(names) == 1 else several


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
