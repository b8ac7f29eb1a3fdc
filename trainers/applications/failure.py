"""Errors of user applications, as one-line messages that point into the author's code."""

import sysconfig
import traceback
from pathlib import Path

from ..child_process import PACKAGE

_LIBRARY_FOLDERS = tuple(
    str(folder)
    for folder in (
        PACKAGE,
        *(sysconfig.get_path(kind) for kind in ("purelib", "platlib", "stdlib", "platstdlib")),
    )
)


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
    text = " ".join(str(error).split())[:500]
    where = f" (at {Path(user_frames[-1].filename).name}:{user_frames[-1].lineno})" if user_frames else ""
    return f"{type(error).__name__}{f': {text}' if text else ''}{where}"
