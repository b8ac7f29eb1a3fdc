"""The command `zerotune scale`: its options, and what is done with them."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ...errors import BadInput
from ..options import AppOption, DataOption, StudyArgument, load_named_study


def add_weak_scaling_command(app: typer.Typer, console: Console) -> None:
    """Adds the command to a program.

    Args:
        app: the program.
        console: where the tables are printed.
    """

    @app.command()
    def scale(
        study: StudyArgument,
        workers: Annotated[
            list[int] | None,
            typer.Option(min=2, max=1024, metavar="N", help="Numbers of workers, on this machine; 2 if not given."),
        ] = None,
        samples: Annotated[
            int | None,
            typer.Option(
                min=1,
                help="Samples of an update a worker; if not given those of the study's baseline, up to whole ghost "
                "batches.",
            ),
        ] = None,
        updates: Annotated[int, typer.Option(min=1, help="Updates of a round.")] = 5,
        rounds: Annotated[int, typer.Option(min=1, help="Rounds, whose median counts.")] = 5,
        hidden: Annotated[
            float, typer.Option(min=0.0, max=1.0, help="Part of computing that hides an exchange, in the forecast.")
        ] = 0.0,
        to: Annotated[
            Path | None,
            typer.Option(
                metavar="DIR", help="Write figures and their numbers there: scale.html, .csv, .png, scale_roofline.png."
            ),
        ] = None,
        data_folder: DataOption = None,
        own: AppOption = None,
    ) -> None:
        """Measure weak scaling here, the same share for every worker, and forecast it for many devices."""
        definition = load_named_study(study, own)
        from .measure import WeakScalingRequest, default_samples, measure_weak_scaling
        from .text import print_weak_scaling

        question = WeakScalingRequest(
            study=definition,
            workers=sorted(set(workers or [2])),
            samples=samples or default_samples(definition),
            updates=updates,
            rounds=rounds,
            hidden=hidden,
            data_folder=data_folder,
        )
        found = measure_weak_scaling(question, lambda line: console.print(line, style="dim"))
        console.print()
        print_weak_scaling(found, definition.application, console)
        if to is None:
            return
        from .figure import write_weak_scaling

        try:
            files, notice = write_weak_scaling(found, definition.application, to)
        except OSError as error:
            raise BadInput(f"--to {to}: cannot be written ({error.strerror}): name another folder") from None
        console.print()
        for file in files:
            console.print(str(file), soft_wrap=True)
        if notice:
            print(notice, file=sys.stderr)
