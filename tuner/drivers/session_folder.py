"""Where an embedded Ray cluster keeps its sockets, logs and packed code: a folder of this user alone.

Ray makes its own folders writable for everyone, since the users of a machine may share a cluster; whoever writes there
chooses code that the workers run. Inside a folder that only its owner enters that is harmless. This module must not
know Ray.
"""

import tempfile
from pathlib import Path
from typing import Final

_LONGEST: Final = 30
"""Characters of the folder that the new one is made in: a socket's path may have 107 in all, and Ray's part has 64."""

_open: list[tempfile.TemporaryDirectory[str]] = []


def new_session_folder() -> str:
    """The path of a folder to be made, inside a new one that only this user may enter, where temporary files go."""
    place = tempfile.gettempdir()
    folder = tempfile.TemporaryDirectory(
        prefix="zt-", dir=place if len(place) <= _LONGEST else "/tmp", ignore_cleanup_errors=True
    )
    _open.append(folder)
    return str(Path(folder.name) / "r")  # Ray opens to everyone what it is given, and makes it where it is missing


def remove_session_folders() -> None:
    """Removes the folders, once no cluster uses them."""
    while _open:
        _open.pop().cleanup()
