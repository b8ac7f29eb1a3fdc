"""Conversion of rows by column name to the (inputs, target) pairs of a split.

This module must not know where rows come from.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, cast

from .dataset import DataError

Columns = str | Sequence[str]
"""One or several column names."""

Collate = Callable[[list[Any]], Any]
"""Samples -> batch, as torch's DataLoader takes it."""


class RowColumns(NamedTuple):
    """The model's input columns and the target column."""

    inputs: Columns
    target: str

    @property
    def names(self) -> tuple[str, ...]:
        """All columns."""
        return (*([self.inputs] if isinstance(self.inputs, str) else self.inputs), self.target)

    def check(self, known: Sequence[str]) -> None:
        """Raise DataError if a column is not among the known ones."""
        for name in self.names:
            if name not in known:
                raise DataError(f"no column {name!r}; known: {', '.join(map(str, known)) or 'none'}")

    def select(self, row: Any) -> tuple[Any, Any]:
        """Return inputs and target of a row or a batch of rows; several inputs become a named tuple."""
        if not isinstance(row, Mapping):
            raise DataError(f"inputs and target name columns, so a sample must be a row, got type {type(row).__name__}")
        self.check(list(row))
        if isinstance(self.inputs, str):
            return row[self.inputs], row[self.target]
        return _inputs(tuple(self.inputs), [row[name] for name in self.inputs]), row[self.target]


@dataclass(frozen=True)
class PairsOfRows:
    """A data set of rows, presented as one of pairs."""

    rows: Any
    columns: RowColumns

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> tuple[Any, Any]:
        return self.columns.select(self.rows[position])


@dataclass(frozen=True)
class CollatedRows:
    """A collate function of rows, adapted to return (inputs, targets)."""

    collate: Collate
    columns: RowColumns

    def __call__(self, rows: list[Any]) -> tuple[Any, Any]:
        """Collate rows into one batch."""
        return self.columns.select(self.collate(rows))


@lru_cache
def _inputs_type(names: tuple[str, ...]) -> type[Any]:
    """Return the named tuple type of these columns; workers send the column names, since the type cannot be pickled."""
    try:
        kind: Any = namedtuple("Inputs", names)  # type: ignore[misc]  # the names are known only at run time
    except ValueError as error:
        raise DataError(f"the columns {', '.join(names)} cannot be field names of a named tuple: {error}") from None
    kind.__reduce__ = _reduce  # type: ignore[method-assign, assignment]
    return cast("type[Any]", kind)


def _reduce(inputs: Any) -> tuple[Any, ...]:
    return _inputs, (inputs._fields, tuple(inputs))


def _inputs(names: tuple[str, ...], values: Sequence[Any]) -> Any:
    return _inputs_type(names)(*values)
