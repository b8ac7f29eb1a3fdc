"""The command `zerotune rule`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..terminal import console, print_lines
from ..user_application import check_application_is_used, register_user_application

BASELINE = "Baseline"
RUN = "Run"
OUTPUT = "Output"


class LongWarmup(StrEnum):
    """What to do with a warm-up that outlasts the run. The names are those of `trainers.scaling.OnLongWarmup`."""

    error = "error"
    clamp = "clamp"
    keep = "keep"


def rule(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="Scaling rule, e.g. date or legw (zerotune list rules).")],
    batch_size: Annotated[
        list[int] | None,
        typer.Option(min=1, metavar="B", help="Batch size to scale to, in samples. Can be repeated."),
    ] = None,
    application: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Application whose baseline, epochs and samples are the defaults, e.g. lenet_mnist.",
            rich_help_panel=BASELINE,
        ),
    ] = None,
    app: Annotated[
        str | None,
        typer.Option(
            "--app",
            metavar="FILE.py:NAME",
            help="Your own application: the Application called NAME in a Python file.",
            rich_help_panel=BASELINE,
        ),
    ] = None,
    baseline_batch_size: Annotated[
        int | None,
        typer.Option(min=1, metavar="B0", help="Batch size of the baseline, in samples.", rich_help_panel=BASELINE),
    ] = None,
    lr: Annotated[
        float | None, typer.Option(metavar="LR0", help="Peak learning rate at B0.", rich_help_panel=BASELINE)
    ] = None,
    warmup_epochs: Annotated[
        float | None,
        typer.Option(metavar="W0", help="Warm-up at B0, in epochs. Default: 0.", rich_help_panel=BASELINE),
    ] = None,
    warmup: Annotated[
        str | None,
        typer.Option(
            metavar="SHAPE",
            help="Shape of the warm-up: none, linear, quadratic, cosine or constant.",
            rich_help_panel=BASELINE,
        ),
    ] = None,
    warmup_start: Annotated[
        float | None,
        typer.Option(
            metavar="FRACTION",
            help="Learning rate at the start of the warm-up, as a fraction of LR0, 0 to 1. Default: 0; constant: 1.",
            rich_help_panel=BASELINE,
        ),
    ] = None,
    decay: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Decay after the warm-up (zerotune list schedules). Default: constant.",
            rich_help_panel=BASELINE,
        ),
    ] = None,
    decay_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Option of the decay, e.g. power=1 or milestones=10,20,27. Can be repeated.",
            rich_help_panel=BASELINE,
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Optimizer, for rules that change its options (adam-sde), e.g. adam.",
            rich_help_panel=BASELINE,
        ),
    ] = None,
    beta1: Annotated[
        float | None, typer.Option(metavar="BETA", help="Its first-moment decay.", rich_help_panel=BASELINE)
    ] = None,
    beta2: Annotated[
        float | None, typer.Option(metavar="BETA", help="Its second-moment decay.", rich_help_panel=BASELINE)
    ] = None,
    eps: Annotated[float | None, typer.Option(metavar="EPS", help="Its epsilon.", rich_help_panel=BASELINE)] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, metavar="E", help="Length of the run, in epochs.", rich_help_panel=RUN)
    ] = None,
    num_samples: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Number of training samples.", rich_help_panel=RUN)
    ] = None,
    data_source: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Data source of the application to take N from. Default: the largest.",
            rich_help_panel=RUN,
        ),
    ] = None,
    on_long_warmup: Annotated[
        LongWarmup,
        typer.Option(
            help="If the warm-up outlasts the run: refuse it, clamp it to half of the run, or keep it.",
            rich_help_panel=RUN,
        ),
    ] = LongWarmup.error,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Plot the learning rates to FILE.html, .png or .svg.", rich_help_panel=OUTPUT
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of text.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Show what a scaling rule gives at a batch size: learning rate, warm-up and iterations.

    Example: zerotune rule date --application lenet_mnist --batch-size 8192
    """
    from .answer import answer_as_json
    from .options import RuleOptions, answer_options
    from .text import print_rule

    name = register_user_application(app)
    application = application or name
    check_application_is_used(app, name, application or "", "--application")
    options = RuleOptions(
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
    answer = answer_options(options)
    if as_json:
        print_lines([json.dumps(answer_as_json(answer), indent=2)])
    else:
        print_rule(answer, console)
    if plot is not None:
        write_plot(answer, plot)
        if not as_json:
            print_lines([f"\n{plot}"])
