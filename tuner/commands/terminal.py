"""The console that every command prints to, and its width."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from ..errors import BadInput
from ..sanitize import sanitize_console

PLAIN_WIDTH = 110
"""Columns of output that goes to no terminal (a pipe, a file, CI), where rich would take 80."""


def _width() -> int | None:
    """Columns to write; None to take those of the terminal or of COLUMNS."""
    return None if "COLUMNS" in os.environ or sys.stdout.isatty() else PLAIN_WIDTH


console = sanitize_console(Console(highlight=False, markup=False, emoji=False, width=_width()))


def print_lines(lines: Iterable[object]) -> None:
    """Print lines that a user may copy (paths, commands): they are never wrapped."""
    for line in lines:
        console.print(str(line), soft_wrap=True)


@contextmanager
def refuse_unwritable(folder: Path) -> Iterator[None]:
    """Turn an error of writing into the folder of `--to` into a sentence that says what to do."""
    try:
        yield
    except OSError as error:
        raise BadInput(f"--to {folder}: cannot be written ({error.strerror}): name another folder") from None
