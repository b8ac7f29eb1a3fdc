"""Read files of a download: a mistake becomes a sentence with file, row and column."""

import csv
import gzip
import json
import math
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..errors import BadInput

ADVICE = "download the file again, or correct it"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a table, or a record of a JSON file.

    Attributes:
        values: text or JSON values by column.
        place: file and row, as errors name them.
    """

    values: Mapping[str, Any]
    place: str

    def text(self, column: str) -> str:
        """Return a cell that must not be empty."""
        found = self.values.get(column)
        if found is None or not str(found).strip():
            raise BadInput(f"{self.place}: {column}: expected a text, got nothing: {ADVICE}")
        return str(found)

    def number(self, column: str) -> float | None:
        """Return a number, also one that is not finite; None for an empty or missing cell."""
        found = self.values.get(column)
        if found is None or found == "":
            return None
        try:
            return float(found)
        except (TypeError, ValueError):
            raise BadInput(f"{self.place}: {column}: expected a number, got {str(found)!r:.60}: {ADVICE}") from None

    def finite(self, column: str) -> float | None:
        """Return a finite number; None for any other, or an empty or missing cell."""
        found = self.number(column)
        return found if found is not None and math.isfinite(found) else None

    def whole(self, column: str) -> int | None:
        """Return a whole number; None for an empty or missing cell, or a number that is not finite."""
        found = self.finite(column)
        if found is not None and found != int(found):
            raise BadInput(f"{self.place}: {column}: expected a whole number, got {found}: {ADVICE}")
        return None if found is None else int(found)

    def needed_whole(self, column: str) -> int:
        """Return a whole number that must be there."""
        found = self.whole(column)
        if found is None:
            raise BadInput(f"{self.place}: {column}: expected a whole number, got nothing: {ADVICE}")
        return found


def read_rows(path: Path, needed: Collection[str]) -> Iterator[Row]:
    """Yield the rows of a CSV file, packed with gzip if its name ends in .gz.

    Raises:
        BadInput: the file cannot be read, or lacks a needed column.
    """
    with _open(path) as file:
        try:
            reader = csv.DictReader(file)
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                has = ", ".join(reader.fieldnames or ()) or "none"
                raise BadInput(f"{path}: lacks the column {missing[0]!r}; its columns are {has:.200}: {ADVICE}")
            for number, values in enumerate(reader, start=2):
                yield Row(values=values, place=f"{path}, line {number}")
        except (UnicodeDecodeError, EOFError, zlib.error, gzip.BadGzipFile, csv.Error) as error:
            raise BadInput(f"{path}: is damaged ({error}): download it again") from None


def read_json(path: Path) -> Row:
    """Return a JSON object of a file."""
    return _parse(path.read_text(encoding="utf-8", errors="replace"), str(path))


def read_json_lines(path: Path) -> Iterator[Row]:
    """Yield the JSON objects of a file with one a line, packed with gzip if its name ends in .gz."""
    with _open(path) as file:
        try:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _parse(line, f"{path}, line {number}")
        except (UnicodeDecodeError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BadInput(f"{path}: is damaged ({error}): download it again") from None


def parse_object(text: str, place: str) -> Mapping[str, Any]:
    """Return the JSON object that a cell holds; none for an empty cell."""
    return _parse(text, place).values if text.strip() else {}


def folders(parent: Path) -> list[Path]:
    """Return the folders of a folder in the order of their names, numbers by value."""
    found = [path for path in parent.iterdir() if path.is_dir()]
    return sorted(found, key=lambda path: (int(path.name) if path.name.isdigit() else -1, path.name))


def _parse(text: str, place: str) -> Row:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadInput(f"{place}: is not JSON ({error}): {ADVICE}") from None
    if not isinstance(found, dict):
        raise BadInput(f"{place}: expected a JSON object, got {str(found)!r:.60}: {ADVICE}")
    return Row(values=found, place=place)


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")
