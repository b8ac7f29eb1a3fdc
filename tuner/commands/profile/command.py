"""The command `zerotune profile`."""

from pathlib import Path
from typing import Annotated

import typer

from ..options import CostOption, Currency, StoredStudy, StoreOption, TrackingOption
from ..output import FormatOption, OutputFormat, messages_of, print_json
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
    format: FormatOption = OutputFormat.text,
) -> None:
    """Compare arms over several studies with performance profiles: how often each is as good, and at what cost."""
    from .profiles import performance_profiles
    from .text import print_profiles, profiles_as_json

    with messages_of(format):
        stored = [StoredStudy(study=study, store=store, tracking_uri=tracking_uri) for study in studies]
        answers = [study.read_answer() for study in stored]
        missing = [f"{found.comparison.facts.name}: {sentence}" for found in answers for sentence in found.missing]
        comparisons = [found.comparison for found in answers]
        shown = performance_profiles(comparisons, cost.value, with_baseline=with_baseline)
        other = performance_profiles(comparisons, cost.value, with_baseline=not with_baseline)
        files = []
        if to is not None:
            from .figure import write_profile

            with refuse_unwritable(to):
                files = write_profile(shown, to)
    if format is OutputFormat.json:
        print_json("profile", {"missing": missing, **profiles_as_json(shown, other)})
        return
    for sentence in missing:
        console.print(sentence, style="bold yellow")
    print_profiles(shown, other, console)
    if files:
        console.print()
        print_lines(files)
