"""The command `zerotune retry`: the trials of a study that failed, once more."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..errors import BadInput
from ..run.command_text import STORE, format_path
from .interrupt import exit_on_interrupt
from .options import (
    AddressOption,
    AppOption,
    DataOption,
    DriverName,
    DriverOption,
    StoreOption,
    StudyArgument,
    TrackingOption,
    TrainingOptions,
)


def add_retry_command(app: typer.Typer, console: Console) -> None:
    """Adds the command to a program.

    Args:
        app: the program.
        console: where the answer is printed.
    """

    @app.command()
    def retry(
        study: StudyArgument,
        failed: Annotated[bool, typer.Option("--failed", help="The trials that failed.")] = False,
        store: StoreOption = STORE,
        tracking_uri: TrackingOption = None,
        address: AddressOption = None,
        driver: DriverOption = DriverName.ray,
        data_folder: DataOption = None,
        own: AppOption = None,
    ) -> None:
        """Run the failed trials of a study again, each from its start, and what follows from them; print the answer.

        What the failed attempts cost stays on the bill. Those of a regime search: zerotune regime STUDY --retry-failed.
        """
        if not failed:
            raise BadInput("retry: say which trials: --failed")
        training = TrainingOptions(
            study=study,
            store=store,
            tracking_uri=tracking_uri,
            address=address,
            driver=driver,
            data_folder=data_folder,
            own=own,
        )
        with exit_on_interrupt(training.command("retry") + " --failed", console), training.start_cluster_early():
            from ..reports.tables.terminal import print_answer
            from ..run.run import run_study

            definition, place = training.definition(), training.place()
            if not (place.folder(definition) / "journal.jsonl").exists():
                raise BadInput(
                    f"study {definition.name!r}: has not been run in the store {store}: nothing has failed; run it "
                    f"first: {training.command('run')}"
                )
            sync_command = training.store_command("sync")
            found = run_study(definition, **vars(place), retry_failed=True, show=console, sync_command=sync_command)
            print_answer(found.comparison, console)
        ui = training.store_command("ui") if found.is_stored else None
        print_report_paths(place.folder(definition) / "report", ui, console)


def print_report_paths(report: Path, ui_command: str | None, console: Console) -> None:
    """Says where the figures of an answer lie, and how to see its trials.

    Args:
        report: the folder of figures and tables.
        ui_command: shows the study in the MLflow UI; None where not all of it is there.
        console: where to.
    """
    console.print("\nFigures and tables:")
    for name in ("report.html", "pareto_arms.html", "comparison.csv"):
        console.print(f"  {format_path(report / name)}", soft_wrap=True)  # to copy from: never wrapped
    if ui_command is not None:
        console.print("In MLflow:")
        console.print(f"  {ui_command}", soft_wrap=True)
