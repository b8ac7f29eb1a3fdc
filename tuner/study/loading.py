"""Load studies from files; every mistake becomes a sentence with file and line."""

from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ...trainers.applications.failure import ApplicationError
from ...trainers.applications.registry import register_application
from ...trainers.applications.user_file import read_application_file
from ...trainers.child_process import PACKAGE
from ...trainers.spec import Recipe
from ...trainers.tables import UnknownName, lookup, nearest
from ..errors import BadInput
from .checks import find_problems
from .definition import Study
from .parts import Definition
from .yaml_file import Location, StudyFile, parse_yaml, read_yaml

STUDIES = PACKAGE / "studies"
"""Folder of the shipped studies."""

MAX_LISTED = 20
"""Most mistakes that are listed."""


def shipped_studies() -> dict[str, Path]:
    """Return the files of the studies that come with zerotune, by name."""
    return {path.stem: path for path in sorted(STUDIES.glob("*.yaml"))}


def load_study(path_or_name: str | Path, *, app: str | None = None) -> Study:
    """Load a study.

    Args:
        path_or_name: path of a study file, or name of a shipped study. A file takes precedence.
        app: FILE.py:NAME of your own application, where the study names one; it stays registered in this process.

    Raises:
        BadInput: there is no such study, its file has mistakes, one line for each, or the application cannot be used.
    """
    registered = None if app is None else register_user_application(app, f"app={app!r}")
    path = study_path(str(path_or_name))
    study = build_study(read_yaml(path, str(path)))
    if registered not in (None, study.application):
        raise BadInput(
            f"app={app!r}: has no effect: study {study.name!r} names the application {study.application!r}, not "
            f"{registered!r}"
        )
    return study


def register_user_application(spec: str, given_as: str) -> str:
    """Register the application of FILE.py:NAME, and return NAME. Messages begin with `given_as`.

    Raises:
        BadInput: the file, or the application in it, cannot be used.
    """
    try:
        file = read_application_file(spec)
        register_application(file)
    except ApplicationError as error:
        raise BadInput(f"{given_as}: {error}") from None
    return file.name


def study_path(path_or_name: str) -> Path:
    """Return the file of a study, given by its path or by the name of a shipped study.

    Raises:
        BadInput: there is no such study.
    """
    path = Path(path_or_name)
    shipped = shipped_studies()
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except (OSError, ValueError):  # the name is too long or has a null character
        is_file = is_folder = False
    if path_or_name in shipped and not is_file:
        return shipped[path_or_name]
    if not path_or_name or not (is_file or is_folder):
        guess = nearest(path.stem, shipped)
        hint = f" did you mean {guess!r}?" if guess else ""
        raise BadInput(
            f"no study file or shipped study {path_or_name!r}:{hint} Shipped: {', '.join(shipped) or 'none'}; "
            "any other study is named by the path of its file."
        )
    return path


def study_from_text(text: str, name: str) -> Study:
    """Return the study in a YAML text, which error messages call `name`.

    Raises:
        BadInput: the text has mistakes, one line for each.
    """
    return build_study(parse_yaml(text, name))


def build_study(file: StudyFile) -> Study:
    """Return the study in a parsed file.

    Raises:
        BadInput: the file has mistakes, one line for each.
    """
    try:
        study = Study.model_validate(file.content)
    except ValidationError as error:
        found = describe_mistakes(error, file.content)
    else:
        found = find_problems(study)
        if not found:
            return study
    lines = [file.error(location, f"{message.removesuffix('.')}.") for location, message in found[:MAX_LISTED]]
    if len(found) > MAX_LISTED:
        lines.append(f"{file.name}: and {len(found) - MAX_LISTED} more.")
    raise BadInput("\n".join(lines)) from None


def describe_mistakes(error: ValidationError, content: object) -> list[tuple[Location, str]]:
    """Return where the plain values of a study are wrong by the error of reading them, and a sentence about each."""
    by_location: dict[Location, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        location = details["loc"]
        if location[:2] == ("data", "options"):
            location = ("data", *location[2:])  # a file has the options beside the source
        if details["type"] != "missing" and not _has(content, location):
            location = location[:-1]  # of a value that fits none of several types, each type has an error
        by_location.setdefault(location, []).append(details)
    return [(location, _sentence(found)) for location, found in by_location.items()]


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


def _sentence(errors: list[ErrorDetails]) -> str:
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
        return _unknown_key(details["loc"])
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


def _unknown_key(location: Location) -> str:
    part: type = Study
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
