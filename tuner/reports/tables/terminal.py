"""The comparison on a terminal: the answer first, then its numbers, in as many columns as fit.

This module must not know plotly, nor where results come from.
"""

from collections.abc import Collection, Iterable, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ...analysis.comparison import Comparison, ComparisonRow
from ...analysis.selection import BASELINE
from ..text.costs import cost_unit, format_reused
from ..text.format import format_amount, pluralize
from ..text.headlines import format_edge, format_trials_to_match, headlines
from ..text.scores import format_interval, format_points
from .cells import format_savings, format_share_of_baseline, format_verdict
from .plain import plain_table

_ANY_WIDTH = 10_000
_COST = "device_seconds"
_VERDICT_STYLES = {"beats": "bold green", "matches": "green", "falls short": "red", "undecided": "yellow"}


def print_answer(comparison: Comparison, console: Console, missing: Sequence[str] = ()) -> None:
    """Print the answer of a study, readable without its definition, with savings in device-seconds.

    What is missing comes first. Names are never read as markup.
    """
    facts = comparison.facts
    for sentence in missing:
        console.print(Text(sentence, style="bold yellow"))
    console.print(Text(f"{facts.name}: {facts.question}" if facts.question else facts.name, style="bold"))
    for batch_size in facts.batch_sizes:
        console.print()
        for sentence in headlines(comparison, batch_size, cost=_COST):
            console.print(Text(f"• {sentence}"))
        console.print(_BatchSizeTable(comparison, batch_size))
    console.print()
    for note in notes(comparison, cost=_COST):
        console.print(Text(note, style="dim"))


def print_caveats(sentences: Iterable[str], console: Console) -> None:
    """Print what restricts an answer."""
    for sentence in sentences:
        console.print(Text(sentence, style="yellow"))


class _BatchSizeTable:
    """The table of one batch size. On a narrow terminal it drops columns, the least important first."""

    dropped_first = ("operations", "of_baseline", "effort", "baseline", "trials")

    def __init__(self, comparison: Comparison, batch_size: int) -> None:
        self.comparison, self.batch_size = comparison, batch_size
        self.rows = [row for row in comparison.rows if row.batch_size == batch_size]
        self.operations = cost_unit("flops", [row.bill["flops"] for row in self.rows if row.bill])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number in range(len(self.dropped_first) + 1):
            table = self._table(leaving_out=self.dropped_first[:number])
            if Measurement.get(console, options.update(width=_ANY_WIDTH), table).maximum <= options.max_width:
                break
        yield table
        if number:
            yield Text("Some columns are left out: the terminal is too narrow for them.", style="dim")

    def _table(self, *, leaving_out: Collection[str]) -> Table:
        table, columns = plain_table(), self._columns()
        for name in leaving_out:
            del columns[name]
        table.add_column(f"B={self.batch_size}", max_width=24, overflow="fold")
        for name, (heading, _) in columns.items():
            table.add_column(Text(heading), justify="left" if name == "verdict" else "right", no_wrap=True)
        for number, row in enumerate(self.rows):
            table.add_row(Text(row.arm), *(cells[number] for _, cells in columns.values()))
        return table

    def _columns(self) -> dict[str, tuple[str, Sequence[Text]]]:
        comparison, rows = self.comparison, self.rows
        saved = [format_savings(row, _COST) for row in rows]
        return {
            "score": (f"test {comparison.facts.metric}", [_score(comparison, row) for row in rows]),
            "of_baseline": ("of B0's", [_of_baseline(comparison, row) for row in rows]),
            "verdict": ("verdict", [_verdict(comparison, row) for row in rows]),
            "trials": ("search\ntrials", [Text(str(row.search.trials)) for row in rows]),
            "effort": ("K*", [Text(format_trials_to_match(row.effort)) for row in rows]),
            "seconds": ("device-s", [_billed(row, "device_seconds") for row in rows]),
            "operations": (self.operations.label, [_billed(row, "flops", self.operations.size) for row in rows]),
            "saved": ("saved", [Text(of_search) for of_search, _ in saved]),
            "baseline": ("incl.\nbaseline", [Text(with_baseline) for _, with_baseline in saved]),
        }


def _score(comparison: Comparison, row: ComparisonRow) -> Text:
    return Text("none yet" if row.score is None else format_interval(row.score, comparison.facts.metric))


def _verdict(comparison: Comparison, row: ComparisonRow) -> Text:
    finding = format_verdict(comparison, row)
    return Text(finding, style=_VERDICT_STYLES.get(finding, ""))


