"""Where this package lies, and how its child processes start: the current folder never decides which code runs.

This module must import nothing that takes long: it is used before everything else is imported.
"""

import os
import sys
import sysconfig
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

    Python puts it first for `python -m`, and wherever PYTHONPATH names it. What else may name it, such as an editable
    install, comes after the standard library, and stays.

    Args:
        path: the import path to change in place; None for `sys.path`.
    """
    path = sys.path if path is None else path
    standard = sysconfig.get_path("stdlib")
    before = path.index(standard) if standard in path else len(path)
    here = os.path.realpath(os.curdir)
    ahead = [place for place in path[:before] if os.path.realpath(place or os.curdir) == here]
    if ahead and PACKAGE.parent.resolve() != Path(here):
        path[:before] = [place for place in path[:before] if place not in ahead]
        path.append(here)
