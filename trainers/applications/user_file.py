"""User applications in a Python file: read once, sent to the workers as bytes, loaded in every process.

A study file is data and never names code; whoever runs the study names the file on the command line. This module must
not know the table of applications.
"""

import importlib.util
import os
import sys
import traceback
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from ..interrupts import note_interrupts, raise_if_interrupted
from ..tables import nearest
from .application import Application
from .failure import ApplicationError, error_text
from .local_modules import CodeLoader, LocalModule, code_digest, forget_local_modules, serve_modules

EXAMPLE = "digits.py:digits"

_user_modules: set[str] = set()
"""Names of modules loaded from user files; a file of the same name replaces them."""


@dataclass(frozen=True, kw_only=True)
class ApplicationFile:
    """A Python file and the name of the `Application` in it, as plain values that can be sent to a worker.

    Attributes:
        path: absolute path on the machine where the file was read.
        name: top-level name of the application in the module.
        code: content of the file when it was read.
        current_folder: where the file was read from, if modules are imported from there; None if they are not.
        modules: the other modules of the user's own that it imports, which a worker imports as they were read here;
            None if this process is to find them.
        environment: digests of the values of the environment variables that the application declares, by name, which a
            worker must have too.
    """

    path: str
    name: str
    code: bytes
    current_folder: str | None = None
    modules: tuple[LocalModule, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def digest(self) -> str:
        """Sixteen hex digits that identify the code, independent of comments, layout and path."""
        return code_digest(self.code)

    def load(self) -> Application:
        """Run the code as a module named after the file and return its application.

        The file's folder is first in `sys.path` while the code runs, as with `python FILE.py`, and last afterwards, so
        that no file in it hides a package; `current_folder` is last in any process. The code's output goes to stderr;
        the current folder is restored. Modules of the user's own that other applications imported are forgotten.

        Raises:
            ApplicationError: the code fails, or defines no application of that name.
        """
        module = self._run_module()
        applications = [name for name, value in vars(module).items() if isinstance(value, Application)]
        listed = f"applications in it: {', '.join(applications) or 'none'}"
        file = Path(self.path).name
        if self.name not in vars(module):
            guess = nearest(self.name, applications or vars(module))
            hint = f" did you mean {guess!r}?" if guess else ""
            raise ApplicationError(f"{file}: there is no {self.name!r} at its top level:{hint} ({listed})")
        found = vars(module)[self.name]
        if not isinstance(found, Application):
            kind = "a class" if isinstance(found, type) else f"type {type(found).__name__}"
            raise ApplicationError(f"{file}: {self.name!r} must be a zerotune.Application, got {kind} ({listed})")
        return found

    def _run_module(self) -> ModuleType:
        """Run the code and return the module."""
        name = Path(self.path).stem
        if self.modules is None:
            forget_local_modules()
        else:
            serve_modules(self.modules)
        _check_module_name(name, self.path)
        loader = CodeLoader(self.path, self.code)
        spec = importlib.util.spec_from_file_location(name, self.path, loader=loader)
        assert spec is not None  # a loader was given
        module = importlib.util.module_from_spec(spec)
        former = sys.modules.get(name)
        sys.modules[name] = module
        try:
            if self.current_folder is not None:
                _append_to_path(self.current_folder)
            with note_interrupts() as arrived, _isolated_import(Path(self.path).parent):
                loader.exec_module(module)
        except BaseException as error:  # the code may raise anything, sys.exit included
            del sys.modules[name]
            if former is not None:
                sys.modules[name] = former
            raise_if_interrupted(arrived, error)
            raise ApplicationError(self._describe(error)) from error
        _user_modules.add(name)
        return module

    def _describe(self, error: BaseException) -> str:
        """Describe the error with the file and line it was raised at."""
        file, kind, text = Path(self.path).name, type(error).__name__, error_text(error)
        if isinstance(error, SyntaxError) and error.filename == self.path:
            return f"{file}:{error.lineno or 1}: {kind}: {error.msg}"
        frames = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in reversed(frames) if frame.filename == self.path), 1)
        sentence = f"{file}:{line}: {kind}: {text}" if text else f"{file}:{line}: {kind}"
        if isinstance(error, SystemExit):
            return f'{sentence}: it exits when imported: put that under if __name__ == "__main__"'
        if isinstance(error, ModuleNotFoundError) and error.name:
            if not Path(self.path).exists():
                return f"{sentence}: only the user's own modules are sent to this machine: install it here too"
            return f"{sentence}: install it beside zerotune, or put {error.name}.py into the folder of {file}"
        return sentence


def read_application_file(argument: str) -> ApplicationFile:
    """Read the file that the command-line argument FILE.py:NAME names.

    Raises:
        ApplicationError: the argument has another form, or the file cannot be read.
    """
    file, colon, name = argument.rpartition(":")
    name = unicodedata.normalize("NFKC", name)  # as Python itself reads names
    if not colon or not file or not name:
        raise ApplicationError(f"must be FILE.py:NAME, a file and the name of the application in it, such as {EXAMPLE}")
    path = Path(file)
    if path.suffix != ".py":
        raise ApplicationError(f"{file}: not a Python file: its name must end in .py")
    if not name.isidentifier():
        raise ApplicationError(
            f"{name!r} is not a valid top-level name: use one such as {path.stem} = Application(...)"
        )
    try:
        code = path.read_bytes()
    except FileNotFoundError:
        raise ApplicationError(f"{file}: no such file") from None
    except (OSError, ValueError) as error:  # a folder, no permission, a null character
        raise ApplicationError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    here = os.path.realpath(os.curdir)
    is_imported_from = any(os.path.realpath(entry or os.curdir) == here for entry in sys.path)
    return ApplicationFile(
        path=str(path.absolute()), name=name, code=code, current_folder=here if is_imported_from else None
    )


def _check_module_name(name: str, path: str) -> None:
    """Raise ApplicationError if an installed module has the name: a file torch.py would be imported as torch."""
    if name in _user_modules:
        return
    if name in sys.modules:
        origin = getattr(sys.modules[name], "__file__", "built in")
    else:
        spec = importlib.util.find_spec(name) if name.isidentifier() else None
        origin = None if spec is None else spec.origin
    if origin is not None and Path(origin).resolve() != Path(path).resolve():
        raise ApplicationError(f"{Path(path).name}: its name is that of the installed module {name!r}: rename the file")


@contextmanager
def _isolated_import(folder: Path) -> Iterator[None]:
    """Run code as if it were a program of its own, without touching this one's output and current folder."""
    entry, current = str(folder), Path.cwd()
    sys.path.insert(0, entry)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.chdir(current)
        with suppress(ValueError):
            sys.path.remove(entry)
        _append_to_path(entry)


def _append_to_path(folder: str) -> None:
    """Let modules be imported from a folder if no other place has them."""
    if Path(folder).is_dir() and folder not in sys.path:
        sys.path.append(folder)
