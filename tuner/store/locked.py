"""Wait for a SQLite store that another process has locked.

This module must not know what is stored.
"""

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from ..errors import Unreachable

PATIENCE_SECONDS = 180.0
"""Time after which waiting for a locked store ends with an error."""
RETRY_SECONDS = 1.0
BUSY_SECONDS = 5.0
"""Time after which another process's write counts as a lock; a study's own writes take milliseconds."""

_LOCKED = "database is locked"
"""SQLite's message, which is never translated; mlflow and sqlalchemy pass it on."""
_logger = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class StoreLocked(Unreachable):
    """Another process has locked a SQLite store.

    Attributes:
        file: the database.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(
            f"the MLflow store {file} is locked: another process is writing to it. Wait for that process or end it, "
            "then run this command again"
        )
        self.file = file


def is_locked(error: Exception) -> bool:
    """Return whether SQLite refused a request because of another process's lock."""
    return _LOCKED in str(error)


def check_lock(file: Path) -> None:
    """Check that a database can be written. MLflow would wait 20 seconds for each of its requests.

    Raises:
        StoreLocked: another process writes to it for longer than `BUSY_SECONDS`.
    """
    try:
        with closing(sqlite3.connect(file, timeout=BUSY_SECONDS)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.rollback()
    except sqlite3.OperationalError as error:
        if is_locked(error):
            raise StoreLocked(file) from error


def wait_while_locked(action: Callable[[], Result], tell: Callable[[str], object] = _logger.warning) -> Result:
    """Return an action's result; repeat it while another process has locked the store.

    Args:
        action: what to do; it can be repeated.
        tell: called once with a sentence when the waiting begins. By default a log message, which Python prints to
            standard error.

    Raises:
        StoreLocked: the store stayed locked for `PATIENCE_SECONDS`.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    is_told = False
    while True:
        try:
            return action()
        except StoreLocked as error:
            if time.monotonic() >= deadline:
                raise
            if not is_told:
                tell(
                    f"Waiting for {error.file}, for at most {PATIENCE_SECONDS / 60:g} minutes: another process has "
                    "locked it."
                )
                is_told = True
        time.sleep(RETRY_SECONDS)


def waits_while_locked(action: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Make a function that reads a store wait while another process has locked it, as `wait_while_locked` does."""

    @wraps(action)
    def patient(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        return wait_while_locked(lambda: action(*arguments, **options))

    return patient
