"""The command line: registers the commands. Each imports what it needs when called, so that help is instant."""

import errno
import os
import sys
from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from .. import __version__
from ..trainers.child_process import demote_current_folder
from .commands.compare.command import compare
from .commands.diagnose.command import diagnose
from .commands.export import export
from .commands.grids.command import grids
from .commands.judge.command import judge
from .commands.list.command import list_names
from .commands.plan import plan
from .commands.profile.command import profile
from .commands.regime.command import regime
from .commands.replicate.command import replicate
from .commands.report import report
from .commands.retry import retry
from .commands.rule.command import rule
from .commands.run import run
from .commands.streams import repair_streams
from .commands.submit import submit
from .commands.sync.command import sync
from .commands.terminal import console
from .commands.ui import ui
from .commands.weak_scaling.command import weak_scaling
from .errors import BadInput, ZerotuneError
from .sanitize import print_error

COMMANDS: Mapping[str, Mapping[str, Callable[..., None]]] = {
    "Run a study": {"run": run, "plan": plan, "retry": retry, "submit": submit, "sync": sync},
    "Read the answer": {"compare": compare, "report": report, "export": export, "ui": ui, "profile": profile},
    "Look closer": {"rule": rule, "regime": regime, "diagnose": diagnose, "scale": weak_scaling, "list": list_names},
    "Past trainings": {"grids": grids, "judge": judge, "replicate": replicate},
}
"""The commands by the panel of the help they are shown in."""

EXIT_FAULT = 1

app = typer.Typer(
    name="zerotune",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Must a model tuned at a small batch be tuned again at a large one? Run a study, and read what tuning buys.",
)
for panel, commands in COMMANDS.items():
    for name, command in commands.items():
        app.command(name, rich_help_panel=panel)(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        console.print(f"zerotune {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Hold the options of the program itself."""


def main() -> None:
    """Run the program: an error that the user can fix becomes a sentence and an exit code, never a traceback."""
    demote_current_folder()
    repair_streams()
    try:
        _check_home()
        app(prog_name="zerotune")
    except ZerotuneError as error:
        _exit(str(error), error.exit_code)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EISDIR):
            raise
        where = f"{error.filename}: " if error.filename else ""
        _exit(f"{where}{error.strerror}. All results so far are kept; run the command again to resume.", EXIT_FAULT)


def _check_home() -> None:
    """Check that there is a home folder, without which MLflow and Ray cannot be imported.

    Raises:
        BadInput: HOME is not set and the user is unknown, as in some containers.
    """
    if os.path.expanduser("~") == "~":  # noqa: PTH111  # Path's raises
        raise BadInput(
            f"HOME is not set, and the user with the id {os.getuid()} is unknown here: set it to a folder that only "
            "you can write, such as HOME=$PWD"
        )


def _exit(message: str, code: int) -> None:
    print_error(message)
    sys.exit(code)
