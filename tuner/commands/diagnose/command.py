"""The command `zerotune diagnose`: its options, and what is done with them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ...errors import BadInput
from ...run.command_text import STORE
from ..options import AppOption, DataOption, StoreOption, StudyArgument, TrackingOption, load_named_study

if TYPE_CHECKING:
    from ...study import Study
    from ...trial import TrialResult

POINTS = 50
MEASURED = "What is measured"


def _results(study: "Study", uri: str) -> "tuple[TrialResult, ...]":
    """The study's trials; a choice that the arm rests on is among them.

    Raises:
        BadInput: the store does not hold this definition of the study.
    """
    from ...store import read_results, redact

    try:
        return read_results(uri, study.name, study.fingerprint).results
    except BadInput as error:
        raise BadInput(
            f"study {study.name!r} searches for what this arm trains with, and {redact(uri)} does not hold its choice:"
            f" {error} Run the study first (zerotune run {study.name}), name its --store, or name an arm whose baseline"
            " is stated."
        ) from None


def add_diagnose_command(app: typer.Typer, console: Console) -> None:
    """Adds the command to a program.

    Args:
        app: the program.
        console: where the answer is printed.
    """

    @app.command()
    def diagnose(
        study: StudyArgument,
        arm: Annotated[str, typer.Option(metavar="ARM", help='One of its arms, or "baseline".')],
        batch_size: Annotated[
            list[int],
            typer.Option(min=1, metavar="B", help="Batch size to train with; can be given several times."),
        ],
        seed: Annotated[
            int | None, typer.Option(min=0, metavar="S", help="Of every training; the study's first if left out.")
        ] = None,
        every: Annotated[
            int | None,
            typer.Option(min=1, metavar="K", help="Measure every K updates.", rich_help_panel=MEASURED),
        ] = None,
        points: Annotated[
            int | None,
            typer.Option(
                min=2,
                metavar="N",
                help=f"Measure N times at most, evenly over the logarithm of time; {POINTS} if left out.",
                rich_help_panel=MEASURED,
            ),
        ] = None,
        exact: Annotated[
            bool,
            typer.Option(
                "--exact",
                help="Curvature by differentiating twice, not by a finite difference.",
                rich_help_panel=MEASURED,
            ),
        ] = False,
        data_folder: DataOption = None,
        to: Annotated[
            Path | None,
            typer.Option(
                metavar="DIR",
                help="Folder to write to; in the store, under the study's name, if left out.",
            ),
        ] = None,
        store: StoreOption = STORE,
        tracking_uri: TrackingOption = None,
        own: AppOption = None,
    ) -> None:
        """Train an arm and look inside: curvature, trust ratios, distance, loss gap, gradient noise."""
        if every is not None and points is not None:
            raise BadInput("--points has no effect beside --every: leave one of them out")
        definition = load_named_study(study, own)
        from ...store import store_uri
        from .diagnosis import DiagnosisQuestion
        from .export import export_diagnosis
        from .run import diagnose as train_and_measure
        from .run import needs_results
        from .text import print_diagnosis

        results: tuple[TrialResult, ...] = ()
        if needs_results(definition, arm):
            results = _results(definition, store_uri(store, named=tracking_uri, in_study=definition.tracking_uri))
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
        diagnosis = train_and_measure(question, results, tell=console.print)
        console.print()
        print_diagnosis(diagnosis, console)
        folder = to or store / definition.name / "diagnose" / arm
        try:
            files = export_diagnosis(diagnosis, folder)
        except OSError as error:
            raise BadInput(f"--to {folder}: cannot be written ({error.strerror}): name another folder") from None
        console.print()
        for file in files:
            console.print(str(file), soft_wrap=True)
