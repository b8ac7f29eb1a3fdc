"""The command `zerotune compare`."""

from enum import StrEnum
from typing import Annotated

import typer

from ...errors import BadInput
from ..options import StoredStudy, nameable_study, takes_options
from ..output import FormatOption, OutputFormat, messages_of
from ..prices import PricesOption, at_prices
from ..terminal import console

GATE = "Gate"


class Requirement(StrEnum):
    """What `--require` asks of a verdict."""

    yes = "yes"
    matches = "matches"
    likely = "likely"


@takes_options
def compare(
    stored: StoredStudy,
    prices: PricesOption = None,
    format: FormatOption = OutputFormat.text,
    require: Annotated[
        Requirement | None,
        typer.Option(
            metavar="VERDICT",
            help="Exit with code 6 unless an arm that needs no tuning has this verdict at every batch size: yes (or "
            "matches), or likely, which takes a less certain yes too. Code 7 if the study is unfinished.",
            rich_help_panel=GATE,
        ),
    ] = None,
    arm: Annotated[
        str | None, typer.Option(metavar="ARM", help="The arm that must have it.", rich_help_panel=GATE)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="B", help="The batch size where it must hold.", rich_help_panel=GATE)
    ] = None,
) -> None:
    """Print a study's answer from its store, and what to do next."""
    if require is None and (arm is not None or batch_size is not None):
        raise BadInput("--arm and --batch-size say what --require asks for: add --require yes, or leave them out")
    from ...reports.tables.markup import report_json
    from ...reports.tables.terminal import print_answer, print_caveats, print_next_steps
    from ...reports.text.amendments import describe_amendments
    from ...reports.text.mixed_trainings import mixed_trainings
    from ...reports.text.searched_constants import searched_constants

    with messages_of(format):
        found = at_prices(stored.read_answer(), prices)
    if format is OutputFormat.json:
        typer.echo(report_json(found), nl=False)
    else:
        print_answer(found.comparison, console, found.missing)
        print_caveats((*describe_amendments(found), *mixed_trainings(found), *searched_constants(found)), console)
        print_next_steps(found, console, nameable_study(stored.study), stored.format_options() if stored.app else None)
    if require is not None:
        from .gate import check_requirement

        check_requirement(found, require, arm=arm, batch_size=batch_size)
