"""The option `--format`: text for people, or one JSON object for programs."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from enum import StrEnum
from typing import Annotated, Any

import typer


class OutputFormat(StrEnum):
    """What a command writes to the standard output."""

    text = "text"
    json = "json"


FormatOption = Annotated[
    OutputFormat,
    typer.Option("--format", help="text, or json: one JSON object on stdout, and everything else on stderr."),
]


@contextmanager
def messages_of(format: OutputFormat) -> Iterator[None]:
    """Write what is printed within to the standard error stream if the standard output is for JSON."""
    if format is OutputFormat.text:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def print_json(schema: str, content: Mapping[str, Any]) -> None:
    """Print content as `tuner.reports.json_text.format_json` writes it."""
    from ..reports.json_text import format_json

    typer.echo(format_json(schema, content), nl=False)  # rich would wrap its lines
