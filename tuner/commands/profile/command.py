"""The command `zerotune profile`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ...errors import BadInput
from ...run.command_text import STORE
from ..options import CostOption, Currency, StoreOption, TrackingOption, read_stored_answer
from ..terminal import console, print_lines


def profile(
    studies: Annotated[
        list[str], typer.Argument(metavar="STUDY", help="Names of studies in the store, or study files.")
    ],
    cost: CostOption = Currency.device_seconds,
    with_baseline: Annotated[
        bool,
        typer.Option(
            "--with-baseline/--without",
            help="Include the search for an arm's baseline in its cost on every workload, or leave it out.",
        ),
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to write profile.html, profile.png and profile.csv to."),
    ] = None,
    store: StoreOption = STORE,
    tracking_uri: TrackingOption = None,
) -> None:
    """Compare arms over several studies with performance profiles: how often each is as good, and at what cost."""
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
    print_lines(files)
    if notice:
        print(notice, file=sys.stderr)
