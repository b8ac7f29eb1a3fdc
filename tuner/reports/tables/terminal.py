"""The answer on a terminal: the sentences first, then the numbers, in as many columns as fit.

This module must not know plotly, nor where results come from.
"""

from collections.abc import Collection, Iterable, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ...analysis.bill import fully_measured_joules, worth
from ...analysis.comparison import Comparison
from ...analysis.comparison_row import ComparisonRow
from ...analysis.selection import BASELINE
from ...analysis.verdict import LEVEL, LIKELY_LEVEL
from ..answer import Answer
from ..text.carrying import carrying_notes
from ..text.costs import NOT_KNOWN, cost_unit, format_reused
from ..text.edges import format_edge
from ..text.format import format_amount, join_names, pluralize
from ..text.next_steps import next_steps
from ..text.savings import describe_luck, format_trials_to_match
from ..text.scores import format_interval, format_points
from ..text.search_fronts import describe_search_fronts
from ..text.search_trials import format_search_trials
from ..text.searches import describe_searches
from ..text.seeds import MANY_SEEDS, count_trainings, format_lost, format_seeds
from ..text.verdict import first_lines
from ..text.worth import describe_worth
from .cells import format_median, format_savings, format_share_of_baseline, format_verdict
from .plain import plain_table

_ANY_WIDTH = 10_000
_COST = "device_seconds"
_MANY_ARMS = 5
_VERDICT_STYLES = {
    **{"yes": "bold green", "yes, but": "green", "not shown": "yellow", "batch too large": "yellow"},
    **{"worse": "red", "unreliable": "red", "cannot be judged": "yellow"},
}

DROPPED_FIRST = ("operations", "of_baseline", "effort", "baseline", "trials", "seeds")
"""Columns that a narrow terminal drops, the least important first."""
COLUMNS: tuple[str, ...] = (
    *("seeds", "lost", "median", "of_baseline", "verdict", "trials", "effort", "seconds", "operations", "saved"),
    "baseline",
)
"""All columns of numbers, in their order."""


def print_answer(comparison: Comparison, console: Console, missing: Sequence[str] = ()) -> None:
    """Print the answer of a study, readable without its definition, with savings in device-seconds.

    What is missing comes first, then the verdict. Names are never read as markup.
    """
    facts = comparison.facts
    for sentence in missing:
        console.print(Text(sentence, style="bold yellow"))
    for sentence in first_lines(comparison, cost=_COST):
        lead, stop, evidence = sentence.partition(". ")
        console.print(Text.assemble((f"{lead}{stop.rstrip()}", "bold"), f" {evidence}" if evidence else ""))
    console.print()
    console.print(Text(f"{facts.name}: {facts.question}" if facts.question else facts.name))
    dropped = _dropped_columns(comparison, console)
    for batch_size in facts.batch_sizes:
        console.print()
        console.print(_table(comparison, batch_size, leaving_out=dropped))
    if (dropped and "flops" not in comparison.unknown) or len(dropped) > 1:
        console.print(Text("Some columns are left out: the terminal is too narrow for them.", style="dim"))
    console.print()
    for note in notes(comparison, cost=_COST, columns=[name for name in COLUMNS if name not in dropped]):
        console.print(Text(note, style="dim"))


def print_caveats(sentences: Iterable[str], console: Console) -> None:
    """Print what restricts an answer."""
    for sentence in sentences:
        console.print(Text(sentence, style="yellow"))


def print_next_steps(subject: Answer, console: Console, study: str | None, options: str | None) -> None:
    """Print what to do next, see `tuner.reports.text.next_steps`; commands are not wrapped.

    `options` are those that name application and store, None for those that the answer knows.
    """
    steps = next_steps(subject, study, options)
    if not steps:
        return
    console.print("\nWhat to do next:")
    for step in steps:
        console.print(Text(f"  {step}"), soft_wrap=True)


def _dropped_columns(comparison: Comparison, console: Console) -> tuple[str, ...]:
    """Return the columns to leave out so that the table of every batch size fits, or that have nothing to show."""
    options, empty = console.options, ("operations",) if "flops" in comparison.unknown else ()
    for number in range(len(empty), len(DROPPED_FIRST) + 1):
        dropped = DROPPED_FIRST[:number]
        tables = [_table(comparison, size, leaving_out=dropped) for size in comparison.facts.batch_sizes]
        widths = [Measurement.get(console, options.update(width=_ANY_WIDTH), table).maximum for table in tables]
        if max(widths) <= options.max_width:
            return dropped
    return DROPPED_FIRST


