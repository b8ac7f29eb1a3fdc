"""Mistakes in a definition as sentences: where the value stands, what it must be and what was given.

This module must not know files or lines.
"""

from dataclasses import fields
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ...trainers.spec import Recipe
from ...trainers.tables import UnknownName, lookup
from .parts import Definition
from .yaml_file import Location


def describe_mistakes(error: ValidationError, content: object, whole: type[Definition]) -> list[tuple[Location, str]]:
    """Return where plain values are wrong by the error of reading them, and a sentence about each.

    Args:
        error: of reading the values.
        content: the values.
        whole: what they were read as, such as `Study`.
    """
    by_location: dict[Location, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        location = details["loc"]
        if location[:2] == ("data", "options"):
            location = ("data", *location[2:])  # a file has the options beside the source
        if details["type"] != "missing" and not _has(content, location):
            location = location[:-1]  # of a value that fits none of several types, each type has an error
        by_location.setdefault(location, []).append(details)
    return [(location, _sentence(found, whole)) for location, found in by_location.items()]


def _has(content: Any, location: Location) -> bool:
    for part in location:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


_KIND_OF_ERROR = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "dataclass_type": "keys and values",
}
_BOUND_OF_ERROR = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


def _sentence(errors: list[ErrorDetails], whole: type[Definition]) -> str:
    """Describe what is wrong with a value."""
    details = errors[0]
    kind, context = details["type"], details.get("ctx", {})
    given = repr(details["input"])
    given = given if len(given) <= 60 else f"{given[:57]}..."
    expected = [text for details in errors if (text := _expected(details)) is not None]
    if expected:
        return f"must be {' or '.join(expected)}, got {given}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return "is missing, and it has no default"
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return _unknown_key(details["loc"], whole)
    if kind == "string_pattern_mismatch":
        return f"may hold a to z, 0 to 9, - and _ only, and starts with a letter or digit, got {given}"
    if kind == "string_too_long":
        return f"must be at most {context['max_length']} characters long"
    if kind in ("too_short", "string_too_short"):
        return "must not be empty"
    if kind == "too_long":
        return f"may hold at most {context['max_length']} entries"
    return f"{details['msg']}, got {given}"


def _expected(details: ErrorDetails) -> str | None:
    """Describe the type, bound or choices that a value must have; None if something else is wrong."""
    kind, context = details["type"], details.get("ctx", {})
    if kind in _KIND_OF_ERROR:
        return _KIND_OF_ERROR[kind]
    if kind in _BOUND_OF_ERROR:
        words, key = _BOUND_OF_ERROR[kind]
        return f"{words} {context[key]:g}"
    return str(context["expected"]) if kind == "literal_error" else None


def _unknown_key(location: Location, whole: type[Definition]) -> str:
    part: type = whole
    for key in location[:-1]:
        if isinstance(key, str):
            part = _keys_in(_keys_of(part)[key]) or part
    try:
        lookup("key", _keys_of(part), str(location[-1]))
    except UnknownName as error:
        return str(error)
    raise AssertionError(f"{location} is a known key")


def _keys_of(part: Any) -> dict[str, Any]:
    """Return the keys of a part of a study with their types."""
    if issubclass(part, Definition):
        return {name: field.annotation for name, field in part.model_fields.items()}
    return {field.name: field.type for field in fields(part)}


def _keys_in(annotation: Any) -> type | None:
    """Return the part of a study in an annotation such as `tuple[Part, ...]` or `Part | None`."""
    if isinstance(annotation, type) and (issubclass(annotation, Definition) or annotation is Recipe):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _keys_in(inner)) is not None), None)
