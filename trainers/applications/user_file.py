"""An application in a file of Python: read once, carried to the workers as bytes, loaded alike in every process.

A study file is data and never names code; the file is named on the command line, by whoever runs the study. This module
must not know the table of applications.
"""

import ast
import hashlib
import importlib.util
import os
import sys
import traceback
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from importlib.abc import SourceLoader
from pathlib import Path
from types import ModuleType

from ..tables import nearest
from .application import Application
from .failure import ApplicationError

EXAMPLE = "digits.py:digits"

_user_modules: set[str] = set()
"""Names of the modules that were loaded here; a file of the same name takes their place."""


@dataclass(frozen=True, kw_only=True)
class ApplicationFile:
    """A file of Python and the name of the `Application` in it: plain values, which can be sent to a worker.

    Attributes:
        path: the file, absolute, on the machine where it was read.
        name: of the application in it, a name at the module's top level.
        code: what the file held when it was read.
    """

    path: str
    name: str
    code: bytes

    @property
    def digest(self) -> str:
        """Sixteen hex digits of what the code does: comments, layout and where the file lies do not count."""
        return code_digest(self.code)

    def load(self) -> Application:
        """Runs the code as a module of the file's name, and gives the application in it.

        The file's folder stands first in `sys.path` meanwhile, as for `python FILE.py`, and last from then on, so that
        no file in it hides a package. What the code prints goes to stderr; the current folder is restored.

        Raises:
            ApplicationError: the code cannot be run, or holds no application of that name.
        """
        module = self._run_module()
        applications = [name for name, value in vars(module).items() if isinstance(value, Application)]
        there = f"applications in it: {', '.join(applications) or 'none'}"
        file = Path(self.path).name
        if self.name not in vars(module):
            guess = nearest(self.name, applications or vars(module))
            hint = f" did you mean {guess!r}?" if guess else ""
            raise ApplicationError(f"{file}: there is no {self.name!r} at its top level:{hint} ({there})")
        found = vars(module)[self.name]
        if not isinstance(found, Application):
            kind = "a class" if isinstance(found, type) else f"of type {type(found).__name__}"
            raise ApplicationError(f"{file}: {self.name!r} is {kind}, and must be a zerotune.Application ({there})")
        return found

    def _run_module(self) -> ModuleType:
        """The module, newly run."""
        name = Path(self.path).stem
        _check_module_name(name, self.path)
        loader = _CodeLoader(self)
        spec = importlib.util.spec_from_file_location(name, self.path, loader=loader)
        assert spec is not None  # a loader was given
        module = importlib.util.module_from_spec(spec)
        former = sys.modules.get(name)
        sys.modules[name] = module
        try:
            with _isolated_import(Path(self.path).parent):
                loader.exec_module(module)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever the code raises, sys.exit included
            del sys.modules[name]
            if former is not None:
                sys.modules[name] = former
            raise ApplicationError(self._describe(error)) from error
        _user_modules.add(name)
        return module

    def _describe(self, error: BaseException) -> str:
        """What stopped the code, with the line."""
        file, kind, text = Path(self.path).name, type(error).__name__, " ".join(str(error).split())[:500]
        if isinstance(error, SyntaxError) and error.filename == self.path:
            return f"{file}:{error.lineno or 1}: {kind}: {error.msg}"
        frames = traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in reversed(frames) if frame.filename == self.path), 1)
        sentence = f"{file}:{line}: {kind}: {text}" if text else f"{file}:{line}: {kind}"
        if isinstance(error, SystemExit):
            return f'{sentence}: it ends the program when imported: put that under if __name__ == "__main__"'
        if isinstance(error, ModuleNotFoundError) and error.name:
            if not Path(self.path).exists():
                return f"{sentence}: on this machine there is only the file itself: install what it imports here too"
            return f"{sentence}: install it beside zerotune, or put {error.name}.py into the folder of {file}"
        return sentence


def read_application_file(argument: str) -> ApplicationFile:
    """The file that FILE.py:NAME speaks of.

    Raises:
        ApplicationError: the words are of another form, or there is no such file.
    """
    file, colon, name = argument.rpartition(":")
    name = unicodedata.normalize("NFKC", name)  # as Python itself reads names
    if not colon or not file or not name:
        raise ApplicationError(f"must be FILE.py:NAME, a file and the name of the application in it, such as {EXAMPLE}")
    path = Path(file)
    if path.suffix != ".py":
        raise ApplicationError(f"{file}: not a file of Python: its name must end in .py")
    if not name.isidentifier():
        raise ApplicationError(
            f"{name!r} is no name at the top level of a file: give a plain one, such as {path.stem} = Application(...)"
        )
    try:
        code = path.read_bytes()
    except FileNotFoundError:
        raise ApplicationError(f"{file}: no such file") from None
    except (OSError, ValueError) as error:  # a folder, no permission, a null character
        raise ApplicationError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    return ApplicationFile(path=str(path.absolute()), name=name, code=code)


def code_digest(code: bytes) -> str:
    """Sixteen hex digits of Python code, of its syntax tree: comments and layout do not count.

    >>> code_digest(b"x = 1") == code_digest(b"x  =  1  # one")
    True
    """
    try:
        content = ast.unparse(ast.parse(code)).encode()
    except (SyntaxError, ValueError, RecursionError):  # loading it says what is wrong
        content = code
    return hashlib.sha256(content).hexdigest()[:16]


class _CodeLoader(SourceLoader):
    """Gives the import system the code at hand, whether or not the file is there."""

    def __init__(self, file: ApplicationFile) -> None:
        self._file = file

    def get_filename(self, fullname: str) -> str:
        return self._file.path

    def get_data(self, path: str | bytes) -> bytes:
        return self._file.code


def _check_module_name(name: str, path: str) -> None:
    """A file called torch.py would be taken for torch by whatever imports that later."""
    if name in _user_modules:
        return
    if name in sys.modules:
        origin = getattr(sys.modules[name], "__file__", "built in")
    else:
        spec = importlib.util.find_spec(name) if name.isidentifier() else None
        origin = None if spec is None else spec.origin
    if origin is not None and Path(origin).resolve() != Path(path).resolve():
        raise ApplicationError(
            f"{Path(path).name}: a module {name!r} is installed, which could be taken for it: rename the file"
        )


@contextmanager
def _isolated_import(folder: Path) -> Iterator[None]:
    """Lets code run as if it were a program of its own, and leaves this one's output and current folder alone."""
    entry, current = str(folder), Path.cwd()
    sys.path.insert(0, entry)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.chdir(current)
        with suppress(ValueError):
            sys.path.remove(entry)
        if folder.is_dir() and entry not in sys.path:
            sys.path.append(entry)
