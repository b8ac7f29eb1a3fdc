"""Errors of user applications, as one-line messages that point into the author's code."""

import site
import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from ..child_process import PACKAGE
from ..data import DataError
from ..interrupts import note_interrupts, raise_if_interrupted

_LIBRARY_FOLDERS = tuple(
    f"{folder}/"
    for folder in (
        PACKAGE,
        *(sysconfig.get_path(kind) for kind in ("purelib", "platlib", "stdlib", "platstdlib")),
        *site.getsitepackages(),
        site.getusersitepackages(),
    )
)

MOST_CHARACTERS = 300
"""Longer texts of exceptions are cut off."""


class ApplicationError(ValueError):
    """An application cannot be used; the message says which part, what was found and what to do."""


def describe_error(error: BaseException, file: str | None = None) -> str:
    """Describe an exception raised by an application's code in one sentence.

    Args:
        error: the exception.
        file: report the last traceback line in this file; None for the last line outside zerotune and installed
            packages.

    >>> try:
    ...     {}["digits"]
    ... except KeyError as error:
    ...     print(describe_error(error, file="user.py"))
    KeyError: 'digits'
    """
    place = deepest_line(error, file)
    text = error_text(error)
    return f"{type(error).__name__}{f': {text}' if text else ''}{f' (at {place})' if place else ''}"


def error_text(error: BaseException) -> str:
    """Return an exception's message on one line, cut off after `MOST_CHARACTERS`; its `__str__` may fail."""
    try:
        text = str(error)
    except BaseException as second:  # an application may define any exception
        return f"its message cannot be read, since __str__ raises {type(second).__name__}"
    text = " ".join(text[: 4 * MOST_CHARACTERS].split())
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} ..."


def deepest_line(error: BaseException, file: str | None = None) -> str | None:
    """Return FILE:LINE of the last line of the user's own code in an exception's traceback; None if there is none.

    The user's own code is `file`, or if that is None, everything outside zerotune and installed packages.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == file if file else not frame.filename.startswith((*_LIBRARY_FOLDERS, "<")):
            return f"{Path(frame.filename).name}:{frame.lineno}"
    return None


@contextmanager
def attribute_to(field: str, what: str, about: str = "") -> Iterator[None]:
    """Turn any error of this block into an ApplicationError of a field; an ApplicationError or DataError stays."""
    try:
        with note_interrupts() as arrived:
            yield
    except (ApplicationError, DataError):
        raise
    except BaseException as error:  # an application may raise anything, sys.exit included
        raise_if_interrupted(arrived, error)
        raise ApplicationError(f"{field}: {what} raised {describe_error(error)}{about}") from error


def describe_value(value: Any) -> str:
    """Describe a value by its type and shape.

    >>> import torch
    >>> describe_value({"logits": torch.zeros(4, 2)}), describe_value((torch.zeros(4), None))
    ("dict of ('logits': float32 (4, 2))", 'tuple of (float32 (4,), a value of type NoneType)')
    """
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, tuple | list | Mapping) and len(value) <= 8:
        named = value.items() if isinstance(value, Mapping) else ((None, part) for part in value)
        parts = (f"{'' if name is None else f'{name!r}: '}{describe_value(part)}" for name, part in named)
        return f"{type(value).__name__} of ({', '.join(parts)})"
    return f"a value of type {type(value).__name__}"
