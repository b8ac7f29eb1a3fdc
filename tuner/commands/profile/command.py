"""The command `zerotune profile`: its options, and what is done with them."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ...errors import BadInput
from ...run.command_text import STORE
from ..options import CostOption, Currency, StoreOption, TrackingOption, read_stored_answer


def add_profile_command(app: typer.Typer, console: Console) -> None:
    """Adds the command to a program.

    Args:
        app: the program.
        console: where the table is printed.
    """

    @app.command()
    def profile(
        studies: Annotated[
            list[str], typer.Argument(metavar="STUDY...", help="Study files, or names of studies in the store.")
        ],
        cost: CostOption = Currency.device_seconds,
        with_baseline: Annotated[
            bool,
            typer.Option(
                "--with-baseline/--without",
                help="Bill the search for an arm's baseline to every workload, or to none.",
            ),
        ] = False,
        to: Annotated[
            Path | None,
            typer.Option(metavar="DIR", help="Write the figure and its numbers there: profile.html, .png and .csv."),
        ] = None,
        store: StoreOption = STORE,
        tracking_uri: TrackingOption = None,
    ) -> None:
        """Compare arms over several studies: how often as good as tuning, and at how many times the lowest cost."""
        from .profiles import performance_profiles
        from .text import print_profiles

        comparisons = [read_stored_answer(study, store, tracking_uri, None).comparison for study in studies]
        shown = performance_profiles(comparisons, cost.value, with_baseline=with_baseline)
        print_profiles(shown, performance_profiles(comparisons, cost.value, with_baseline=not with_baseline), console)
        if to is None:
            return
        from .figure import write_profile

        try:
            files, notice = write_profile(shown, to)
        except OSError as error:
            raise BadInput(f"--to {to}: cannot be written ({error.strerror}): name another folder") from None
        console.print()
        for file in files:
            console.print(str(file), soft_wrap=True)
        if notice:
            print(notice, file=sys.stderr)
