"""The command `zerotune report`."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import BadInput
from ..run.command_text import format_path
from .options import CostOption, Currency, StoredStudy, takes_options
from .prices import PricesOption, at_prices
from .terminal import print_lines

if TYPE_CHECKING:
    from ..reports.answer import Answer


class ReportFormat(StrEnum):
    """The format of a report."""

    html = "html"
    json = "json"
    markdown = "markdown"
    latex = "latex"


@takes_options
def report(
    *,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File to write. Default: STORE/STUDY/report/report.html for HTML, the terminal for other formats.",
        ),
    ] = None,
    format: Annotated[
        ReportFormat, typer.Option("--format", help="Format; html is one page with all figures.")
    ] = ReportFormat.html,
    cost: CostOption = Currency.device_seconds,
    prices: PricesOption = None,
    stored: StoredStudy,
) -> None:
    """Write a study's report from its store: verdict, numbers, figures, methods and provenance."""
    is_page = format is ReportFormat.html
    found = at_prices(stored.read_answer(with_epochs=is_page), prices)
    text = _render(format, replace(found, cost=cost.value))
    file = to or (stored.root / found.comparison.facts.name / "report" / "report.html" if is_page else None)
    if file is None:
        typer.echo(text, nl=False)  # rich would wrap its lines
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{file}: the report cannot be written ({error.strerror}): name another --to") from None
    print_lines([format_path(file)])


def _render(format: ReportFormat, subject: "Answer") -> str:
    if format is ReportFormat.html:
        from ..reports.export import draw_figures
        from ..reports.html.page import render_report

        return render_report(subject, draw_figures(subject))
    from ..reports.tables.markup import report_json, report_latex, report_markdown

    writers = {
        ReportFormat.json: report_json,
        ReportFormat.markdown: report_markdown,
        ReportFormat.latex: report_latex,
    }
    return writers[format](subject)
