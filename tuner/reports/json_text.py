"""Content as JSON for programs: its schema named, non-finite numbers as strings, safe to print.

Every command's `--format json` and every JSON file of a report goes through here.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from ..sanitize import sanitize_json

SCHEMA_VERSION = 1
"""Of every schema. It rises when a key changes its meaning or goes."""


def format_json(schema: str, content: Mapping[str, Any]) -> str:
    r"""Return one JSON object on lines of its own, with the schema's name and version first.

    Args:
        schema: name of what it holds, such as "plan".
        content: JSON values, dataclasses and tuples.

    >>> print(format_json("plan", {"seconds": math.inf}), end="")
    {
      "schema": "zerotune.plan",
      "schema_version": 1,
      "seconds": "inf"
    }
    """
    named = {"schema": f"zerotune.{schema}", "schema_version": SCHEMA_VERSION, **content}
    return sanitize_json(json.dumps(_strict(named), indent=2, allow_nan=False, ensure_ascii=False)) + "\n"


def _strict(value: Any) -> Any:
    """Return the value with non-finite numbers as strings, tuples as lists and dataclasses as objects."""
    if is_dataclass(value) and not isinstance(value, type):
        return _strict(asdict(value))
    if isinstance(value, Mapping):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
