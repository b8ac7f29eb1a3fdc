"""From a file, or the name of a shipped study, to a `Study`; every mistake becomes a sentence with file and line."""

from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ...trainers.child_process import PACKAGE
from ...trainers.tables import UnknownName, lookup, nearest
from ..errors import BadInput
from .checks import find_problems
from .definition import Study
from .parts import Definition
from .yaml_file import Location, StudyFile, parse_yaml, read_yaml

STUDIES = PACKAGE / "studies"
"""Where the shipped studies lie."""

MAX_LISTED = 20
"""Mistakes that are listed; a file with more is better read again from the top."""


def shipped_studies() -> dict[str, Path]:
    """The study files that come with zerotune, by name."""
    return {path.stem: path for path in sorted(STUDIES.glob("*.yaml"))}


def load_study(path_or_name: str) -> Study:
    """The study in a file, or the shipped study of that name.

    Raises:
        BadInput: there is no such study, or it cannot be used: one line for every mistake.
    """
    path = study_path(path_or_name)
    return build_study(read_yaml(path, str(path)))


def study_path(path_or_name: str) -> Path:
    """The file of a study, which may be a shipped one's name.

    Raises:
        BadInput: there is no such study.
    """
    path = Path(path_or_name)
    shipped = shipped_studies()
    if path_or_name in shipped and not _is_file(path):
        return shipped[path_or_name]
    if not path_or_name or not (_is_file(path) or _is_folder(path)):
        guess = nearest(path.stem, shipped)
        hint = f" did you mean {guess!r}?" if guess else ""
        raise BadInput(
            f"no study file or shipped study {path_or_name!r}:{hint} Shipped: {', '.join(shipped) or 'none'}; "
            "any other study is named by the path of its file."
        )
    return path


def study_from_text(text: str, name: str) -> Study:
    """The study in a text.

    Args:
        text: the YAML.
        name: what to call the text in errors.

    Raises:
        BadInput: it cannot be used: one line for every mistake.
    """
    return build_study(parse_yaml(text, name))


def build_study(file: StudyFile) -> Study:
    """The study in a file that was read.

    Raises:
        BadInput: it cannot be used: one line for every mistake.
    """
    try:
        study = Study.model_validate(file.content)
    except ValidationError as error:
        found = [(details["loc"], _sentence(details)) for details in error.errors(include_url=False)]
    else:
        found = find_problems(study)
        if not found:
            return study
    lines = [file.error(location, f"{message.removesuffix('.')}.") for location, message in found[:MAX_LISTED]]
    if len(found) > MAX_LISTED:
        lines.append(f"{file.name}: and {len(found) - MAX_LISTED} more.")
    raise BadInput("\n".join(lines)) from None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long or with a null character
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


_KIND_OF_ERROR = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "a word or text",
    "tuple_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
}
_BOUND_OF_ERROR = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


def _sentence(details: ErrorDetails) -> str:
    """What is wrong, in the words of whoever wrote the file."""
    kind, context = details["type"], details.get("ctx", {})
    given = repr(details["input"])
    given = given if len(given) <= 60 else f"{given[:57]}..."
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return "is missing, and it has no default"
    if kind == "extra_forbidden":
        return _unknown_key(details["loc"])
    if kind in _KIND_OF_ERROR:
        return f"must be {_KIND_OF_ERROR[kind]}, got {given}"
    if kind in _BOUND_OF_ERROR:
        words, key = _BOUND_OF_ERROR[kind]
        return f"must be {words} {context[key]:g}, got {given}"
    if kind == "literal_error":
        return f"must be {context['expected']}, got {given}"
    if kind == "string_pattern_mismatch":
        return f"may hold a to z, 0 to 9, - and _ only, and starts with a letter or digit, got {given}"
    if kind == "string_too_long":
        return f"must be at most {context['max_length']} characters long"
    if kind == "too_short":
        return "must not be empty"
    if kind == "too_long":
        return f"may hold at most {context['max_length']} entries"
    return f"{details['msg']}, got {given}"


def _unknown_key(location: Location) -> str:
    model: type[Definition] = Study
    for part in location[:-1]:
        if isinstance(part, str):
            model = _model_in(model.model_fields[part].annotation) or model
    try:
        lookup("key", model.model_fields, str(location[-1]))
    except UnknownName as error:
        return str(error)
    raise AssertionError(f"{location} is a known key")


def _model_in(annotation: Any) -> type[Definition] | None:
    """The model that an annotation such as `tuple[Model, ...]` or `Model | None` holds."""
    if isinstance(annotation, type) and issubclass(annotation, Definition):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner)) is not None), None)
