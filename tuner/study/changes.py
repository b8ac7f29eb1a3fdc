"""Describe what changed between two definitions of a study."""

from itertools import zip_longest
from typing import Any, Final

from ..sanitize import sanitize_text
from .yaml_file import Location, format_location

_ABSENT = object()
_LONGEST_PLACE: Final = 200


def describe_changes(old: object, new: object) -> list[str]:
    """Return a line for every value that differs between two definitions of plain JSON values.

    >>> describe_changes({"arms": [{"lr": 0.1}]}, {"arms": [{"lr": 0.2}]})
    ['arms[0].lr: was 0.1, now 0.2']
    >>> describe_changes({"epochs": 2}, {"margin": 0.9})
    ['epochs: was 2, now absent', 'margin: was absent, now 0.9']
    """
    return _describe_changes(old, new, ())


def _describe_changes(old: Any, new: Any, location: Location) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        pairs = [(key, old.get(key, _ABSENT), new.get(key, _ABSENT)) for key in keys]
    elif isinstance(old, list) and isinstance(new, list) and any(isinstance(item, dict) for item in old + new):
        pairs = [(i, *both) for i, both in enumerate(zip_longest(old, new, fillvalue=_ABSENT))]
    elif old == new:
        return []
    else:  # a damaged definition may have any keys
        place = sanitize_text(format_location(location))[:_LONGEST_PLACE]
        return [f"{place}: was {_format_value(old)}, now {_format_value(new)}"]
    return [line for key, before, after in pairs for line in _describe_changes(before, after, (*location, key))]


def _format_value(value: object) -> str:
    if value is _ABSENT:
        return "absent"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
