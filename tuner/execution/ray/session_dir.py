"""Private folder of an embedded Ray cluster for its sockets, logs and packed code.

Ray makes its own folders writable for everyone, since users of a machine may share a cluster. Anyone who can write
there chooses the code that the workers run. Inside a folder that only its owner can enter, this is harmless.

A killed program leaves its folder behind, and the next program removes it. Each program holds a lock on a file in its
folder, and the lock ends with the program. This module must not know Ray.
"""

import fcntl
import os
import shutil
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

_LONGEST: Final = 30
"""Longest parent folder, in characters: a socket's path may have 107, of which Ray's part takes 64."""

_PREFIX: Final = "zt-"
_LOCK: Final = "lock"

_open = ExitStack()
"""The folders of this process and the locks on them."""


def make_session_dir() -> str:
    """Return a path for temporary files, not created yet, inside a new folder that only this user may enter."""
    place = tempfile.gettempdir()
    place = place if len(place) <= _LONGEST else "/tmp"
    _remove_left_behind(Path(place))
    name = _open.enter_context(tempfile.TemporaryDirectory(prefix=_PREFIX, dir=place, ignore_cleanup_errors=True))
    unlocked = Path(name) / "new"
    lock = _open.enter_context(unlocked.open("w"))
    fcntl.flock(lock, fcntl.LOCK_EX)
    unlocked.rename(Path(name) / _LOCK)  # from now on others may test the lock
    return str(Path(name) / "r")  # Ray makes its folder if missing, open to everyone


def remove_session_dirs() -> None:
    """Remove the folders, once no cluster uses them."""
    _open.close()


def _remove_left_behind(place: Path) -> None:
    """Remove this user's folders whose programs have ended."""
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # already gone, or its lock is held
            if folder.is_symlink() or folder.lstat().st_uid != os.getuid():
                continue
            with (folder / _LOCK).open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
