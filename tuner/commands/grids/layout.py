"""The layout of a table of past trainings: which columns hold what, stated in a small YAML file or built in.

    name: my_sweep
    file: sweep.csv                       # or .csv.gz; beside this file, or in the folder of --data
    grid: [model, dataset]                # columns that tell models and amounts of data apart; may be left out
    columns: {lr: learning_rate, batch_size: bs, score: val_loss, parameters: n_params, tokens: n_tokens}
    higher_is_better: false               # the default
    unit: nats                            # of the score; "" by default
    batch_unit: sequences                 # "samples" by default

This module must not know what the trainings show.
"""

import csv
import gzip
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from ....trainers.tables import lookup, nearest
from ...analysis.learning_rate_grids import Training
from ...errors import BadInput
from ...study.yaml_file import StudyFile, read_yaml

REQUIRED: Final = ("lr", "batch_size", "score")
OPTIONAL: Final = ("parameters", "tokens")
"""What `columns` may name."""

TEXT_KEYS: Final = ("name", "file", "unit", "batch_unit")
KEYS: Final = (*TEXT_KEYS, "grid", "columns", "higher_is_better")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How to read a table.

    Attributes:
        file: name of the table, or several names, the first that exists is read.
        columns: name of the column by what it holds: `REQUIRED` and some of `OPTIONAL`.
        grid: columns that tell grids apart.
        note: a sentence on where the trainings come from; may be empty.
    """

    name: str
    file: tuple[str, ...]
    columns: Mapping[str, str]
    grid: tuple[str, ...] = ()
    higher_is_better: bool = False
    unit: str = ""
    batch_unit: str = "samples"
    note: str = ""


LAYOUTS: Final[Mapping[str, Layout]] = {
    "step_law": Layout(
        name="step_law",
        file=("dense.csv", "dense.csv.gz"),
        columns={
            "lr": "lr",
            "batch_size": "batch_size",
            "score": "smooth_loss",
            "parameters": "parameters",
            "tokens": "tokens",
        },
        grid=("parameters", "tokens"),
        unit="nats",
        batch_unit="sequences",
        note="Language models of StepFun (Predictable Scale, Part I, arXiv 2503.04715): AdamW, cosine decay, sequences"
        " of 2,048 tokens, the same tokens at every batch size, one training a cell; the smoothed training loss. The"
        " forms of the"
        " rules with a constant were chosen after a look at these grids; only the constants are held out.",
    ),
}
"""Layouts of public tables by name. A user downloads the table and names its folder."""


def find_layout(name: str) -> tuple[Layout, Path]:
    """Return a built-in layout, or that of a YAML file, and the folder in which its table lies by default.

    Raises:
        BadInput: there is no such layout or file, or the file states something that cannot be used.
    """
    if not name.endswith((".yaml", ".yml")):
        try:
            return lookup("layout", LAYOUTS, name), Path()
        except ValueError as error:
            raise BadInput(f"{error} A table of your own comes in by a file: zerotune grids LAYOUT.yaml") from None
    path = Path(name)
    return _layout(read_yaml(path, name)), path.parent


def _layout(file: StudyFile) -> Layout:
    content = file.content
    for key in content:
        if key not in KEYS:
            near = nearest(key, KEYS)
            hint = f": did you mean {near}?" if near else f"; a layout has {', '.join(KEYS)}"
            raise BadInput(file.error((key,), f"unknown key{hint}"))
    for key in ("name", "file", "columns"):
        if key not in content:
            raise BadInput(f"{file.name}: {key} is missing: a layout states name, file and columns")
    for key in TEXT_KEYS:
        if not isinstance(content.get(key, ""), str):
            raise BadInput(file.error((key,), f"must be text, got {content[key]!r}"))
    columns, grid, higher = content["columns"], content.get("grid", []), content.get("higher_is_better", False)
    if not isinstance(columns, dict) or any(not isinstance(name, str) for name in columns.values()):
        raise BadInput(file.error(("columns",), f"must name a column for each of {', '.join(REQUIRED)}"))
    if missing := [key for key in REQUIRED if key not in columns]:
        raise BadInput(file.error(("columns",), f"{missing[0]} is missing: name the column that holds it"))
    if unknown := [key for key in columns if key not in (*REQUIRED, *OPTIONAL)]:
        known = ", ".join((*REQUIRED, *OPTIONAL))
        raise BadInput(file.error(("columns", unknown[0]), f"unknown; columns has {known}, and grid all others"))
    if not isinstance(grid, list) or any(not isinstance(name, str) for name in grid):
        raise BadInput(file.error(("grid",), f"must be a list of columns such as [model], got {grid!r}"))
    if not isinstance(higher, bool):
        raise BadInput(file.error(("higher_is_better",), f"must be true or false, got {higher!r}"))
    return Layout(
        name=content["name"],
        file=(content["file"],),
        columns=columns,
        grid=tuple(grid),
        higher_is_better=higher,
        unit=content.get("unit", ""),
        batch_unit=content.get("batch_unit", "samples"),
    )


def read_trainings(layout: Layout, folder: Path) -> list[Training]:
    """Read the table of a layout from a folder. A training without a finite score diverged: its loss is infinite.

    Raises:
        BadInput: the table is missing or cannot be read, lacks a column, or holds something else than a number.
    """
    path = next((folder / name for name in layout.file if (folder / name).is_file()), None)
    if path is None:
        raise BadInput(f"{layout.name}: there is no {' or '.join(layout.file)} in {folder}: name its folder by --data")
    try:
        with _open(path) as file:
            rows = csv.DictReader(file)
            _check_columns(layout, path, rows.fieldnames or ())
            trainings = list(_trainings(layout, path, rows))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path}: cannot be read as a table ({error}): save it as CSV in UTF-8") from None
    if not trainings:
        raise BadInput(f"{path}: has no rows: a training is a row")
    return trainings


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _check_columns(layout: Layout, path: Path, there: Sequence[str]) -> None:
    for name in (*layout.columns.values(), *layout.grid):
        if name not in there:
            near = nearest(name, there)
            hint = f": did you mean {near!r}?" if near else f"; it has {', '.join(there) or 'none'}"
            raise BadInput(f"{path}: has no column {name!r}, which the layout {layout.name} names{hint}")


def _trainings(layout: Layout, path: Path, rows: "csv.DictReader[str]") -> Iterator[Training]:
    sign = -1.0 if layout.higher_is_better else 1.0
    for row in rows:
        values = {what: _number(row, column, path, rows.line_num) for what, column in layout.columns.items()}
        for what, value in values.items():
            if what != "score" and not 0 < value < math.inf:
                raise _refusal(path, rows.line_num, layout.columns[what], "must be a positive number", value)
        if values["batch_size"] != int(values["batch_size"]):
            raise _refusal(
                path, rows.line_num, layout.columns["batch_size"], "must be a whole number", values["batch_size"]
            )
        yield Training(
            grid=", ".join(f"{column}={row[column]}" for column in layout.grid) or layout.name,
            lr=values["lr"],
            batch_size=int(values["batch_size"]),
            loss=sign * values["score"] if math.isfinite(values["score"]) else math.inf,
            parameters=values.get("parameters"),
            tokens=values.get("tokens"),
        )


def _number(row: Mapping[str, Any], column: str, path: Path, line: int) -> float:
    text = row[column] or ""
    try:
        return float(text) if text.strip() else math.nan
    except ValueError:
        raise _refusal(path, line, column, "must be a number", text) from None


def _refusal(path: Path, line: int, column: str, rule: str, value: object) -> BadInput:
    return BadInput(f"{path}:{line}: column {column!r} {rule}, got {value!r}: correct or remove the row")
