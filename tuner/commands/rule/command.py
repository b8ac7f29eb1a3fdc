"""The command `zerotune rule`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..options import app_option, takes_options
from ..output import FormatOption, OutputFormat, messages_of, print_json
from ..terminal import console, print_lines
from ..user_application import check_application_is_used, register_user_application
from .options import BASELINE, RuleOptions

OUTPUT = "Output"


@takes_options
def rule(
    options: RuleOptions,
    app: Annotated[str | None, app_option(BASELINE)] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Plot the learning rates to FILE.html, .png or .svg.", rich_help_panel=OUTPUT
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.", rich_help_panel=OUTPUT)] = False,
    format: FormatOption = OutputFormat.text,
) -> None:
    """Show what a scaling rule gives at a batch size: learning rate, warm-up and iterations.

    Example: zerotune rule date --application lenet_mnist --batch-size 8192
    """
    from .answer import answer_as_json
    from .options import answer_options
    from .text import print_rule

    format = OutputFormat.json if as_json else format
    with messages_of(format):
        name = register_user_application(app)
    options = replace(options, application=options.application or name)
    check_application_is_used(app, name, options.application or "", "--application")
    if plot is not None:
        from .figure import check_plot, write_plot

        check_plot(plot)
    with messages_of(format):
        answer = answer_options(options)
        if plot is not None:
            write_plot(answer, plot)
    if format is OutputFormat.json:
        print_json("rule", answer_as_json(answer))
        return
    print_rule(answer, console)
    if plot is not None:
        print_lines([f"\n{plot}"])
