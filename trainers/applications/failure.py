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
    frames = traceback.extract_tb(error.__traceback__)
    user_frames = [
        frame
        for frame in frames
        if (frame.filename == file if file else not frame.filename.startswith((*_LIBRARY_FOLDERS, "<")))
    ]
    text = " ".join(str(error).split())
    text = text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} ..."
    where = f" (at {Path(user_frames[-1].filename).name}:{user_frames[-1].lineno})" if user_frames else ""
    return f"{type(error).__name__}{f': {text}' if text else ''}{where}"


@contextmanager
def attribute_to(field: str, what: str, about: str = "") -> Iterator[None]:
    """Turn any error of this block into an ApplicationError of a field; an ApplicationError or DataError stays."""
    try:
        yield
    except (ApplicationError, DataError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # an application may raise anything, sys.exit included
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
