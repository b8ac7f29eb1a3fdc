"""The command `zerotune profile`."""

from pathlib import Path
from typing import Annotated

import typer

from ..options import CostOption, Currency, StoredStudy, StoreOption, TrackingOption
from ..terminal import console, print_lines, refuse_unwritable


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
    store: StoreOption = None,
    tracking_uri: TrackingOption = None,
) -> None:
    """Compare arms over several studies with performance profiles: how often each is as good, and at what cost."""
    from .profiles import performance_profiles
    from .text import print_profiles

    stored = [StoredStudy(study=study, store=store, tracking_uri=tracking_uri) for study in studies]
    answers = [study.read_answer() for study in stored]
    for found in answers:
        for sentence in found.missing:
            console.print(f"{found.comparison.facts.name}: {sentence}", style="bold yellow")
    comparisons = [found.comparison for found in answers]
    shown = performance_profiles(comparisons, cost.value, with_baseline=with_baseline)
    print_profiles(shown, performance_profiles(comparisons, cost.value, with_baseline=not with_baseline), console)
    if to is None:
        return
    from .figure import write_profile

    with refuse_unwritable(to):
        files = write_profile(shown, to)
    console.print()
    print_lines(files)
