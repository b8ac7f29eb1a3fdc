"""Read a pickle of plain containers: dicts, lists, texts and numbers. Nothing in it is executed."""

import gc
import pickle
from pathlib import Path
from typing import Any, NoReturn

from ..data import DataError


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse every class and function that the file names: loading one can run any code."""
        raise pickle.UnpicklingError(f"it names {module}.{name}, and only plain containers are read")


def read_plain_pickle(path: Path) -> Any:
    """Return what a pickle holds.

    Raises:
        DataError: the file is missing, damaged, or names a class or a function.
    """
    was_enabled = gc.isenabled()
    gc.disable()  # no cycles here, and looking for them while 100,000 lists are built takes four times as long
    try:
        with path.open("rb") as file:
            return _Plain(file).load()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (pickle.UnpicklingError, EOFError, OSError, ValueError, IndexError, KeyError, AttributeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    finally:
        if was_enabled:
            gc.enable()
