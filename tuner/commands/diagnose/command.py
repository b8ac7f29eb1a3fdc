"""The command `zerotune diagnose`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...addresses import STORE
from ...errors import BadInput
from ...run.command_text import format_command, format_places
from ..options import (
    AppOption,
    DataOption,
    StoreOption,
    StudyArgument,
    TrackingOption,
    load_named_study,
    tell_environment,
)
from ..output import FormatOption, OutputFormat, messages_of, print_json
from ..terminal import console, print_lines, refuse_unwritable

if TYPE_CHECKING:
    from ...study import Study
    from ...trial import TrialResult

POINTS = 50
MEASUREMENT = "Measurement"


def diagnose(
    study: StudyArgument,
    arm: Annotated[str, typer.Option(metavar="ARM", help='Arm of the study to train, or "baseline".')],
    batch_size: Annotated[
        list[int], typer.Option(min=1, metavar="B", help="Batch size to train with, in samples. Can be repeated.")
    ],
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="S", help="Seed of every training. Default: the study's first.")
    ] = None,
    every: Annotated[
        int | None, typer.Option(min=1, metavar="K", help="Measure every K updates.", rich_help_panel=MEASUREMENT)
    ] = None,
    points: Annotated[
        int | None,
        typer.Option(
            min=2,
            metavar="N",
            help=f"Measure at most N times, evenly spaced in the logarithm of time. Default: {POINTS}.",
            rich_help_panel=MEASUREMENT,
        ),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Compute curvature by exact second derivatives instead of finite differences (slower).",
            rich_help_panel=MEASUREMENT,
        ),
    ] = False,
    data_folder: DataOption = None,
    to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to write to. Default: STORE/STUDY/diagnose/ARM.")
    ] = None,
    store: StoreOption = None,
    tracking_uri: TrackingOption = None,
    app: AppOption = None,
    format: FormatOption = OutputFormat.text,
) -> None:
    """Train an arm and measure its curvature, trust ratios, weight distance, loss gap and gradient noise."""
    if every is not None and points is not None:
        raise BadInput("--points has no effect beside --every: leave one of them out")
    with messages_of(format):
        definition = load_named_study(study, app)
    from ...store import store_uri
    from .diagnosis import DiagnosisQuestion
    from .export import export_diagnosis
    from .run import diagnose as train_and_measure
    from .run import needs_results
    from .text import diagnosis_as_json, print_diagnosis

    results: tuple[TrialResult, ...] = ()
    if needs_results(definition, arm):
        places = {"--app": app, **format_places(store, tracking_uri)}
        uri = store_uri(store, named=tracking_uri, in_study=definition.tracking_uri)
        tell_environment(uri, store, tracking_uri)
        own_folder = (store or STORE) / definition.name
        results = _read_results(definition, uri, own_folder, format_command("run", study, places))
    question = DiagnosisQuestion(
        study=definition,
        arm=arm,
        batch_sizes=tuple(batch_size),
        seed=definition.seeds[0] if seed is None else seed,
        every=every,
        points=points or POINTS,
        method="exact" if exact else "difference",
        data_folder=data_folder,
    )
    folder = to or (store or STORE) / definition.name / "diagnose" / arm
    with messages_of(format):
        diagnosis = train_and_measure(question, results, tell=console.print)
        if format is OutputFormat.text:
            console.print()
            print_diagnosis(diagnosis, console)
        with refuse_unwritable(folder):
            files = export_diagnosis(diagnosis, folder)
    if format is OutputFormat.json:
        print_json("diagnose", diagnosis_as_json(diagnosis))
        return
    console.print()
    print_lines(files)


def _read_results(study: "Study", uri: str, folder: Path, command: str) -> "tuple[TrialResult, ...]":
    """Read the study's trials, which hold the choice that the arm depends on. `command` trains them.

    `folder` is the study's own, with its journal.

    Raises:
        BadInput: the store does not hold this definition of the study.
    """
    from ...run.amendment import stored_fingerprint
    from ...run.journal_lines import read_identity
    from ...store import read_results, redact

    journal = read_identity(folder / "journal.jsonl")
    try:
        return read_results(uri, study.name, stored_fingerprint(study, folder), journal=journal).results
    except BadInput as error:
        raise BadInput(
            f"study {study.name!r} searches for what this arm trains with, and {redact(uri)} does not hold its choice:"
            f" {error} Run the study first ({command}), name its --store, or name an arm whose baseline is stated."
        ) from None
