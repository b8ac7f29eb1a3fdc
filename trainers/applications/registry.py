"""Registration of applications from user files and installed packages in `APPLICATIONS`.

Packages declare applications in the entry-point group `zerotune.applications`. One is imported only when a study names
it, so a broken one does not affect the others. This module must not know the command line.
"""

import hashlib
import os
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from ..interrupts import note_interrupts, raise_if_interrupted
from ..tables import lookup
from . import APPLICATIONS
from .application import Application
from .checks import field_problems
from .failure import ApplicationError, describe_error
from .local_modules import LocalModule, code_digest, find_local_modules, keep_modules, package_versions
from .user_file import ApplicationFile

GROUP = "zerotune.applications"

SHIPPED = frozenset(APPLICATIONS)
"""Names of the shipped applications; they are reserved."""


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """Where a registered application comes from.

    Attributes:
        digest: of its own file.
        modules: the modules of the user's own, or of the same package, that it imports.
        imports: top-level names of everything else that it and they import.
        file: its file; None for an application of a package, and for a table.
        layout: the layout file of a table; None for an application that trains.
    """

    digest: str
    modules: tuple[LocalModule, ...] = ()
    imports: frozenset[str] = field(default_factory=frozenset)
    file: ApplicationFile | None = None
    layout: str | None = None


_origins: dict[str, _Origin] = {}


def register_application(file: ApplicationFile) -> Application:
    """Register a file's application in `APPLICATIONS`; registering the same code again does nothing.

    The same code is the same file and the same modules of the user's own that it imports. They are kept as they were
    read, so that a module which is edited later is not mixed with the others.

    Raises:
        ApplicationError: the name is a shipped application's, or the file or its application cannot be used.
    """
    if file.name in SHIPPED:
        raise ApplicationError(
            f"{Path(file.path).name}: zerotune ships an application {file.name!r}: give yours another name"
        )
    origin = _origins.get(file.name)
    if origin is None or origin.file != (file if file.modules is not None else _find_modules(file).file):
        application = file.load()
        _check_fields(application, f"{Path(file.path).name}: {file.name}")
        for variable, _ in file.environment.items() - _environment_digests(application).items():
            raise ApplicationError(
                f"{Path(file.path).name}: the environment variable {variable} has another value on this machine than "
                "where the study was started: set it on every machine of the cluster"
            )
        sent = file.modules is not None  # by the program that found them
        origin = _Origin(digest=file.digest, modules=file.modules or (), file=file) if sent else _find_modules(file)
        keep_modules(origin.modules)
        APPLICATIONS[file.name] = application
        _origins[file.name] = origin
    return APPLICATIONS[file.name]


def register_table(name: str, application: Application, digest: str, layout: str) -> None:
    """Register an application that is a table of past trainings.

    Args:
        name: of the application.
        application: the application.
        digest: identifies the table and its layout.
        layout: absolute path of the layout file.

    Raises:
        ApplicationError: the name is a shipped application's, or a field is wrong.
    """
    if name in SHIPPED:
        raise ApplicationError(f"{Path(layout).name}: zerotune ships an application {name!r}: give yours another name")
    _check_fields(application, f"{Path(layout).name}: {name}")
    APPLICATIONS[name] = application
    _origins[name] = _Origin(digest=digest, layout=layout)


def application_place(name: str) -> tuple[Path, str] | None:
    """Return what `--app` names for an application: its file, and ":NAME" or nothing; None for an installed one."""
    origin = _origins.get(name)
    if origin is not None and origin.layout is not None:
        return Path(origin.layout), ""
    return None if origin is None or origin.file is None else (Path(origin.file.path), f":{origin.file.name}")


def _find_modules(file: ApplicationFile) -> _Origin:
    modules, imports = find_local_modules(file.code, Path(file.path).stem)
    return _Origin(digest=file.digest, modules=modules, imports=imports, file=replace(file, modules=modules))


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
        _origins[name] = _origin_of(entry)
        APPLICATIONS[name] = application
    return APPLICATIONS[name]


def is_shipped(name: str) -> bool:
    """Whether zerotune ships, and so tests, the application."""
    return name in SHIPPED


def application_digest(name: str) -> str | None:
    """Return the code digest of a registered application; None if it is shipped or not registered."""
    return _origins[name].digest if name in _origins else None


def application_file(name: str) -> ApplicationFile | None:
    """Return the file that an application was registered from, as it is sent to workers; None if there is none."""
    file = _origins[name].file if name in _origins else None
    return None if file is None else replace(file, environment=environment_digests(name))


def module_digests(name: str) -> dict[str, str]:
    """Return the digest of every module that an application consists of, by name; of its own file under "".

    A shipped application consists of none: it is part of zerotune.
    """
    origin = _origins.get(name)
    if origin is None:
        return {}
    return {"": origin.digest, **{module.name: module.digest for module in origin.modules if module.digest}}


def imported_packages(name: str) -> dict[str, str]:
    """Return the version of every package that an application imports; of a shipped one, of those that it needs."""
    origin = _origins.get(name)
    return package_versions(APPLICATIONS[name].packages if origin is None else origin.imports)


def environment_digests(name: str) -> dict[str, str]:
    """Return a digest of the value of every environment variable that the application declares; empty where unset."""
    return _environment_digests(APPLICATIONS[name])


def _environment_digests(application: Application) -> dict[str, str]:
    values = {variable: os.environ.get(variable) for variable in application.environment}
    return {
        variable: "" if value is None else hashlib.sha256(value.encode()).hexdigest()[:16]
        for variable, value in sorted(values.items())
    }


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
        with note_interrupts() as arrived, redirect_stdout(sys.stderr):
            found = entry.load()
    except BaseException as error:  # a package may raise anything, sys.exit included
        raise_if_interrupted(arrived, error)
        raise ApplicationError(f"{_format_entry(entry)} cannot be loaded: {describe_error(error)}") from error
    if not isinstance(found, Application):
        raise ApplicationError(
            f"{_format_entry(entry)} must be a zerotune.Application, got type {type(found).__name__}"
        )
    return found


def _check_fields(application: Application, prefix: str) -> None:
    for problem in field_problems(application):
        raise ApplicationError(f"{prefix}: {problem}")


def _origin_of(entry: EntryPoint) -> _Origin:
    """Return the code of a package's application; the package's version stands for code that is not Python."""
    path = Path(getattr(sys.modules.get(entry.module), "__file__", None) or "")
    if path.suffix != ".py":
        return _Origin(digest=code_digest(repr((entry.value, entry.dist.version if entry.dist else "")).encode()))
    code, top = path.read_bytes(), entry.module.partition(".")[0]
    modules, imports = find_local_modules(code, entry.module, is_package=path.name == "__init__.py", package=top)
    return _Origin(digest=code_digest(code), modules=modules, imports=imports)
