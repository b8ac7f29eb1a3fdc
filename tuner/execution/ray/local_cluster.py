"""An embedded Ray cluster, seen from the program that it serves: start it early, connect to it, release it.

This module must not import Ray or anything else that is slow to import: it is used before all other imports.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from subprocess import DEVNULL, PIPE
from threading import Thread
from typing import Final

from ....trainers.child_process import ENVIRONMENT, command_of
from ...errors import Unreachable
from .auth import provide_token

FAILED: Final = "failed: "
"""Prefix of the line that a head prints when it has no cluster; the reason follows."""

_END_SECONDS: Final = 20.0
"""Time limit for a cluster to shut down; then its head is killed, which ends the rest."""


def describe_start_failure(error: Exception) -> str:
    """Say why a cluster could not be started, and what to do.

    >>> describe_start_failure(OSError(30, "Read-only file system", "/tmp/zt-1"))
    '/tmp/zt-1: Read-only file system. Name a folder that can be written by TMPDIR, or use --driver serial'
    >>> describe_start_failure(RuntimeError("The GCS did not answer.\\n..."))
    'The GCS did not answer. Run the command again when the machine is less busy, or with --driver serial'
    """
    if isinstance(error, OSError) and not isinstance(error, (ConnectionError, TimeoutError)):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}. Name a folder that can be written by TMPDIR, or use --driver serial"
    return _advise_to_wait(str(error).strip().split("\n")[0])


def _advise_to_wait(reason: str) -> str:
    return f"{reason} Run the command again when the machine is less busy, or with --driver serial"


def make_start_error(sentences: str) -> Unreachable:
    """Return the error for a cluster that could not be started, given what `describe_start_failure` says."""
    return Unreachable(f"a local Ray cluster could not be started: {sentences}")


def _command(num_cpus: int) -> list[str]:
    """Return the command that runs the head of a cluster."""
    return command_of(f"{__package__}.local_head", str(num_cpus))


class LocalHead:
    """Head process of an embedded cluster. It stops the cluster when this program releases it or ends.

    Args:
        num_cpus: cores for the cluster's trials, >= 1.
    """

    def __init__(self, num_cpus: int) -> None:
        self.num_cpus = num_cpus
        provide_token()
        self._process = subprocess.Popen(
            _command(num_cpus),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            text=True,
            env={**os.environ, **ENVIRONMENT},
            start_new_session=True,  # a terminal's Ctrl-C is for the program alone
        )

    def address(self) -> str:
        """Wait for the cluster and return its address.

        Raises:
            Unreachable: the cluster could not be started.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if line and not line.startswith(FAILED):
            return line
        raise make_start_error(line.removeprefix(FAILED) or _advise_to_wait("its head process ended."))

    def release(self) -> None:
        """Stop the cluster without waiting."""
        self._close()
        Thread(target=self._process.wait, name="ray-end", daemon=True).start()

    def stop(self) -> None:
        """Stop the cluster and wait until it is down."""
        self._close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _close(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # the head has ended
            self._process.stdin.close()


_ahead: list[LocalHead] = []
"""Heads that were started early and not taken yet."""


@contextmanager
def start_ahead(num_cpus: int) -> Iterator[None]:
    """Start a cluster while the caller prepares for it; release it at the end if nobody took it.

    A cluster already started with the same number of cores is used instead. Errors are raised by `LocalHead.address`.
    """
    head = take(num_cpus)
    _ahead.append(head)
    try:
        yield
    finally:
        if head in _ahead:
            _ahead.remove(head)
            head.release()


def take(num_cpus: int) -> LocalHead:
    """Return the head of a cluster with this many cores, started early or new. The caller stops it."""
    for head in _ahead:
        if head.num_cpus == num_cpus:
            _ahead.remove(head)
            return head
    return LocalHead(num_cpus)
