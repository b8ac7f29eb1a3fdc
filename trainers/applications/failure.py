"""What goes wrong in an application that is not ours, as sentences that point into its author's own code."""

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
    """An application that cannot be used; the text says which part of it, what was found and what to do."""


def describe_error(error: BaseException, file: str | None = None) -> str:
    """An exception of an application's code as one sentence.

    Args:
        error: what was raised.
        file: the file whose last line on the way is named; None for the last line that is neither this package's nor
            an installed package's.

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