def _table(comparison: Comparison, batch_size: int, *, leaving_out: Collection[str]) -> Table:
    rows = [row for row in comparison.rows if row.batch_size == batch_size]
    table, columns = plain_table(), _columns(comparison, rows)
    table.add_column(f"B={batch_size:,}", max_width=24, overflow="fold")
    shown = [name for name in COLUMNS if name not in leaving_out]
    for name in shown:
        is_words = name in ("verdict", "seeds")
        table.add_column(Text(columns[name][0]), justify="left" if is_words else "right", no_wrap=True)
    for number, row in enumerate(rows):
        table.add_row(Text(row.arm), *(columns[name][1][number] for name in shown))
    return table


def _columns(comparison: Comparison, rows: Sequence[ComparisonRow]) -> dict[str, tuple[str, Sequence[Text]]]:
    metric = comparison.facts.metric
    operations = cost_unit("flops", [row.bill["flops"] for row in rows if row.bill])
    seconds = "tabulated s" if comparison.tabulated else "device-s"
    saved = [format_savings(row, _COST) for row in rows]
    return {
        "seeds": (f"test {metric} by seed", [_seeds(row, metric) for row in rows]),
        "lost": ("lost", [_lost(row) for row in rows]),
        "median": ("median", [Text(format_median(comparison, row)) for row in rows]),
        "of_baseline": ("of B0's", [_of_baseline(comparison, row) for row in rows]),
        "verdict": ("verdict", [_verdict(comparison, row) for row in rows]),
        "trials": ("search\ntrials", [Text(format_search_trials(row)) for row in rows]),
        "effort": ("K*", [Text(format_trials_to_match(row.effort)) for row in rows]),
        "seconds": (seconds, [_billed(row, "device_seconds") for row in rows]),
        "operations": (operations.label, [_billed(row, "flops", operations.size) for row in rows]),
        "saved": ("saved", [Text(of_search) for of_search, _ in saved]),
        "baseline": ("incl.\nbaseline", [Text(with_baseline) for _, with_baseline in saved]),
    }


def _seeds(row: ComparisonRow, metric: str) -> Text:
    is_short = len(row.seeds) <= MANY_SEEDS and row.num_searches <= 1
    return Text(format_seeds(row.seeds, metric) if is_short else count_trainings(row.seeds))


def _lost(row: ComparisonRow) -> Text:
    return Text(format_lost(row.seeds), style="red" if row.seeds.lost else "") if len(row.seeds) else Text("-")


def _verdict(comparison: Comparison, row: ComparisonRow) -> Text:
    verdict = format_verdict(comparison, row)
    return Text(verdict, style=_VERDICT_STYLES.get(verdict, ""))


def _billed(row: ComparisonRow, currency: str, size: float = 1.0) -> Text:
    return Text("-" if row.bill is None else format_amount(row.bill[currency] / size))


def _of_baseline(comparison: Comparison, row: ComparisonRow) -> Text:
    text = format_share_of_baseline(comparison, row)
    return Text(text, style="green") if row.holds else Text(text if text == "-" else f"{text}  ")


def notes(comparison: Comparison, *, cost: str, columns: Collection[str] = COLUMNS) -> tuple[str, ...]:
    """Return what a reader must know to trust the table: these columns, the baseline, the bill and edges."""
    edges = (format_edge(edge) for edge in comparison.edges)
    return (*table_notes(comparison, cost=cost, columns=columns), *edges)


def table_notes(comparison: Comparison, *, cost: str, columns: Collection[str] = COLUMNS) -> tuple[str, ...]:
    """Return what these columns mean where they show anything, what the baseline was, and the whole bill."""
    facts, spent, rows = comparison.facts, comparison.ledger.total, comparison.rows
    operations, unit = cost_unit("flops", [spent.flops]), cost_unit(cost, [], tabulated=comparison.tabulated)
    seconds = cost_unit("device_seconds", [], tabulated=comparison.tabulated).label
    did = "Looked up for" if comparison.tabulated else "Spent on"
    flops = f"{format_amount(spent.flops / operations.size)} {operations.label}"
    num_diverged = sum(line.num_diverged for line in comparison.ledger.lines)
    num_failed = sum(line.num_failed for line in comparison.ledger.lines)
    found = {
        "lost": _lost_note(comparison) if any(row.seeds.lost for row in rows) else "",
        "of_baseline": f"Of B0's: share of the baseline's score; ✓ where no seed is lost and the mean keeps "
        f"{100 * facts.margin:.4g}% of it.",
        "verdict": _verdict_note(comparison) if any(row.verdict for row in rows) else "",
        "effort": _effort_note(comparison) if any(row.effort for row in rows) else "",
        "seconds": "Cost: of a search all its trials at that batch size, the best of which is the model; of a rule one "
        f"training{', of a guarded one its probes too' if facts.guarded_arms else ''}.{_repeats_note(comparison)}",
        "saved": f"Saved: {unit.label} against {facts.reference}, where the verdict is a yes"
        f"{'' if not any(map(comparison.mostly_useless_reference, facts.batch_sizes)) else ' and a saving is claimed'}."
        if any(row.savings for row in rows)
        else "",
    }
    worths = describe_worth([worth(facts.prices, spent.device_seconds, fully_measured_joules(spent))], facts.prices)
    return (
        *(note for name, note in found.items() if note and name in columns),
        *_baseline_notes(comparison),
        *describe_search_fronts(comparison),
        *describe_searches(comparison),
        *carrying_notes(comparison),
        *_usable_note(comparison, cost),
        f"{did} the study: {pluralize(spent.trials, 'training')} ({num_diverged} diverged, {num_failed} failed), "
        f"{format_amount(spent.device_seconds)} {seconds}, "
        f"{', '.join([f'FLOPs {NOT_KNOWN}' if 'flops' in comparison.unknown else flops, *worths])}. "
        f"{format_reused(comparison.ledger.reused)}".rstrip(),
    )


