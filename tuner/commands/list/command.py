"""The command `zerotune list`."""

from enum import StrEnum
from typing import Annotated

import typer

from ...errors import BadInput
from ..options import AppOption
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
) -> None:
    """List the applications, optimizers, schedules, rules, methods or studies that can be named."""
    if app is not None and kind is not ListedKind.applications:
        raise BadInput(f"--app {app}: has no effect on a list of {kind.value}: leave it out")
    from .entries import list_entries, print_entries

    register_user_application(app)
    print_entries(list_entries(kind.value), console)
