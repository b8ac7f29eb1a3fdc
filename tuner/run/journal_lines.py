"""The lines of a journal: JSON with a checksum, and the identity that the first line gives.

This module must not know what records mean.
"""

import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ..trial import short_digest

_IDENTITY = TypeAdapter(str)
_SUM = re.compile(rb',"sum":"([0-9a-f]{8})"}\n?\Z')
"""The checksum at the end of a line. A line without one is damaged."""
_FORKED = b'{"identity":'
"""First bytes of the line with which a copied journal takes another identity."""


def parse_line(line: bytes) -> Any:
    """Parse a journal line and return its record.

    Raises:
        ValueError: the line is not JSON, or its checksum is missing or wrong.
        RecursionError: the line is nested deeper than any record.
    """
    found = _SUM.search(line)
    if found is None or found[1] != _checksum(line[: found.start()] + b"}"):
        raise ValueError("the checksum is missing or wrong")
    return json.loads(line)


def format_line(text: str) -> str:
    """Append the checksum to a record's JSON text, giving a line that `parse_line` reads."""
    return f'{text[:-1]},"sum":"{_checksum(text.encode()).decode()}"}}'


def _checksum(record: bytes) -> bytes:
    """Return a checksum of eight hex digits. It detects disk and memory errors, not forgery."""
    return b"%08x" % zlib.crc32(record)


def identity_of(first: Mapping[str, Any]) -> str:
    """Return the identity of the journal with this first record; earlier versions gave none, so it is a digest."""
    return _IDENTITY.validate_python(first["identity"]) if "identity" in first else short_digest(first)


def read_identity(path: Path) -> str | None:
    """Return a journal's identity without reading its results, or None if there is no readable journal."""
    try:
        with path.open("rb") as file:
            found = identity_of(parse_line(file.readline()))
            for line in file:
                if line.startswith(_FORKED):
                    forked = parse_line(line)
                    found = forked["identity"] if forked["owner"] == found else found
            return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
