"""Registration of applications from user files and installed packages in `APPLICATIONS`.

Packages declare applications in the entry-point group `zerotune.applications`. One is imported only when a study names
it, so a broken one does not affect the others. This module must not know the command line.
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
"""Names of the shipped applications; they are reserved."""


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """Where a registered application comes from."""

    digest: str
    file: ApplicationFile | None = None


_origins: dict[str, _Origin] = {}


def register_application(file: ApplicationFile) -> Application:
    """Register a file's application in `APPLICATIONS`; registering the same file again does nothing.

    Raises:
        ApplicationError: the name is a shipped application's, or the file or its application cannot be used.
    """
    if file.name in SHIPPED:
        raise ApplicationError(
            f"{Path(file.path).name}: zerotune ships an application {file.name!r}: give yours another name"
        )
    origin = _origins.get(file.name)
    if origin is None or origin.file != file:
        application = file.load()
        _check_fields(application, f"{Path(file.path).name}: {file.name}")
        APPLICATIONS[file.name] = application
        _origins[file.name] = _Origin(digest=file.digest, file=file)
    return APPLICATIONS[file.name]


def find_application(name: str) -> Application:
    """Return the application of that name; load and register it if an installed package declares it.

    Raises:
        UnknownName: there is no such application.
        ApplicationError: a package's application cannot be loaded or is no `Application`.
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
    """Whether zerotune ships, and so tests, the application."""
    return name in SHIPPED


def application_digest(name: str) -> str | None:
    """Return the code digest of a registered application; None if it is shipped or not registered."""
    return _origins[name].digest if name in _origins else None


def application_file(name: str) -> ApplicationFile | None:
    """Return the file that an application was registered from; None if there is none."""
    return _origins[name].file if name in _origins else None


def packaged_applications() -> dict[str, list[EntryPoint]]:
    """Return the entry points of installed packages by application name; two under one name are a conflict."""
    found: dict[str, dict[str, EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, {}).setdefault(entry.value, entry)
    return {name: list(entries.values()) for name, entries in sorted(found.items())}


def _single_entry(name: str, entries: list[EntryPoint]) -> EntryPoint:
    if len(entries) > 1:
        named = " and ".join(_format_entry(entry) for entry in entries)
        raise ApplicationError(f"{named} have the same name: uninstall one of them")
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
    except BaseException as error:  # a package may raise anything, sys.exit included
        raise ApplicationError(f"{_format_entry(entry)} cannot be loaded: {describe_error(error)}") from error
    if not isinstance(found, Application):
        raise ApplicationError(
            f"{_format_entry(entry)} must be a zerotune.Application, got type {type(found).__name__}"
        )
    return found


def _check_fields(application: Application, prefix: str) -> None:
    for problem in field_problems(application):
        raise ApplicationError(f"{prefix}: {problem}")


def _module_digest(entry: EntryPoint) -> str:
    """Return the digest of the module's code if it is Python code, else of the package's version."""
    path = getattr(sys.modules.get(entry.module), "__file__", None)
    if path and Path(path).suffix == ".py":
        return code_digest(Path(path).read_bytes())
    return code_digest(repr((entry.value, entry.dist.version if entry.dist else "")).encode())
