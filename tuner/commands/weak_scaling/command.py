"""The command `zerotune scale`: weak scaling."""

from pathlib import Path
from typing import Annotated

import typer

from ..options import AppOption, DataOption, StudyArgument, load_named_study
from ..output import FormatOption, OutputFormat, messages_of, print_json
from ..terminal import console, print_lines, refuse_unwritable


def weak_scaling(
    study: StudyArgument,
    workers: Annotated[
        list[int] | None,
        typer.Option(
            min=2,
            max=1024,
            metavar="N",
            help="Number of workers to measure on this machine. Can be repeated. Default: 2.",
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Local batch size: samples per worker and update. Default: the baseline's batch size, rounded up to "
            "whole ghost batches.",
        ),
    ] = None,
    updates: Annotated[int, typer.Option(min=1, metavar="N", help="Updates per round.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, metavar="N", help="Rounds; their median counts.")] = 5,
    hidden: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            metavar="FRACTION",
            help="Fraction of the computation that overlaps with communication in the forecast, 0 to 1.",
        ),
    ] = 0.0,
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to write scale.html, scale.csv, scale.png and scale_roofline.png to."),
    ] = None,
    data_folder: DataOption = None,
    app: AppOption = None,
    format: FormatOption = OutputFormat.text,
) -> None:
    """Measure weak scaling on this machine (a fixed local batch per worker) and forecast it for many devices."""
    with messages_of(format):
        definition = load_named_study(study, app)
    from .measure import WeakScalingRequest, default_samples, measure_weak_scaling
    from .text import print_weak_scaling, weak_scaling_as_json

    request = WeakScalingRequest(
        study=definition,
        workers=sorted(set(workers or [2])),
        samples=samples or default_samples(definition),
        updates=updates,
        rounds=rounds,
        hidden=hidden,
        data_folder=data_folder,
    )
    with messages_of(format):
        found = measure_weak_scaling(request, lambda line: console.print(line, style="dim"))
        if format is OutputFormat.text:
            console.print()
            print_weak_scaling(found, definition.application, console)
        files = []
        if to is not None:
            from .figure import write_weak_scaling

            with refuse_unwritable(to):
                files = write_weak_scaling(found, definition.application, to)
    if format is OutputFormat.json:
        print_json("scale", {"study": definition.name, **weak_scaling_as_json(found, definition.application)})
    elif files:
        console.print()
        print_lines(files)
