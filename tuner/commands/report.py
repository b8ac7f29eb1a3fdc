"""The command `zerotune report`: a study's answer as one HTML file, or its numbers as JSON, Markdown or LaTeX."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ..errors import BadInput
from ..run.command_text import STORE, format_path, format_report_command
from .options import AppOption, CostOption, Currency, StoredStudyArgument, StoreOption, TrackingOption, resolve_store

if TYPE_CHECKING:
    from ..analysis.subject import Subject


class ReportFormat(StrEnum):
    """What a report is written as."""

    html = "html"
    json = "json"
    markdown = "markdown"
    latex = "latex"


def add_report_command(app: typer.Typer, console: Console) -> None:
    """Adds the command to a program.

    Args:
        app: the program.
        console: where the file's name, or the report itself, is printed.
    """

    @app.command()
    def report(
        study: StoredStudyArgument,
        to: Annotated[
            Path | None,
            typer.Option(
                metavar="FILE",
                help="File to write; HTML goes to STORE/STUDY/report/report.html if left out, all else is printed.",
            ),
        ] = None,
        format: Annotated[ReportFormat, typer.Option(help="html is the page with all figures.")] = ReportFormat.html,
        cost: CostOption = Currency.device_seconds,
        store: StoreOption = STORE,
        tracking_uri: TrackingOption = None,
        own: AppOption = None,
    ) -> None:
        """Write a study's report from its MLflow store alone: verdict, numbers, figures, methods and provenance."""
        from ..run.answer import load_answer

        uri, name = resolve_store(study, store, tracking_uri, own)
        is_page = format is ReportFormat.html
        found = load_answer(uri, name, with_epochs=is_page, command=format_report_command(uri, name, store))
        text = _written(format, replace(found, cost=cost.value))
        file = to or (store / name / "report" / "report.html" if is_page else None)
        if file is None:
            typer.echo(text, nl=False)  # not by rich, which would wrap its lines
            return
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise BadInput(f"{file}: the report cannot be written ({error.strerror}): name another --to") from None
        console.print(format_path(file), soft_wrap=True)


def _written(format: ReportFormat, subject: "Subject") -> str:
    if format is ReportFormat.html:
        from ..reports.export import draw_figures
        from ..reports.html.page import render_report

        return render_report(subject, draw_figures(subject))
    from ..reports.tables.markup import report_json, report_latex, report_markdown

    writers = {ReportFormat.json: report_json, ReportFormat.markdown: report_markdown, ReportFormat.latex: report_latex}
    return writers[format](subject)
