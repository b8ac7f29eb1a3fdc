"""The command `zerotune rule`: its options, and what is done with them."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..user_application import check_application_is_used, register_user_application

BASELINE = "The baseline"
RUN = "The run"
SHOWN = "What is shown"


class LongWarmup(StrEnum):
    """What to do with a warm-up that would outlast the run; the names are those of `trainers.scaling.OnLongWarmup`."""

    error = "error"
    clamp = "clamp"
    keep = "keep"


def add_rule_command(app: typer.Typer, console: Console) -> None:
    """Adds the command to a program.

    Args:
        app: the program.
        console: where the answer is printed.
    """

    @app.command()
    def rule(
        rule: Annotated[
            str, typer.Argument(metavar="RULE", help="A rule, such as date or legw (zerotune list rules).")
        ],
        batch_size: Annotated[
            list[int] | None,
            typer.Option(min=1, metavar="B", help="Batch size to train with; can be given several times."),
        ] = None,
        application: Annotated[
            str | None,
            typer.Option(
                metavar="NAME",
                help="Take baseline, epochs and samples from it where they are not given.",
                rich_help_panel=BASELINE,
            ),
        ] = None,
        own: Annotated[
            str | None,
            typer.Option(
                "--app",
                metavar="FILE.py:NAME",
                help="The application is your own, an Application in a file of Python.",
                rich_help_panel=BASELINE,
            ),
        ] = None,
        baseline_batch_size: Annotated[
            int | None, typer.Option(min=1, metavar="B0", help="Batch size it was tuned at.", rich_help_panel=BASELINE)
        ] = None,
        lr: Annotated[
            float | None, typer.Option(metavar="LR0", help="Its peak learning rate.", rich_help_panel=BASELINE)
        ] = None,
        warmup_epochs: Annotated[
            float | None,
            typer.Option(metavar="W0", help="Its warm-up in epochs; 0 if left out.", rich_help_panel=BASELINE),
        ] = None,
        warmup: Annotated[
            str | None,
            typer.Option(
                metavar="SHAPE", help="none, linear, quadratic, cosine or constant.", rich_help_panel=BASELINE
            ),
        ] = None,
        warmup_start: Annotated[
            float | None,
            typer.Option(
                metavar="SHARE",
                help="Learning rate its warm-up starts at, over LR0, 0 to 1; 0 if left out, for constant 1.",
                rich_help_panel=BASELINE,
            ),
        ] = None,
        decay: Annotated[
            str | None,
            typer.Option(
                metavar="NAME",
                help="What follows (zerotune list schedules); constant if left out.",
                rich_help_panel=BASELINE,
            ),
        ] = None,
        decay_option: Annotated[
            list[str] | None,
            typer.Option(
                metavar="NAME=VALUE",
                help="Such as power=1, or milestones=10,20,27; can be given several times.",
                rich_help_panel=BASELINE,
            ),
        ] = None,
        optimizer: Annotated[
            str | None,
            typer.Option(
                metavar="NAME", help="Where the rule changes it (adam-sde): adam, lamb ...", rich_help_panel=BASELINE
            ),
        ] = None,
        beta1: Annotated[float | None, typer.Option(help="Of that optimizer.", rich_help_panel=BASELINE)] = None,
        beta2: Annotated[float | None, typer.Option(help="Of that optimizer.", rich_help_panel=BASELINE)] = None,
        eps: Annotated[float | None, typer.Option(help="Of that optimizer.", rich_help_panel=BASELINE)] = None,
        epochs: Annotated[
            int | None, typer.Option(min=1, metavar="E", help="Passes over the training samples.", rich_help_panel=RUN)
        ] = None,
        num_samples: Annotated[
            int | None, typer.Option(min=1, metavar="N", help="Training samples.", rich_help_panel=RUN)
        ] = None,
        data_source: Annotated[
            str | None,
            typer.Option(
                metavar="NAME",
                help="Take the application's samples from it; its largest if left out.",
                rich_help_panel=RUN,
            ),
        ] = None,
        on_long_warmup: Annotated[
            LongWarmup, typer.Option(help="Where the warm-up would outlast the run.", rich_help_panel=RUN)
        ] = LongWarmup.error,
        plot: Annotated[
            Path | None,
            typer.Option(metavar="FILE", help="Draw the curves to FILE.html, .png or .svg.", rich_help_panel=SHOWN),
        ] = None,
        as_json: Annotated[
            bool, typer.Option("--json", help="Print JSON instead of text.", rich_help_panel=SHOWN)
        ] = False,
    ) -> None:
        """Show what a scaling rule gives for a baseline at any batch size: learning rate, warm-up, iterations."""
        from .answer import answer_as_json
        from .options import RuleOptions, answer_options
        from .text import print_rule

        name = register_user_application(own)
        application = application or name
        check_application_is_used(own, name, application or "", "--application")
        words = RuleOptions(
            rule=rule,
            batch_sizes=tuple(batch_size or ()),
            application=application,
            data_source=data_source,
            baseline_batch_size=baseline_batch_size,
            lr=lr,
            warmup_epochs=warmup_epochs,
            warmup=warmup,
            warmup_start=warmup_start,
            decay=decay,
            decay_options=tuple(decay_option or ()),
            epochs=epochs,
            num_samples=num_samples,
            optimizer=optimizer,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            on_long_warmup=on_long_warmup.value,
        )
        if plot is not None:
            from .figure import check_plot, write_plot

            check_plot(plot)
        answer = answer_options(words)
        if as_json:
            console.print(json.dumps(answer_as_json(answer), indent=2), soft_wrap=True)
        else:
            print_rule(answer, console)
        if plot is not None:
            write_plot(answer, plot)
            if not as_json:
                console.print(f"\n{plot}", soft_wrap=True)
