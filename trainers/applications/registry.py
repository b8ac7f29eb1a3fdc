"""Applications that do not come with zerotune, in the same table: of a user's file, or of an installed package.

A package names its own in the entry-point group `zerotune.applications`; none is imported before it is asked for, so
that one which cannot be loaded spoils nothing but itself. This module must not know the command line.
"""

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from ..tables import lookup
from . import APPLICATIONS
from .application import Application
from .checks import field_problems
from .failure import ApplicationError, describe_error
from .user_file import ApplicationFile, code_digest

GROUP = "zerotune.applications"

SHIPPED = frozenset(APPLICATIONS)
"""Names of the applications that come with zerotune; nothing else can have them."""


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """Where an entry of the table comes from, that is not shipped."""

    digest: str
    file: ApplicationFile | None = None


_origins: dict[str, _Origin] = {}


def register_application(file: ApplicationFile) -> Application:
    """Enters the application of a file into `APPLICATIONS`; entering the same again does nothing.

    Raises:
        ApplicationError: a shipped application has its name, or the file or the application in it cannot be used.
    """
    if file.name in SHIPPED:
        raise ApplicationError(
            f"{Path(file.path).name}: zerotune has an application {file.name!r} of its own: give yours another name"
        )
    origin = _origins.get(file.name)
    if origin is None or origin.file != file:
        application = file.load()
        _check_fields(application, f"{Path(file.path).name}: {file.name}")
        APPLICATIONS[file.name] = application
        _origins[file.name] = _Origin(digest=file.digest, file=file)
    return APPLICATIONS[file.name]


def find_application(name: str) -> Application:
    """The application of that name; one that an installed package brings is loaded now and entered.

    Raises:
        UnknownName: there is none.
        ApplicationError: a package's application cannot be loaded, or is not one.
    """
    if name not in APPLICATIONS:
        packaged = packaged_applications()
        if name not in packaged:
            lookup("application", {**packaged, **APPLICATIONS}, name)
        entry = _single_entry(name, packaged[name])
        application = _load(entry)
        _check_fields(application, _format_entry(entry))
        _origins[name] = _Origin(digest=_module_digest(entry))
        APPLICATIONS[name] = application
    return APPLICATIONS[name]


def is_shipped(name: str) -> bool:
    """Whether an application comes with zerotune, and is tested with it."""
    return name in SHIPPED


def application_digest(name: str) -> str | None:
    """What identifies the code of an application that is not shipped; None for one that is, or that is not entered."""
    return _origins[name].digest if name in _origins else None


def application_file(name: str) -> ApplicationFile | None:
    """The file that an application was entered from; None where it was not entered from one."""
    return _origins[name].file if name in _origins else None


def packaged_applications() -> dict[str, list[EntryPoint]]:
    """The applications that installed packages name, by name; nothing is imported. More than one is a conflict."""
    found: dict[str, dict[str, EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, {}).setdefault(entry.value, entry)
    return {name: list(entries.values()) for name, entries in sorted(found.items())}


def _single_entry(name: str, entries: list[EntryPoint]) -> EntryPoint:
    if len(entries) > 1:
        said = " and ".join(_format_entry(entry) for entry in entries)
        raise ApplicationError(f"{said} have the same name: uninstall one of them")
    return entries[0]


def _format_entry(entry: EntryPoint) -> str:
    package = entry.dist.name if entry.dist is not None else "an installed package"
    return f"application {entry.name!r} of {package} ({entry.value})"


def _load(entry: EntryPoint) -> Application:
    try:
        with redirect_stdout(sys.stderr):
            found = entry.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a package raises, sys.exit included
        raise ApplicationError(f"{_format_entry(entry)} cannot be loaded: {describe_error(error)}") from error
    if not isinstance(found, Application):
        raise ApplicationError(
            f"{_format_entry(entry)} is of type {type(found).__name__}, and must be a zerotune.Application"
        )
    return found


def _check_fields(application: Application, prefix: str) -> None:
    for problem in field_problems(application):
        raise ApplicationError(f"{prefix}: {problem}")


def _module_digest(entry: EntryPoint) -> str:
    """Of the module that holds it, where that is Python code, else of the package's version."""
    path = getattr(sys.modules.get(entry.module), "__file__", None)
    if path and Path(path).suffix == ".py":
        return code_digest(Path(path).read_bytes())
    return code_digest(repr((entry.value, entry.dist.version if entry.dist else "")).encode())
