"""A table of one's own: a CSV or parquet file with a row a training, and a layout that says what its columns are.

pandas reads the file. This module must not know YAML, nor what asks the table.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..applications.metric_names import bound_problem
from ..data import DataError
from ..optimizers import OPTIMIZERS
from ..options import Options
from ..schedules import DECAYS
from ..spec import OptionValue
from .parts import SETTINGS, format_part
from .table import Axis, Table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

RESULTS = ("score", "test_score", "seconds", "seed")
"""Columns that hold what a training gave, and its seed; the others are parts of its configuration."""

REQUIRED = ("lr", "batch_size", "epochs", "optimizer")
"""Parts of a configuration that have no default: each is a column or fixed."""

_NUMBERS = frozenset({"lr", "batch_size", "epochs", "warmup_epochs", "warmup_start", "clip_norm", "label_smoothing"})
_WHOLE = frozenset({"batch_size", "epochs", "seed"})


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a file of trainings holds.

    Attributes:
        name: of the application that it becomes.
        file: a .csv, .csv.gz or .parquet file with a row a training.
        metric, higher_is_better, chance_score: as in `trainers.applications.Application`.
        columns: part of the configuration, or one of `RESULTS`, -> name of its column. "score" is required.
        fixed: parts of the configuration that all rows share.
        select: rows to take: column -> the value that it must have.
        num_train: training samples; None if not known.
        description: one line.
    """

    name: str
    file: Path
    metric: str
    higher_is_better: bool
    chance_score: float
    columns: Mapping[str, str]
    fixed: Mapping[str, OptionValue] = field(default_factory=dict)
    select: Mapping[str, OptionValue] = field(default_factory=dict)
    num_train: int | None = None
    description: str = ""

    @cached_property
    def parts(self) -> dict[str, str]:
        """Part of the configuration -> name of its column."""
        return {part: column for part, column in self.columns.items() if part not in RESULTS}

    def problems(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield what is wrong with the layout itself, as (keys, sentence)."""
        if "score" not in self.columns:
            yield ("columns",), "score is missing: name the column of the validation scores"
        for part in REQUIRED:
            if part not in self.parts and part not in self.fixed:
                yield ("fixed",), f"{part} is missing: name its column, or give the value of all rows in fixed"
        for part in self.parts.keys() & self.fixed.keys():
            yield ("fixed", part), "is also a column: a part differs between rows or is fixed"
        for part in self.fixed.keys() & set(RESULTS):
            yield ("fixed", part), "is no part of a configuration: name its column, or leave it out"
        for part in self.fixed.keys() - SETTINGS:
            if part not in _option_names():
                yield (
                    ("fixed", part),
                    "is no setting and no option of an optimizer or a decay, and a study cannot set it: leave it out",
                )
        if not self.file.name.endswith((".csv", ".csv.gz", ".parquet")):
            yield ("file",), f"must end in .csv, .csv.gz or .parquet, got {self.file.name!r}"


def model_options(table: Table) -> Options:
    """Return the axes of a table that are options of the model, each with its first value as default."""
    own = [axis for axis in table.axes if axis.name not in SETTINGS and axis.name not in _option_names()]
    return Options(defaults={axis.name: axis.values[0] for axis in own})


def _option_names() -> frozenset[str]:
    optimizers = (name for entry in OPTIMIZERS.values() for name in entry.defaults)
    decays = (f"decay.{name}" for entry in DECAYS.values() for name in (*entry.defaults, *entry.required))
    return frozenset((*optimizers, *decays))


def read_table(layout: Layout) -> Table:
    """Return the table in a layout's file.

    A row whose score is not a finite number is a training that diverged.

    Raises:
        DataError: the file cannot be read, lacks a column, holds text where numbers belong, or holds a training twice.
    """
    rows = _selected(layout, _read(layout))
    parts = {part: _values(layout, rows, part) for part in layout.parts}
    seeds = [1] * len(rows) if "seed" not in layout.columns else _values(layout, rows, "seed")
    axes = tuple(Axis(name=part, values=_sorted(values)) for part, values in parts.items())
    places = list(zip(*([axis.values.index(value) for value in parts[axis.name]] for axis in axes), strict=True))
    cells = {place: row for row, place in enumerate(dict.fromkeys(places))}
    columns: list[int] = sorted(set(seeds))
    _refuse_duplicates(layout, rows, [(place, seed) for place, seed in zip(places, seeds, strict=True)], axes)
    where = ([cells[place] for place in places], [columns.index(seed) for seed in seeds])

    def spread(name: str) -> NDArray[np.float64] | None:
        if name not in layout.columns:
            return None
        found = np.full((len(cells), len(columns)), math.nan)
        found[where] = _numbers(layout, rows, name)
        return found

    scores, tests = spread("score"), spread("test_score")
    assert scores is not None  # `Layout.problems` requires it
    return Table(
        name=layout.name,
        axes=axes,
        cells=cells,
        seeds=tuple(columns) if "seed" in layout.columns else (),
        scores=scores,
        chance_score=layout.chance_score,
        fixed=layout.fixed,
        test_scores=tests,
        seconds=spread("seconds"),
        num_train=layout.num_train,
    )


def _read(layout: Layout) -> "DataFrame":
    import pandas as pd  # half a second, which only a table of one's own pays

    try:
        rows = pd.read_parquet(layout.file) if layout.file.suffix == ".parquet" else pd.read_csv(layout.file)
    except FileNotFoundError:
        raise DataError(f"{layout.file}: no such file") from None
    except (OSError, ValueError, EOFError, pd.errors.ParserError) as error:
        raise DataError(f"{layout.file.name}: cannot be read: {' '.join(str(error).split())}") from None
    for column in (*layout.columns.values(), *layout.select):
        if column not in rows.columns:
            known = ", ".join(map(str, rows.columns))
            raise DataError(f"{layout.file.name}: has no column {column!r}: its columns are {known}")
    return rows


def _selected(layout: Layout, rows: "DataFrame") -> "DataFrame":
    for column, value in layout.select.items():
        rows = rows[rows[column] == value]
        if rows.empty:
            raise DataError(f"{layout.file.name}: no row is left where column {column!r} is {value!r} (select)")
    if rows.empty:
        raise DataError(f"{layout.file.name}: has no rows")
    return rows


def _place(layout: Layout, rows: "DataFrame", position: int) -> str:
    """Name a row: by its line in a CSV file, whose first line holds the names, else by its number."""
    number = int(rows.index[position])
    is_text = layout.file.suffix != ".parquet"
    return f"{layout.file.name}:{number + 2}" if is_text else f"{layout.file.name}: row {number + 1}"


def _values(layout: Layout, rows: "DataFrame", part: str) -> list[Any]:
    """Return a column of configurations or seeds: numbers, or names.

    Raises:
        DataError: a value is missing, or is text where a number belongs, or no whole number where one belongs.
    """
    column: Series[Any] = rows[layout.columns[part]]
    for position, is_missing in enumerate(column.isna()):
        if is_missing:
            raise DataError(f"{_place(layout, rows, position)}: column {layout.columns[part]!r} ({part}) is empty")
    if part not in _NUMBERS | _WHOLE and (column.dtype == object or column.dtype.kind not in "iuf"):
        return [value if isinstance(value, bool) else str(value) for value in column.tolist()]
    numbers = _numbers(layout, rows, part)
    is_whole = bool((numbers == numbers.round()).all()) and part != "lr"
    for position, number in enumerate(numbers):
        if not math.isfinite(number) or (part in _WHOLE and number != round(number)):
            must = "a whole number" if part in _WHOLE else "a finite number"
            raise DataError(
                f"{_place(layout, rows, position)}: column {layout.columns[part]!r} ({part}) must be {must}, got "
                f"{number:g}"
            )
    is_count = part in _WHOLE or (is_whole and column.dtype.kind in "iu")
    return [int(number) if is_count else float(number) for number in numbers]


def _numbers(layout: Layout, rows: "DataFrame", part: str) -> NDArray[np.float64]:
    """Return a column of numbers; scores that are empty or not finite become infinite.

    Raises:
        DataError: a value is text, seconds are negative, or a score contradicts the metric's name.
    """
    import pandas as pd

    column: Series[Any] = rows[layout.columns[part]]
    numbers = pd.to_numeric(column, errors="coerce")
    for position, (number, given) in enumerate(zip(numbers.isna(), column, strict=True)):
        if number and not pd.isna(given):
            raise DataError(
                f"{_place(layout, rows, position)}: column {layout.columns[part]!r} ({part}) must hold numbers, got "
                f"{given!r}"
            )
    found = numbers.to_numpy(dtype=np.float64, copy=True)
    if part in ("score", "test_score"):
        found[~np.isfinite(found)] = math.inf
        for position, score in enumerate(found):
            problem = bound_problem(layout.metric, score, layout.chance_score) if math.isfinite(score) else None
            if problem:
                raise DataError(f"{_place(layout, rows, position)}: column {layout.columns[part]!r} ({part}) {problem}")
    elif part == "seconds":
        for position, seconds in enumerate(found):
            if not 0 <= seconds < math.inf:
                raise DataError(
                    f"{_place(layout, rows, position)}: column {layout.columns[part]!r} (seconds) must be at least 0, "
                    f"got {seconds:g}"
                )
    return found


def _sorted(values: list[Any]) -> tuple[OptionValue, ...]:
    return tuple(sorted(set(values), key=lambda value: (isinstance(value, str), value)))


def _refuse_duplicates(
    layout: Layout, rows: "DataFrame", trainings: list[tuple[tuple[int, ...], int]], axes: tuple[Axis, ...]
) -> None:
    seen: dict[tuple[tuple[int, ...], int], int] = {}
    for position, training in enumerate(trainings):
        first = seen.setdefault(training, position)
        if first != position:
            of = ", ".join(format_part(axis.name, axis.values[i]) for axis, i in zip(axes, training[0], strict=True))
            raise DataError(
                f"{_place(layout, rows, position)}: holds the training of {_place(layout, rows, first)} again ({of}, "
                f"seed {training[1]}): keep one of them, or name the column that tells them apart in columns"
            )
