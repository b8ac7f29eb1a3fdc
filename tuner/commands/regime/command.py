"""The command `zerotune regime`: its options, and what is done with them."""

from typing import Annotated

import typer
from rich.console import Console

from ...errors import BadInput
from ...run.command_text import STORE, format_path
from ..interrupt import exit_on_interrupt
from ..options import (
    AddressOption,
    AppOption,
    DataOption,
    DriverName,
    DriverOption,
    RetrainOption,
    StoreOption,
    StudyArgument,
    TrackingOption,
    TrainingOptions,
)

SEARCHED = "What is searched"


def add_regime_command(app: typer.Typer, console: Console) -> None:
    """Adds the command to a program.

    Args:
        app: the program.
        console: where the answer is printed.
    """

    @app.command()
    def regime(
        study: StudyArgument,
        first: Annotated[
            int | None,
            typer.Option(
                "--from", metavar="B", help="Smallest batch size to try; 2 B0 if left out.", rich_help_panel=SEARCHED
            ),
        ] = None,
        last: Annotated[
            int | None,
            typer.Option(
                "--to", metavar="B", help="Largest one; the full batch if left out.", rich_help_panel=SEARCHED
            ),
        ] = None,
        check: Annotated[
            bool,
            typer.Option(
                "--check/--no-check", help="Try one batch size above each boundary too.", rich_help_panel=SEARCHED
            ),
        ] = True,
        budget_trials: Annotated[
            int | None,
            typer.Option(min=1, metavar="N", help="Begin no training after N in all.", rich_help_panel=SEARCHED),
        ] = None,
        store: StoreOption = STORE,
        tracking_uri: TrackingOption = None,
        address: AddressOption = None,
        driver: DriverOption = DriverName.ray,
        data_folder: DataOption = None,
        own: AppOption = None,
        retrain: RetrainOption = False,
        retry_failed: Annotated[
            bool, typer.Option("--retry-failed", help="Run the failed trainings of an earlier search again first.")
        ] = False,
    ) -> None:
        """Find where an application's large, huge and full batches begin, by bisection over powers of two.

        Large: linear scaling no longer keeps the baseline's score and 1.2 times its loss.

        Huge: no method of the study keeps the score in the same epochs.

        Full: all training samples (LIMIT, arXiv 2006.08517, Definitions 2.1 to 2.3).
        """
        training = TrainingOptions(
            study=study,
            store=store,
            tracking_uri=tracking_uri,
            address=address,
            driver=driver,
            data_folder=data_folder,
            own=own,
        )
        limits = {"--from": first, "--to": last, "--budget-trials": budget_trials}
        again = training.command("regime", {name: None if n is None else str(n) for name, n in limits.items()})
        again += ("" if check else " --no-check") + (" --retrain" if retrain else "")
        again += " --retry-failed" if retry_failed else ""
        with exit_on_interrupt(again, console), training.start_cluster_early():
            from .run import SearchRange, find_regime, regime_folder
            from .text import print_regime

            definition, place = training.definition(), training.place()
            if retry_failed and not (regime_folder(definition, place) / "journal.jsonl").exists():
                raise BadInput(
                    f"--retry-failed: no regime search of study {definition.name!r} in the store {store}: nothing has "
                    "failed; leave it out"
                )
            span = SearchRange(first=first, last=last, check=check, max_trainings=budget_trials)
            found = find_regime(
                definition, place, span, console, retrain=retrain, retry_failed=retry_failed, bring_in=again
            )
            print_regime(found, console)
        console.print("\nFigure and numbers:")
        for file in ("regime.html", "regime.png", "regime.csv", "regime.json"):
            path = regime_folder(definition, place) / "report" / file
            if path.is_file():
                console.print(f"  {format_path(path)}", soft_wrap=True)
