"""An embedded Ray cluster, seen from the program that it serves: started ahead, connected to, let go.

This module must not import Ray, nor anything else that takes long: it is used before everything else is imported.
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

FAILED: Final = "failed: "
"""Begins the line of a head that has no cluster; the reason follows."""

_END_SECONDS: Final = 20.0
"""How long a cluster may take to go down, before its head is killed and the rest of it goes with the head."""


def make_start_error(reason: str) -> Unreachable:
    """What the user is told of a cluster that could not be started; `reason` is a sentence of Ray's."""
    return Unreachable(
        f"a local Ray cluster could not be started: {reason} Run it again when the machine is less busy, or with "
        "--driver serial"
    )


def _command(num_cpus: int) -> list[str]:
    """The program at the head of a cluster."""
    return command_of(f"{__package__}.local_head", str(num_cpus))


class LocalHead:
    """The process at the head of an embedded cluster. It takes the cluster down when this program lets go or ends.

    Args:
        num_cpus: cores that its trials may have, 1 or more.
    """

    def __init__(self, num_cpus: int) -> None:
        self.num_cpus = num_cpus
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
        """Waits for the cluster; where to connect.

        Raises:
            Unreachable: it could not be started.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if line and not line.startswith(FAILED):
            return line
        raise make_start_error(line.removeprefix(FAILED) or "the process at its head was ended.")

    def release(self) -> None:
        """Has the cluster taken down, and waits for nothing."""
        self._close()
        Thread(target=self._process.wait, name="ray-end", daemon=True).start()

    def stop(self) -> None:
        """Has the cluster taken down, and waits for it."""
        self._close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _close(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it has ended
            self._process.stdin.close()


_ahead: list[LocalHead] = []
"""Heads that were started and that nobody has taken yet."""


@contextmanager
def start_ahead(num_cpus: int) -> Iterator[None]:
    """Starts a cluster while the caller gets ready for it, and lets it go where nobody has taken it in the end.

    One that was started ahead already, for as many cores, is kept in its place. What goes wrong is told by its
    `LocalHead.address`.

    Args:
        num_cpus: cores that its trials may have, 1 or more.
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
    """The head of a cluster with so many cores: one that was started ahead, or a new one. The caller stops it."""
    for head in _ahead:
        if head.num_cpus == num_cpus:
            _ahead.remove(head)
            return head
    return LocalHead(num_cpus)
