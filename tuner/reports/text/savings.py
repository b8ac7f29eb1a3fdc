"""What arms save, in sentences: trainings first, then FLOPs, the currency that was asked for and stated prices.

This module escapes nothing; the caller that draws a text escapes it.
"""

from collections.abc import Sequence

from ...analysis.bill import Amounts
from ...analysis.comparison import Comparison
from ...analysis.comparison_row import ComparisonRow
from ...analysis.tuning_effort import TuningEffort
from .costs import cost_unit
from .format import format_amount, join_names, pluralize
from .scores import format_points
from .searches import why_no_saving
from .worth import describe_worth, spared_worth


def describe_saving(comparison: Comparison, rows: Sequence[ComparisonRow], cost: str) -> str:
    """Return what arms at a batch size save against the reference's search, or why nothing; empty without a bill.

    Args:
        comparison: of the study.
        rows: arms at one batch size whose verdicts allow a saving.
        cost: a name in `tuner.cost.CURRENCIES`, named beside trainings and FLOPs.
    """
    reference = comparison.row(comparison.facts.reference, rows[0].batch_size)
    bills = [row.bill for row in rows if row.bill is not None]
    if reference.bill is None or not bills:
        return ""
    if (search := comparison.mostly_useless_reference(rows[0].batch_size)) is not None:
        return why_no_saving(search)
    needed, given = [bill["trials"] for bill in bills], reference.bill["trials"]
    if max(needed) >= given:
        how = "as" if min(needed) == max(needed) == given else "where"
        return f"It takes {_trainings(needed)}, {how} {reference.arm} takes {format_amount(given)}."
    names = [name for name in dict.fromkeys(("flops", cost)) if name not in ("trials", *comparison.unknown)]
    spared = [_spared(comparison, reference.bill, bills, name) for name in names]
    if spared and all(spared):
        worths = [one for row in rows if (one := spared_worth(comparison, row)) is not None]
        spared += describe_worth(worths, comparison.facts.prices)
    against = [_against(comparison, reference.bill, bills, name) for name in names]
    found = [
        f"It takes {_trainings(needed)} instead of the {format_amount(given)} that {_given(reference)}",
        f"and spares {join_names(spared)}" if spared and all(spared) else "",
        f"but costs {join_names(against)}" if not all(spared) else "",
    ]
    sentences = [" ".join(part for part in found if part), _effort(rows), _baseline(comparison, rows, cost)]
    return f"{'; '.join(sentence for sentence in sentences if sentence)}."


def _given(reference: ComparisonRow) -> str:
    """Say which search the reference's bill is of."""
    if reference.num_searches <= 1:
        return "this study gave tuning"
    return f"one of its {reference.num_searches} searches took on average"


def format_trials_to_match(effort: TuningEffort | None) -> str:
    """Format K* for a table; empty if there is nothing to match."""
    if effort is None:
        return ""
    return f">{effort.num_trials}" if effort.trials is None else str(effort.trials)


def describe_luck(comparison: Comparison) -> str:
    """Return the sentence on whether K* of exchangeable trials is without the luck of the best, and by what noise."""
    efforts = [row.effort for row in comparison.rows if row.effort is not None]
    noises = sorted(effort.noise for effort in efforts if effort.noise is not None)
    if not noises:
        return "The luck of the best, which was trained once, is left in, so K* is rather too low."
    ends = [format_points(noise, comparison.facts.metric, signed=False) for noise in (noises[0], noises[-1])]
    spread = ends[0] if ends[0] == ends[1] else f"{ends[0].removesuffix(' points')} to {ends[1]}"
    some = "" if len(noises) == len(efforts) else " where two seeds show it"
    return (
        f"Most of the luck of the best is taken out{some}: seeds of one configuration differ by {spread} (standard "
        "deviation)."
    )


def _spared(comparison: Comparison, reference: Amounts, bills: Sequence[Amounts], currency: str) -> str:
    """Return the amount spared, a range if the bills differ; empty if one of them spares nothing."""
    unit = cost_unit(currency, [reference[currency]], tabulated=comparison.tabulated)
    amounts = [(reference[currency] - bill[currency]) / unit.size for bill in bills]
    if min(amounts) <= 0:
        return ""
    return f"{_range(amounts)} {unit.label}"


def _against(comparison: Comparison, reference: Amounts, bills: Sequence[Amounts], currency: str) -> str:
    """Return what arms cost and what the reference costs, such as of longer trainings, which spare trials alone."""
    unit = cost_unit(currency, [reference[currency]], tabulated=comparison.tabulated)
    amounts = _range([bill[currency] / unit.size for bill in bills])
    return f"{amounts} against {format_amount(reference[currency] / unit.size)} {unit.label}"


def _trainings(numbers: Sequence[float]) -> str:
    """Return a number of trainings, a range where arms differ."""
    low, high = min(numbers), max(numbers)
    return pluralize(high, "training") if low == high else f"{format_amount(low)} to {pluralize(high, 'training')}"


def _range(amounts: Sequence[float]) -> str:
    low, high = format_amount(min(amounts)), format_amount(max(amounts))
    return low if low == high else f"{low} to {high}"


def _effort(rows: Sequence[ComparisonRow]) -> str:
    """Return how many trials of the search do as well on average."""
    efforts = [row.effort for row in rows if row.effort is not None]
    if not efforts:
        return ""
    found = [effort.trials for effort in efforts]
    known = sorted(trials for trials in found if trials is not None)
    if not known:
        return f"all {efforts[0].num_trials} such trials do less well on average"
    low, high = known[0], known[-1]
    number = pluralize(low, "such trial") if low == high else f"{low} to {high} such trials"
    verb = "does" if low == high == 1 else "do"
    others = "" if len(known) == len(found) else ", for some arms more than there were"
    return f"{number} {verb} as well on average{others}"


def _baseline(comparison: Comparison, rows: Sequence[ComparisonRow], cost: str) -> str:
    """Return what the search for the baseline adds, and after how many batch sizes it has paid for itself.

    That is in FLOPs, unless they are not known; where the tables' currency `cost` gives another number, in both.
    """
    billed = [row for row in rows if row.is_rule and row.baseline_bill["trials"] > 0]
    if not billed:
        is_stated = any(row.is_rule for row in rows)
        return "the baseline was stated, so its tuning is not billed" if is_stated else ""
    trials = [row.baseline_bill["trials"] for row in billed]
    facts = comparison.facts
    text = f"tuning the baseline at B0={facts.baseline_batch_size:,} took {_trainings(trials)}"
    currencies = [name for name in dict.fromkeys(("flops", cost)) if name not in comparison.unknown]
    sizes = {name: _break_even(billed, name) for name in currencies}
    if set(sizes.values()) == {None}:
        return f"{text}, which no number of batch sizes pays for"
    when = {name: "never" if size is None else f"after {pluralize(size, 'batch size')}" for name, size in sizes.items()}
    if len(set(sizes.values())) == 1:
        return f"{text}, paid off {next(iter(when.values()))}"
    units = {name: cost_unit(name, [], tabulated=comparison.tabulated).label for name in currencies}
    return f"{text}, paid off {join_names([f'{found} in {units[name]}' for name, found in when.items()])}"


def _break_even(rows: Sequence[ComparisonRow], currency: str) -> int | None:
    """Return after how many batch sizes all arms have saved their baseline's bill; None if one of them never does."""
    sizes = [saving.break_even for row in rows if (saving := row.savings.get(currency)) is not None]
    return None if not sizes or None in sizes else max(size for size in sizes if size is not None)
