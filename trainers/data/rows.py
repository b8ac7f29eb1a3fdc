"""Samples that are rows by column name, as the pairs (inputs, target) that a split has.

This module must not know what holds the rows.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, cast

from .dataset import DataError

Columns = str | Sequence[str]
"""Name of a column, or names of several."""

Collate = Callable[[list[Any]], Any]
"""Samples -> a batch, as torch's DataLoader takes it."""


class RowColumns(NamedTuple):
    """The columns that a model is given, and the one of the targets."""

    inputs: Columns
    target: str

    @property
    def names(self) -> tuple[str, ...]:
        """All columns."""
        return (*([self.inputs] if isinstance(self.inputs, str) else self.inputs), self.target)

    def check(self, known: Sequence[str]) -> None:
        """Raises DataError where a column is not among the known ones."""
        for name in self.names:
            if name not in known:
                raise DataError(f"there is no column {name!r}: there are {', '.join(map(str, known)) or 'none'}")

    def select(self, row: Any) -> tuple[Any, Any]:
        """Inputs and target of a row, or of a batch of rows; several inputs as a named tuple."""
        if not isinstance(row, Mapping):
            raise DataError(f"inputs and target name columns, but a sample is of type {type(row).__name__}, not a row")
        self.check(list(row))
        if isinstance(self.inputs, str):
            return row[self.inputs], row[self.target]
        return _inputs(tuple(self.inputs), [row[name] for name in self.inputs]), row[self.target]


@dataclass(frozen=True)
class PairsOfRows:
    """A data set of rows, as one of pairs."""

    rows: Any
    columns: RowColumns

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> tuple[Any, Any]:
        return self.columns.select(self.rows[position])


@dataclass(frozen=True)
class CollatedRows:
    """A collate function that gives a batch by column name, as one that gives (inputs, targets)."""

    collate: Collate
    columns: RowColumns

    def __call__(self, rows: list[Any]) -> tuple[Any, Any]:
        """One batch of these rows."""
        return self.columns.select(self.collate(rows))


@lru_cache
def _inputs_type(names: tuple[str, ...]) -> type[Any]:
    """The one type of inputs of these names. A loader's process sends its name, since it cannot send a type."""
    try:
        kind: Any = namedtuple("Inputs", names)  # type: ignore[misc]  # the names are known only now
    except ValueError as error:
        raise DataError(f"the columns {', '.join(names)} cannot be given to a model by name: {error}") from None
    kind.__reduce__ = _reduce  # type: ignore[method-assign, assignment]
    return cast("type[Any]", kind)


def _reduce(inputs: Any) -> tuple[Any, ...]:
    return _inputs, (inputs._fields, tuple(inputs))


def _inputs(names: tuple[str, ...], values: Sequence[Any]) -> Any:
    return _inputs_type(names)(*values)
