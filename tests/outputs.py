"""What the code under test printed and wrote, read back."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

from rich.console import Console


def printed(show: Callable[..., None], *given: object, width: int = 100) -> str:
    """Return what a function prints on a console of this width, which it takes as its last argument."""
    file = io.StringIO()
    show(*given, Console(width=width, file=file))
    return file.getvalue()


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
