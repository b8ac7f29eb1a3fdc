"""Watch the head of a Ray cluster.

When the head is lost, Ray's calls do not return, not even on Ctrl-C. After a minute Ray ends the program without a
message that a user could act on. Such a call cannot be interrupted, so this module ends the program earlier, with an
error message and the exit code of a lost cluster. By then the journal holds every measurement.

This module must not know Ray.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import NoReturn

from rich.console import Console

from ...errors import Unreachable
from ...sanitize import print_error

PROBE_SECONDS = 2.0
LOCAL_PATIENCE = 10.0
"""Seconds without an answer from the head of a local cluster, which nobody restarts."""
ATTACHED_PATIENCE = 45.0
"""Seconds without an answer from the head of an existing cluster; it may be restarted, and Ray waits 60 s for that."""


def format_lost_cluster(address: str) -> str:
    """Format the error message about a lost head at HOST:PORT."""
    return (
        f"the Ray cluster was lost while the study ran: its head at {address} no longer answers. All results "
        "so far are kept; run the study again to resume it"
    )


def end_program(sentence: str) -> NoReturn:
    """End this program as an uncaught `Unreachable` does."""
    Console(stderr=True).show_cursor(True)  # a live table has hidden it
    print_error(sentence)
    os._exit(Unreachable.exit_code)


@contextmanager
def watch_head(address: str, *, patience: float, end: Callable[[str], object] = end_program) -> Iterator[None]:
    """Probe the head every two seconds inside the block.

    Args:
        address: HOST:PORT of the head.
        patience: seconds without an answer to tolerate, >= 0.
        end: called once with the error message, from another thread, when the head is lost.
    """
    host, _, port = address.rpartition(":")
    over = Event()

    def watch() -> None:
        silent = 0.0
        while not over.wait(PROBE_SECONDS):
            silent = 0.0 if _answers(host.strip("[]"), int(port)) else silent + PROBE_SECONDS
            if silent > patience:
                end(format_lost_cluster(address))
                return

    Thread(target=watch, name="head-watch", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=PROBE_SECONDS).close()
    except OSError:
        return False
    return True
