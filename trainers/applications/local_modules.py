"""The code behind an application: the modules of the user's own that its file imports, and the packages they use.

Imports are read from syntax trees, those inside functions included, and followed through every module that is not
installed. Their code can be sent to other processes, which then import it instead of their own files. This module must
not know applications.
"""

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

ABSENT = "not installed"
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_TOP_LEVEL = re.compile(r"^(\w+)[/.]", re.MULTILINE)
_NOT_FOLLOWED = frozenset({"zerotune", "__main__"})


@dataclass(frozen=True, kw_only=True)
class LocalModule:
    """A module of the user's own, as plain values that can be sent to a worker.

    Attributes:
        name: full name.
        path: its file; its folder if it is a package without a file.
        code: content of the file when it was read; None for a folder, or if it is not Python code.
        digest: sixteen hex digits that identify the code; empty for a folder.
    """

    name: str
    path: str
    code: bytes | None = None
    digest: str = ""


def code_digest(code: bytes) -> str:
    """Return sixteen hex digits that identify Python code by its syntax tree, ignoring comments and layout.

    >>> code_digest(b"x = 1") == code_digest(b"x  =  1  # one")
    True
    """
    try:
        content = ast.unparse(ast.parse(code)).encode()
    except (SyntaxError, ValueError, RecursionError):  # loading it reports the error
        content = code
    return hashlib.sha256(content).hexdigest()[:16]


def find_local_modules(
    code: bytes, name: str, *, is_package: bool = False, package: str = ""
) -> tuple[tuple[LocalModule, ...], frozenset[str]]:
    """Find the modules of the user's own that a module imports, directly or through others of them.

    A module is the user's own if it is not installed: neither part of Python nor in a folder of packages. Those that
    are imported already are taken as they are, others are located as an import would.

    Args:
        code: of the module.
        name: its full name, from which relative imports start.
        is_package: whether the module is the `__init__.py` of a package.
        package: an installed package whose modules count as the user's own; empty for none.

    Returns:
        The local modules, sorted by name, without the module itself; the top-level names of everything else that they
        and the module import, without Python's own.
    """
    found: dict[str, LocalModule | None] = {name: None}
    others: set[str] = set()
    parent = name.rpartition(".")[0]
    waiting = [(f"import {parent}".encode(), ""), (code, name if is_package else parent)]
    while waiting:
        text, inside = waiting.pop()
        for imported in _imports(text, inside):
            top = imported.partition(".")[0]
            if imported in found or top in sys.stdlib_module_names or top in _NOT_FOLLOWED:
                continue
            place = _locate(imported)
            if place is None:
                if imported == top:
                    others.add(top)
                continue
            if top != package and _is_installed(place, top):
                others.add(top)
                continue
            module = _read(imported, place)
            found[imported] = module
            if module.code is not None:
                waiting.append((module.code, imported if place.name == "__init__.py" else imported.rpartition(".")[0]))
    modules = sorted((module for module in found.values() if module is not None), key=lambda module: module.name)
    return tuple(modules), frozenset(others)


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the version of every distribution that installs one of these top-level modules, by distribution.

    A module of no distribution stands under its own name, with `ABSENT`.
    """
    versions = {}
    for name in names:
        owners = _owners(name)
        versions.update({owner: importlib.metadata.version(owner) for owner in owners} or {name: ABSENT})
    return dict(sorted(versions.items()))


def serve_modules(modules: Sequence[LocalModule]) -> None:
    """Import these modules from now on as they were read, in place of all that were served or found before."""
    forget_local_modules()
    _served.update({module.name: module for module in modules})
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def keep_modules(modules: Sequence[LocalModule]) -> None:
    """Serve modules that this process has found, without importing anew those that it has imported."""
    imported = {module.name: sys.modules[module.name] for module in modules if module.name in sys.modules}
    serve_modules(modules)
    sys.modules.update(imported)


def forget_local_modules() -> None:
    """Forget all local modules of applications, so that the next import reads their files."""
    for name in _served:
        sys.modules.pop(name, None)
    _served.clear()


_served: dict[str, LocalModule] = {}


class _Finder(MetaPathFinder):
    """Finds the modules that are served, before any other finder."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        module = _served.get(fullname)
        if module is None or (module.code is None and module.digest):  # an extension module: by its own finder
            return None
        if module.code is None:
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [module.path]
            return spec
        loader = CodeLoader(module.path, module.code)
        return importlib.util.spec_from_file_location(fullname, module.path, loader=loader)


