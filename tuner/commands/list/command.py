"""The command `zerotune list`."""

from enum import StrEnum
from typing import Annotated

import typer

from ...errors import BadInput
from ..options import AppOption
from ..output import FormatOption, OutputFormat, messages_of, print_json
from ..terminal import console
from ..user_application import register_user_application


class ListedKind(StrEnum):
    """What can be listed."""

    applications = "applications"
    optimizers = "optimizers"
    schedules = "schedules"
    rules = "rules"
    methods = "methods"
    studies = "studies"


def list_names(
    kind: Annotated[
        ListedKind,
        typer.Argument(metavar="WHAT", help="What to list."),
    ],
    app: AppOption = None,
    format: FormatOption = OutputFormat.text,
) -> None:
    """List the applications, optimizers, schedules, rules, methods or studies that can be named."""
    if app is not None and kind is not ListedKind.applications:
        raise BadInput(f"--app {app}: has no effect on a list of {kind.value}: leave it out")
    from .entries import list_entries, print_entries

    with messages_of(format):
        register_user_application(app)
        columns, rows = list_entries(kind.value)
    if format is OutputFormat.json:
        entries = [dict(zip(columns, row, strict=True)) for row in rows]
        print_json("list", {"listed": kind.value, "columns": columns, "entries": entries})
    else:
        print_entries((columns, rows), console)
