"""The command line: parse, call, print. Each command imports what it needs when called, so that help is instant."""

import errno
import io
import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from .. import __version__
from ..trainers.child_process import demote_current_folder
from .commands.diagnose.command import add_diagnose_command
from .commands.interrupt import exit_on_interrupt
from .commands.options import (
    AddressOption,
    AppOption,
    CostOption,
    Currency,
    DataOption,
    DriverName,
    DriverOption,
    RetrainOption,
    StoredStudyArgument,
    StoreOption,
    StudyArgument,
    TrackingOption,
    TrainingOptions,
    load_named_study,
    read_stored_answer,
    resolve_store,
)
from .commands.profile.command import add_profile_command
from .commands.regime.command import add_regime_command
from .commands.report import add_report_command
from .commands.retry import add_retry_command, print_report_paths
from .commands.rule.command import add_rule_command
from .commands.submit import add_submit_command
from .commands.sync.command import add_sync_command
from .commands.user_application import register_user_application
from .commands.weak_scaling.command import add_weak_scaling_command
from .errors import BadInput, ZerotuneError
from .run.command_text import STORE, format_path
from .sanitize import sanitize_console

app = typer.Typer(
    name="zerotune",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Must a model tuned at a small batch be tuned again at a large one? Run a study, and read what tuning buys.",
)

PLAIN_WIDTH = 110
"""Columns of output that goes to no terminal (a pipe, a file, CI), where rich would take 80."""
FAULT = 1


def _width() -> int | None:
    """Columns to write; None where the terminal, or COLUMNS, says."""
    return None if "COLUMNS" in os.environ or sys.stdout.isatty() else PLAIN_WIDTH


console = sanitize_console(Console(highlight=False, markup=False, emoji=False, width=_width()))


class ListedKind(StrEnum):
    """What can be listed."""

    applications = "applications"
    optimizers = "optimizers"
    schedules = "schedules"
    rules = "rules"
    methods = "methods"
    studies = "studies"


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
    address: AddressOption = None,
    driver: DriverOption = DriverName.ray,
    data_folder: DataOption = None,
    own: AppOption = None,
    retrain: RetrainOption = False,
) -> None:
    """Run a study, or what is still missing of it, and print the answer."""
    training = TrainingOptions(
        study=study,
        store=store,
        tracking_uri=tracking_uri,
        address=address,
        driver=driver,
        data_folder=data_folder,
        own=own,
    )
    with (
        exit_on_interrupt(training.command("run") + (" --retrain" if retrain else ""), console),
        training.start_cluster_early(),
    ):
        definition, place = training.definition(), training.place()
        from .reports.tables.terminal import print_answer
        from .run.run import run_study  # after the study, whose mistakes are told before all else is imported

        found = run_study(
            definition, **vars(place), retrain=retrain, show=console, sync_command=training.store_command("sync")
        )
        print_answer(found.comparison, console)
    ui = training.store_command("ui") if found.is_stored else None
    print_report_paths(place.folder(definition) / "report", ui, console)


@app.command()
def plan(study: StudyArgument, data_folder: DataOption = None, own: AppOption = None) -> None:
    """Show the trials, iterations and estimated cost of every arm, without training."""
    from .campaign.plan import plan_study
    from .reports.tables.plan import print_plan

    definition = load_named_study(study, own)
    print_plan(definition, plan_study(definition, data_folder), console)


@app.command()
def compare(
    study: StoredStudyArgument, store: StoreOption = STORE, tracking_uri: TrackingOption = None, own: AppOption = None
) -> None:
    """Print the answer of a study from its MLflow store alone."""
    from .reports.tables.terminal import print_answer

    print_answer(read_stored_answer(study, store, tracking_uri, own).comparison, console)


@app.command(name="export")
def export_command(
    study: StoredStudyArgument,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write to; made where absent.")],
    cost: CostOption = Currency.device_seconds,
    store: StoreOption = STORE,
    tracking_uri: TrackingOption = None,
    own: AppOption = None,
) -> None:
    """Write a report of all figures, the figures as pictures, and the tables behind them."""
    from .reports.export import export

    found = read_stored_answer(study, store, tracking_uri, own, with_epochs=True)
    try:
        files = export(replace(found, cost=cost.value), to)
    except OSError as error:
        raise BadInput(f"--to {to}: cannot be written ({error.strerror}): name another folder") from None
    _print_lines(format_path(file) for file in files)


@app.command()
def ui(
    study: StoredStudyArgument,
    store: StoreOption = STORE,
    tracking_uri: TrackingOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 5000,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; another lets everybody in who reaches it.")
    ] = "127.0.0.1",
    own: AppOption = None,
) -> None:
    """Open the MLflow UI on this machine over a study's store, with links to its runs."""
    from .addresses import is_loopback
    from .store import is_server, ui_command, ui_links

    uri, name = resolve_store(study, store, tracking_uri, own)
    has_own_ui = is_server(uri)
    if not has_own_ui:
        _check_can_listen(host, port)
    _print_lines(f"{label}: {url}" for label, url in ui_links(uri, name, port, host=host))
    if has_own_ui:
        return
    if not is_loopback(host):
        console.print(
            f"Everybody who reaches {host}:{port} can read, change and delete what this store holds: MLflow asks for "
            "no password.",
            style="yellow",
        )
    arguments, environment = ui_command(uri, port, host)
    console.print("Ctrl-C ends the server.")
    sys.stdout.flush()
    os.execvpe(arguments[0], arguments, environment)


@app.command(name="list")
def list_command(
    what: Annotated[ListedKind, typer.Argument(metavar="WHAT", help="Which table.")], own: AppOption = None
) -> None:
    """Show the applications, optimizers, schedules, rules, methods or studies there are."""
    from .commands.list.entries import list_entries

    if own is not None and what is not ListedKind.applications:
        raise BadInput(f"--app {own}: has no effect on a list of {what.value}: leave it out")
    register_user_application(own)
    from .commands.list.entries import print_entries

    print_entries(list_entries(what.value), console)


add_report_command(app, console)
add_rule_command(app, console)
add_diagnose_command(app, console)
add_profile_command(app, console)
add_regime_command(app, console)
add_weak_scaling_command(app, console)
add_submit_command(app, console)
add_sync_command(app, console)
add_retry_command(app, console)


def _print_lines(lines: Iterable[str]) -> None:
    """Lines to copy from: never wrapped."""
    for line in lines:
        console.print(line, soft_wrap=True)


def _check_can_listen(host: str, port: int) -> None:
    import socket

    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server will: old connections count not
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        where = f"--port {port}" if host == "127.0.0.1" else f"--host {host} --port {port}"
        reason = getattr(error, "strerror", None) or "no such address"
        raise BadInput(f"{where}: cannot be used ({reason}): choose another") from None


def main() -> None:
    """The entry point: every error the user can mend is a sentence and an exit code, never a traceback."""
    demote_current_folder()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no ± shows a ?
    try:
        app(prog_name="zerotune")
    except ZerotuneError as error:
        _end(str(error), error.exit_code)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EISDIR):
            raise
        where = f"{error.filename}: " if error.filename else ""
        _end(f"{where}{error.strerror}; what was measured until then is kept, and running again goes on there", FAULT)


def _end(message: str, code: int) -> None:
    errors = sanitize_console(Console(stderr=True, highlight=False, markup=False, emoji=False))
    errors.print("error: ", style="bold red", end="")
    errors.print(message, soft_wrap=True)
    sys.exit(code)