def _repeats_note(comparison: Comparison) -> str:
    is_repeated = any(len(row.searches) > 1 for row in comparison.rows)
    return " Of repeated searches one is billed, their mean." if is_repeated else ""


def _lost_note(comparison: Comparison) -> str:
    guess = comparison.yardstick.guessing.score
    half = "" if guess is None else ", or ended nearer to the score of guessing than to the baseline's"
    return f"Lost (✗): diverged, failed{half}. Median: of the sound seeds."


def _usable_note(comparison: Comparison, cost: str) -> Iterable[str]:
    """Say what a usable model costs with the arms that lost seeds."""
    costs = {
        f"{row.arm} at B={row.batch_size:,}": usable[cost]
        for row in comparison.rows
        if row.seeds.lost and (usable := row.cost_per_usable_model) is not None
    }
    if costs:
        unit = cost_unit(cost, costs.values(), tabulated=comparison.tabulated)
        named = [f"{place} {format_amount(amount / unit.size)}" for place, amount in costs.items()]
        shown = [*named[:_MANY_ARMS], *([f"{len(named) - _MANY_ARMS} more"] if len(named) > _MANY_ARMS else [])]
        yield (
            "A usable model, where seeds are lost, costs the bill over the share of those that are not "
            f"({unit.label}): {join_names(shown)}."
        )


def _verdict_note(comparison: Comparison) -> str:
    facts = comparison.facts
    tolerance = next((row.verdict.tolerance for row in comparison.rows if row.verdict), None)
    shown = "" if tolerance is None else f" ({format_points(tolerance, facts.metric, signed=False)})"
    amount = "" if comparison.tolerance_basis == "reference" else shown
    number = sum(row.verdict is not None and row.verdict.num_pairs > 0 for row in comparison.rows)
    counted = f", counting all {number} comparisons" if number > 1 else ""
    share = f"at most {LEVEL:.0%} of studies have a false yes"
    certainty = f"at a one-sided level of {LEVEL / 2:g}" if facts.is_amended else share
    return (
        f"Yes: no seed lost, and on average not worse than {facts.reference} by {100 * (1 - facts.margin):.3g}% of the "
        f"{comparison.tolerance_basis}'s score{amount}; {certainty}{counted}. Yes, "
        f"but: the same at a one-sided level of {LIKELY_LEVEL:.3g} each, or against a reference that lost a seed."
    )


def _effort_note(comparison: Comparison) -> str:
    """Say what K* is, and what it rests on if the reference's search learns."""
    reference = comparison.facts.reference
    efforts = [row.effort for row in comparison.rows if row.effort is not None]
    text = f"K*: trials of {reference} whose expected best validates as well as the arm; > where all are not enough."
    if not efforts or not efforts[0].learned:
        return f"{text} {describe_luck(comparison)}"
    fewest = min(effort.num_searches for effort in efforts)
    basis = "that of one search, no expectation" if fewest == 1 else f"the average of {fewest} searches"
    return f"{text} {reference} learns from its trials, so K* is {basis}, and the luck of the best is left in."


def _baseline_notes(comparison: Comparison) -> tuple[str, ...]:
    """Say how the shared baseline was found and what it scores, and how each arm's own was found."""
    facts, baseline = comparison.facts, comparison.baseline
    seconds = cost_unit("device_seconds", [], tabulated=comparison.tabulated).label
    found = {
        (line.arm, line.batch_size): f"tuned in {pluralize(line.full_cost.trials, 'trial')}, "
        f"{format_amount(line.full_cost.device_seconds)} {seconds}"
        for line in comparison.ledger.lines
        if line.role == "baseline"
    }
    shared = found.pop((BASELINE, facts.baseline_batch_size), "stated, not billed")
    interval = None if baseline is None else baseline.score
    score = "not confirmed" if interval is None else f"it scores {format_interval(interval, facts.metric)}"
    return (
        f"Baseline at B0={facts.baseline_batch_size:,}: {shared}; {score}.",
        *(f"{arm[0].upper()}{arm[1:]} at B0={size:,}: {search}." for (arm, size), search in found.items()),
    )
