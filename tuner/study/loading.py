"""Load studies from files; every mistake becomes a sentence with file and line."""

from pathlib import Path

from pydantic import ValidationError

from ...trainers.applications.failure import ApplicationError
from ...trainers.applications.registry import register_application
from ...trainers.applications.user_file import read_application_file
from ...trainers.child_process import PACKAGE
from ...trainers.tables import nearest
from ..errors import BadInput
from .checks import find_problems
from .definition import Study
from .mistakes import describe_mistakes
from .table_layout import SUFFIXES, register_layout
from .yaml_file import StudyFile, parse_yaml, read_yaml

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
    """Register the application of FILE.py:NAME or of the layout of a table, and return its name.

    Messages begin with `given_as`, those about a layout with its file.

    Raises:
        BadInput: the file, or the application in it, cannot be used.
    """
    try:
        if spec.endswith(SUFFIXES):
            return register_layout(spec)
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
        found = describe_mistakes(error, file.content, Study)
    else:
        found = find_problems(study)
        if not found:
            return study
    lines = [file.error(location, f"{message.removesuffix('.')}.") for location, message in found[:MAX_LISTED]]
    if len(found) > MAX_LISTED:
        lines.append(f"{file.name}: and {len(found) - MAX_LISTED} more.")
    raise BadInput("\n".join(lines)) from None
