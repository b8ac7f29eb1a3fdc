"""The command line: parse, call, print. Each command imports what it needs when it is called, so that help is instant."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tuner import __version__
from tuner.errors import BadInput, ZerotuneError

app = typer.Typer(
    name="zerotune",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Must a model tuned at a small batch be tuned again at a large one? Run a study, and read what tuning buys.",
)
console = Console(highlight=False)

INTERRUPTED = 130


class DriverName(StrEnum):
    """How trials are run."""

    ray = "ray"
    serial = "serial"


class Listing(StrEnum):
    """What can be listed."""

    applications = "applications"
    optimizers = "optimizers"
    schedules = "schedules"
    rules = "rules"
    methods = "methods"
    studies = "studies"


class Currency(StrEnum):
    """A cost axis; the names are those of `tuner.cost.CURRENCIES`."""

    trials = "trials"
    epochs = "epochs"
    iterations = "iterations"
    samples = "samples"
    flops = "flops"
    device_seconds = "device_seconds"
    modelled_joules = "modelled_joules"


StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="A study file, or the name of a shipped study.")]
StoreOption = Annotated[
    Path, typer.Option("--store", metavar="DIR", help="Folder of the local store and of the studies' journals.")
]
TrackingOption = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri", metavar="URI", help="MLflow server or database instead of the SQLite file in the store."
    ),
]
STORE = Path("mlruns")


def _version(wanted: bool) -> None:
    if wanted:
        console.print(f"zerotune {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Holds the options of the program itself."""


@app.command()
def run(
    study: StudyArgument,
    store: StoreOption = STORE,
    tracking_uri: TrackingOption = None,
    address: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="An existing Ray cluster: auto, HOST:PORT or ray://HOST:PORT."),
    ] = None,
    driver: Annotated[
        DriverName, typer.Option(help="serial runs the trials in this process, for debugging.")
    ] = DriverName.ray,
    data_folder: Annotated[
        str | None, typer.Option("--data", metavar="DIR", help="Folder with the data sets; overrides the study's.")
    ] = None,
) -> None:
    """Run a study, or what is still missing of it, and print the answer."""
    if address is not None and driver is DriverName.serial:
        raise BadInput("--address has no effect with --driver serial: leave one of them out")
    from tuner.reports.tables import print_answer
    from tuner.run import Place, run_study
    from tuner.study import load_study

    definition = load_study(study)
    place = Place(store=store, tracking_uri=tracking_uri, driver=driver.value, address=address, data_folder=data_folder)
    try:
        found = run_study(definition, place, console)
    except KeyboardInterrupt:
        console.print(f"\nInterrupted. What was measured is kept; to go on: zerotune run {study}{_same_store(store)}")
        raise typer.Exit(INTERRUPTED) from None
    print_answer(found.comparison, console)
    report = place.folder(definition) / "report"
    console.print(f"\nFigures and tables: {report}   (pareto: {report / 'pareto_arms.html'})")
    console.print(f"In MLflow:          zerotune ui {study}{_same_store(store)}")


@app.command()
def plan(study: StudyArgument) -> None:
    """Show the trials, iterations and estimated cost of every arm, without training."""
    from tuner.plan import plan_study
    from tuner.reports.listings import print_plan
    from tuner.study import load_study

    definition = load_study(study)
    print_plan(definition, plan_study(definition), console)


@app.command()
def compare(study: StudyArgument, store: StoreOption = STORE, tracking_uri: TrackingOption = None) -> None:
    """Print the answer of a study from its MLflow store alone."""
    from tuner.reports.tables import print_answer

    print_answer(_answer(study, store, tracking_uri).comparison, console)


@app.command(name="export")
def export_command(
    study: StudyArgument,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write to; made where absent.")],
    cost: Annotated[Currency, typer.Option(help="The cost axis.")] = Currency.device_seconds,
    store: StoreOption = STORE,
    tracking_uri: TrackingOption = None,
) -> None:
    """Write the Pareto fronts, score and cost figures, and the tables behind them."""
    from tuner.reports.export import export

    found = _answer(study, store, tracking_uri)
    for file in export(found.comparison, found.results, to, cost=cost.value):
        console.print(str(file))


@app.command()
def ui(
    study: StudyArgument,
    store: StoreOption = STORE,
    tracking_uri: TrackingOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5000,
) -> None:
    """Open the MLflow UI on this machine over a study's store, with links to its runs."""
    from tuner.store import is_server, ui_command, ui_links

    uri, name = _store_and_name(study, store, tracking_uri)
    for label, url in ui_links(uri, name, port):
        console.print(f"{label}: {url}", soft_wrap=True)
    if is_server(uri):
        return
    arguments, environment = ui_command(uri, port)
    console.print("Ctrl-C ends the server.")
    sys.stdout.flush()
    os.execvpe(arguments[0], arguments, environment)


@app.command(name="list")
def list_command(what: Annotated[Listing, typer.Argument(help="Which table.")]) -> None:
    """Show the applications, optimizers, schedules, rules, methods or studies there are."""
    from tuner.listing import listing
    from tuner.reports.listings import print_listing

    print_listing(listing(what.value), console)


def _same_store(store: Path) -> str:
    return "" if store == STORE else f" --store {store}"


def _store_and_name(study: str, store: Path, tracking_uri: str | None) -> tuple[str, str]:
    """The MLflow store and the study's name, of a study file or of a bare name that needs no file any more."""
    from tuner.store import default_tracking_uri
    from tuner.study import load_study

    try:
        definition = load_study(study)
    except BadInput:
        if Path(study).suffix or "/" in study:
            raise
        return tracking_uri or default_tracking_uri(store), study
    return tracking_uri or definition.tracking_uri or default_tracking_uri(store), definition.name


def _answer(study: str, store: Path, tracking_uri: str | None) -> "Answer":  # type: ignore[name-defined]  # noqa: F821
    from tuner.answer import answer

    return answer(*_store_and_name(study, store, tracking_uri))


def main() -> None:
    """The entry point: every error the user can mend is a sentence and an exit code, never a traceback."""
    try:
        app()
    except ZerotuneError as error:
        Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {_escaped(str(error))}", soft_wrap=True)
        sys.exit(error.exit_code)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