class CodeLoader(SourceLoader):
    """An import loader that serves code read before, whether or not the file exists."""

    def __init__(self, path: str, code: bytes) -> None:
        self._path, self._code = path, code

    def get_filename(self, fullname: str) -> str:
        """Return the file that the code was read from."""
        return self._path

    def get_data(self, path: str | bytes) -> bytes:
        """Return the code."""
        return self._code


def _imports(code: bytes, package: str) -> Iterator[str]:
    """Yield the full names of everything that code may import, parents first; some are attributes of modules."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: -(node.level - 1) or None] if node.level and package else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}".strip(".") for alias in node.names if alias.name != "*"] or [base]
        elif isinstance(node, ast.Call) and _is_import_call(node.func) and node.args:
            named = node.args[0]
            names = [named.value] if isinstance(named, ast.Constant) and isinstance(named.value, str) else []
        else:
            continue
        for name in names:
            parts = name.split(".")
            if all(part.isidentifier() for part in parts):
                yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _is_import_call(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("import_module", "__import__")


def _locate(name: str) -> Path | None:
    """Return a module's file, or the folder of a package without one; None if there is none. Imports nothing."""
    module = sys.modules.get(name)
    if module is not None:
        file, folders = getattr(module, "__file__", None), getattr(module, "__path__", None)
        return Path(file) if file else next((Path(folder) for folder in folders or ()), None)
    parent = name.rpartition(".")[0]
    try:
        if not parent:
            spec = importlib.util.find_spec(name)
        else:
            above = _locate(parent)
            if above is None or (above.is_file() and above.name != "__init__.py"):
                return None
            spec = PathFinder.find_spec(name, [str(above if above.is_dir() else above.parent)])
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None:
        return None
    if spec.origin not in (None, "built-in", "frozen"):
        return Path(str(spec.origin))
    return next((Path(folder) for folder in spec.submodule_search_locations or ()), None)


def _read(name: str, place: Path) -> LocalModule:
    try:
        content = place.read_bytes()
    except OSError:  # a folder
        return LocalModule(name=name, path=str(place))
    is_python = place.suffix == ".py"
    return LocalModule(name=name, path=str(place), code=content if is_python else None, digest=code_digest(content))


def _is_installed(place: Path, top: str) -> bool:
    """Whether a module belongs to an installed distribution, other than a checkout that is installed as editable."""
    if not _INSTALLED.isdisjoint(place.parts):
        return True
    owners = _owners(top)
    return bool(owners) and not any(_is_editable(owner) for owner in owners)


def _owners(top: str) -> list[str]:
    """Return the names of the distributions that install a top-level module."""
    return sorted({name for name, modules in _installed(tuple(sys.path)) if top in modules})


@cache
def _installed(path: tuple[str, ...]) -> list[tuple[str, frozenset[str]]]:
    """Return every distribution on an import path with its top-level modules.

    `importlib.metadata.packages_distributions` gives the same and takes ten times as long.
    """
    found = []
    for distribution in importlib.metadata.distributions(path=list(path)):
        declared = (distribution.read_text("top_level.txt") or "").split()
        modules = declared or _TOP_LEVEL.findall(distribution.read_text("RECORD") or "")
        found.append((distribution.name, frozenset(modules)))
    return found


def _is_editable(distribution: str) -> bool:
    origin = json.loads(importlib.metadata.distribution(distribution).read_text("direct_url.json") or "{}")
    return bool(origin.get("dir_info", {}).get("editable"))
