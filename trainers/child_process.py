"""Locate this package and start its child processes so that the current folder never decides which code runs.

This module must import nothing slow: it is used before everything else is imported.
"""

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[1]
"""Folder of the installed package `zerotune`, which holds `trainers`, `tuner` and `studies`."""

ENVIRONMENT: Final = {"PYTHONSAFEPATH": "1"}
"""Variables for programs that start Python processes: the current folder never comes first on the import path."""


def command_of(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module in a new Python process, found where this process found it.

    `python -m` alone would search the current folder first.

    Args:
        module: full name of the module, such as "zerotune.trainers.distributed.worker_process".
        arguments: command-line arguments.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def demote_current_folder() -> None:
    """Move the current folder to the end of the import path, so that no file in it hides a package.

    Python puts the folder first for `python -m` and wherever PYTHONPATH names it. It is removed from PYTHONPATH, so
    that child processes do not search it either. Entries after the standard library, such as those of an editable
    install, stay.
    """
    here = os.path.realpath(os.curdir)
    if PACKAGE.parent.resolve() == Path(here):
        return
    path = sys.path
    _clean_variable(here)
    standard = sysconfig.get_path("stdlib")
    before = path.index(standard) if standard in path else len(path)
    ahead = [place for place in path[:before] if os.path.realpath(place or os.curdir) == here]
    if ahead:
        path[:before] = [place for place in path[:before] if place not in ahead]
        path.append(here)


def _clean_variable(here: str) -> None:
    """Remove a folder from PYTHONPATH, in which an empty entry stands for the current folder."""
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
    """Hide the current folder and the running script's folder from a library that passes them to other processes.

    Inside the block, the current folder is that of the standard library, which is on every import path anyway, and the
    script's folder is not on the import path.
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
