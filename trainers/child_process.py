"""Where this package lies, and how its child processes start: the current folder never decides which code runs.

This module must import nothing that takes long: it is used before everything else is imported.
"""

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[1]
"""The folder of the installed package `zerotune`: its parts `trainers`, `tuner` and `studies` lie in it."""

ENVIRONMENT: Final = {"PYTHONSAFEPATH": "1"}
"""For programs that start Python processes of their own: none of them puts the current folder first on its path."""


def command_of(module: str, *arguments: str) -> list[str]:
    """The command that runs a module in a new Python process, which looks for it where this process found it.

    `python -m` alone would look into the current folder first.

    Args:
        module: its full name, such as "zerotune.trainers.distributed.worker_process".
        arguments: of its command line.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def demote_current_folder(path: list[str] | None = None) -> None:
    """Move the current folder to the end of the import path, so that no file in it hides a package.

    Python puts it first for `python -m`, and wherever PYTHONPATH names it. From PYTHONPATH it is removed, so that child
    processes do not look there either. Later entries, such as those of an editable install, come after the standard
    library and stay.

    Args:
        path: the import path to change in place; None for `sys.path` and PYTHONPATH.
    """
    here = os.path.realpath(os.curdir)
    if PACKAGE.parent.resolve() == Path(here):
        return
    if path is None:
        path = sys.path
        _clean_variable(here)
    standard = sysconfig.get_path("stdlib")
    before = path.index(standard) if standard in path else len(path)
    ahead = [place for place in path[:before] if os.path.realpath(place or os.curdir) == here]
    if ahead:
        path[:before] = [place for place in path[:before] if place not in ahead]
        path.append(here)


def _clean_variable(here: str) -> None:
    """Remove a folder from PYTHONPATH, where an empty entry stands for the current one."""
    if "PYTHONPATH" not in os.environ:
        return
    entries = os.environ["PYTHONPATH"].split(os.pathsep)
    kept = [entry for entry in entries if os.path.realpath(entry or os.curdir) != here]
    if kept:
        os.environ["PYTHONPATH"] = os.pathsep.join(kept)
    else:
        del os.environ["PYTHONPATH"]


@contextmanager
def hide_folders() -> Iterator[None]:
    """Hide the current folder and the running script's folder from a library that passes them on to other processes.

    Inside, the current folder is that of the standard library, which is on every import path anyway, and the script's
    folder is not on the import path.
    """
    script = os.path.dirname(os.path.realpath(sys.argv[0]))  # noqa: PTH120  # as Ray computes it
    position = sys.path.index(script) if script in sys.path else None
    if position is not None:
        del sys.path[position]
    try:
        with chdir(sysconfig.get_path("stdlib")):
            yield
    finally:
        if position is not None:
            sys.path.insert(position, script)
