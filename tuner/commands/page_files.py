"""The files that a command writes besides its output: a page, the numbers behind it, and images."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from ..reports.figures.images import write_images
from ..reports.tables.csv_files import write_csv


def write_page_files(
    to: Path,
    name: str,
    *,
    page: str,
    records: Sequence[Mapping[str, Any]],
    figures: Mapping[str, go.Figure],
    formats: Sequence[str] = ("png",),
) -> list[Path]:
    """Write NAME.html, NAME.csv and an image of each figure into a folder, replacing earlier ones.

    The folder is created if missing. If images cannot be rendered on this machine, stderr says so.

    Returns:
        The files.
    """
    to.mkdir(parents=True, exist_ok=True)
    page_file, table = to / f"{name}.html", to / f"{name}.csv"
    page_file.write_text(page, encoding="utf-8")
    write_csv(table, records)
    images, notice = write_images(figures, to, formats=formats)
    if notice:
        print(notice, file=sys.stderr)
    return [page_file, table, *images]