def _billed(row: ComparisonRow, currency: str, size: float = 1.0) -> Text:
    return Text("-" if row.bill is None else format_amount(row.bill[currency] / size))


def _of_baseline(comparison: Comparison, row: ComparisonRow) -> Text:
    text = format_share_of_baseline(comparison, row)
    return Text(text, style="green") if row.holds else Text(text if text == "-" else f"{text}  ")


def notes(comparison: Comparison, *, cost: str) -> tuple[str, ...]:
    """Return what a reader must know to trust the table: definitions, baseline, bill, edges and lost runs."""
    lost = tuple(
        f"{row.arm} at B={row.batch_size}: of {row.num_seeds + row.num_failed} confirmation runs "
        f"{row.num_diverged} diverged and {row.num_failed} failed."
        for row in comparison.rows
        if row.num_diverged or row.num_failed
    )
    return (*table_notes(comparison, cost=cost), *(format_edge(edge) for edge in comparison.edges), *lost)


def table_notes(comparison: Comparison, *, cost: str) -> tuple[str, ...]:
    """Return what the columns mean, what the baseline was, and the whole bill."""
    facts, spent = comparison.facts, comparison.ledger.total
    operations = cost_unit("flops", [spent.flops])
    num_diverged = sum(line.num_diverged for line in comparison.ledger.lines)
    num_failed = sum(line.num_failed for line in comparison.ledger.lines)
    return (
        f"± is Student's 95% interval over seeds. Costs are those to a model: all search trials of the arm at that "
        f"batch size and one training of its choice. Saved: {cost_unit(cost, []).label} against {facts.reference}; in "
        f"brackets where the arm is not shown to match.",
        _verdict_note(comparison),
        _effort_note(comparison),
        f"Of B0's: share of the baseline's score; ✓ where the mean keeps {100 * facts.margin:.4g}% of it.",
        *_baseline_notes(comparison),
        f"Spent on the study: {pluralize(spent.trials, 'training')} ({num_diverged} diverged, {num_failed} failed), "
        f"{format_amount(spent.device_seconds)} device-seconds, "
        f"{format_amount(spent.flops / operations.size)} {operations.label}. "
        f"{format_reused(comparison.ledger.reused)}".rstrip(),
    )


def _verdict_note(comparison: Comparison) -> str:
    facts = comparison.facts
    tolerance = next((row.verdict.tolerance for row in comparison.rows if row.verdict), None)
    shown = "" if tolerance is None else f" ({format_points(tolerance, facts.metric, signed=False)})"
    amount = "" if comparison.tolerance_basis == "reference" else shown
    return (
        f"Matches: the 95% interval of the difference, paired by seed, lies above a loss of "
        f"{100 * (1 - facts.margin):.3g}% of the {comparison.tolerance_basis}'s score{amount}; beats: above 0."
    )


def _effort_note(comparison: Comparison) -> str:
    """Say what K* is, and what it rests on if the reference's search learns."""
    reference = comparison.facts.reference
    efforts = [row.effort for row in comparison.rows if row.effort is not None]
    text = f"K*: trials of {reference} whose expected best validates as well as the arm; > where all are not enough."
    if not efforts or not efforts[0].learned:
        return text
    fewest = min(effort.num_searches for effort in efforts)
    basis = "that of one search, no expectation" if fewest == 1 else f"the average of {fewest} searches"
    return f"{text} {reference} learns from its trials, so K* is {basis}."


def _baseline_notes(comparison: Comparison) -> tuple[str, ...]:
    """Say how the shared baseline was found and what it scores, and how each arm's own was found."""
    facts, baseline = comparison.facts, comparison.baseline
    found = {
        (line.arm, line.batch_size): f"tuned in {pluralize(line.full_cost.trials, 'trial')}, "
        f"{format_amount(line.full_cost.device_seconds)} device-seconds"
        for line in comparison.ledger.lines
        if line.role == "baseline"
    }
    shared = found.pop((BASELINE, facts.baseline_batch_size), "stated, not billed")
    interval = None if baseline is None else baseline.score
    score = "not confirmed" if interval is None else f"it scores {format_interval(interval, facts.metric)}"
    return (
        f"Baseline at B0={facts.baseline_batch_size}: {shared}; {score}.",
        *(f"{arm[0].upper()}{arm[1:]} at B0={size}: {search}." for (arm, size), search in found.items()),
    )
