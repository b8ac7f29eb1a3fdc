"""Where an embedded Ray cluster keeps its sockets, logs and packed code: a folder of this user alone.

Ray makes its own folders writable for everyone, since the users of a machine may share a cluster; whoever writes there
chooses code that the workers run. Inside a folder that only its owner enters that is harmless.

A program that is killed leaves its folder behind; the next one removes it. Each holds a lock on a file in its own, and
the lock ends with the program. This module must not know Ray.
"""

import fcntl
import os
import shutil
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

_LONGEST: Final = 30
"""Characters of the folder that the new one is made in: a socket's path may have 107 in all, and Ray's part has 64."""

_PREFIX: Final = "zt-"
_LOCK: Final = "lock"

_open = ExitStack()
"""The folders of this process, and the locks on them."""


def make_session_dir() -> str:
    """The path of a folder to be made, inside a new one that only this user may enter, where temporary files go."""
    place = tempfile.gettempdir()
    place = place if len(place) <= _LONGEST else "/tmp"
    _remove_left_behind(Path(place))
    name = _open.enter_context(tempfile.TemporaryDirectory(prefix=_PREFIX, dir=place, ignore_cleanup_errors=True))
    unlocked = Path(name) / "new"
    lock = _open.enter_context(unlocked.open("w"))
    fcntl.flock(lock, fcntl.LOCK_EX)
    unlocked.rename(Path(name) / _LOCK)  # only now may others look whether it is held
    return str(Path(name) / "r")  # Ray opens to everyone what it is given, and makes it where it is missing


def remove_session_dirs() -> None:
    """Removes the folders, once no cluster uses them."""
    _open.close()


def _remove_left_behind(place: Path) -> None:
    """Removes this user's folders whose programs have ended."""
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it is gone already, or its lock is held
            if folder.is_symlink() or folder.lstat().st_uid != os.getuid():
                continue
            with (folder / _LOCK).open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
