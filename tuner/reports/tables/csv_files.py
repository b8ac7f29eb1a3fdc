"""CSV files.

This module must not know what the tables hold.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ...sanitize import sanitize_text

_BEGINS_A_FORMULA: Final = tuple("=+-@\t\r")


def escape_cell(value: object) -> object:
    """Return a value as a table cell. Text that a spreadsheet would compute gets an apostrophe; numbers are unchanged.

    >>> escape_cell("=1+1"), escape_cell(-0.5), escape_cell(None)
    ("'=1+1", -0.5, None)
    """
    if not isinstance(value, str):
        return value
    text = sanitize_text(value)
    return f"'{text}" if text.startswith(_BEGINS_A_FORMULA) else text


def write_csv(path: Path, records: Sequence[Mapping[str, Any]]) -> Path:
    """Write a header and one line for each record, all with the keys of the first; None is an empty cell.

    Without records the file is empty. An existing file is replaced.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(records[0]) if records else [])
        if records:
            writer.writeheader()
        writer.writerows({name: escape_cell(value) for name, value in record.items()} for record in records)
    return path
