"""The table of a regime search, as cells and on a terminal. It must not know plotly."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...reports.text.format import format_amount
from ...reports.text.scores import format_interval
from .text import format_verdict, headline, loss_ratio, notes, score_share, sentences
from .verdict import Regime


def cells(regime: Regime) -> list[tuple[str, ...]]:
    """The table: the baseline, every attempt, and the rest of the bill.

    Trainings and seconds add up to what was spent and what was taken over.
    """
    question = regime.question
    rows = []
    for attempt in (regime.baseline, *regime.attempts):
        share, ratio = score_share(regime, attempt), loss_ratio(regime, attempt)
        score = "none" if attempt.score is None else format_interval(attempt.score, question.metric)
        verdict = "baseline" if attempt is regime.baseline else format_verdict(regime, attempt)
        measured = (score, "-" if share is None else f"{100 * share:.2f}%", "-" if ratio is None else f"{ratio:.3g}")
        rows.append((attempt.batch_size, attempt.arm, *measured, verdict, attempt.cost))
    rows += [(line.batch_size, f"{line.arm}, {line.role}", "", "", "", "", line.full_cost) for line in regime.others]
    return [
        (f"{batch_size:,}", *words, str(cost.trials), format_amount(cost.device_seconds))
        for batch_size, *words, cost in sorted(rows, key=lambda row: row[0])
    ]


def headings(regime: Regime) -> tuple[str, ...]:
    """Of the columns of `cells`."""
    metric = f"test {regime.question.metric}"
    return ("B", "method", metric, "of B0's", "loss /\nB0's", "holds", "trials", "device-\nseconds")


_STYLES = {"holds": "green", "fails": "red", "score only": "yellow"}


def print_regime(regime: Regime, console: Console) -> None:
    """Prints the boundaries, the table of what was tried, and the notes."""
    question = regime.question
    console.print(Text(f"{question.study}, {question.application}: {headline(regime)}", style="bold"))
    console.print()
    for sentence in sentences(regime):
        console.print(Text(f"• {sentence}"))
    console.print()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1), collapse_padding=True)
    for place, heading in enumerate(headings(regime)):
        justify = "left" if place in (1, 5) else "right"
        table.add_column(heading, justify=justify, no_wrap=place == 5, overflow="fold")  # type: ignore[arg-type]
    previous = ""
    for row in cells(regime):
        shown = [Text("" if row[0] == previous else row[0]), *map(Text, row[1:])]
        shown[5].stylize(_STYLES.get(row[5].removesuffix(" ?"), ""))
        previous = row[0]
        table.add_row(*shown)
    console.print(table)
    console.print()
    for note in notes(regime):
        console.print(Text(note, style="dim"))
