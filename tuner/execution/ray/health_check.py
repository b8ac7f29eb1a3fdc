"""Watching the head of a Ray cluster.

Where the head is lost, Ray's calls do not come back, not even for Ctrl-C, and after a minute Ray ends the program
without a word that a user could act on. There is no way out of such a call: so this ends the program too, earlier, with
a sentence and the exit code of a lost cluster. What was measured is in the journal by then.

This module must not know ray.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import NoReturn

from rich.console import Console

from ...errors import Unreachable

PROBE_SECONDS = 2.0
LOCAL_PATIENCE = 10.0
"""How long the head of a local cluster may not answer: nobody starts it again."""
ATTACHED_PATIENCE = 45.0
"""How long that of an existing one may not: it may be restarted, which Ray waits a minute for."""


def format_lost_cluster(address: str) -> str:
    """What is said of a cluster whose head, at HOST:PORT, is lost."""
    return (
        f"the Ray cluster was lost while the study ran: its head at {address} does not answer any more. What was "
        "measured is kept; run the study again to go on"
    )


def end_program(sentence: str) -> NoReturn:
    """Ends this program as an `Unreachable` does."""
    errors = Console(stderr=True, highlight=False, markup=False, emoji=False)
    errors.show_cursor(True)  # a live table had hidden it
    errors.print("error: ", style="bold red", end="")
    errors.print(sentence, soft_wrap=True)
    os._exit(Unreachable.exit_code)


@contextmanager
def watch_head(address: str, *, patience: float, end: Callable[[str], object] = end_program) -> Iterator[None]:
    """Inside, the head is asked every two seconds whether it is there.

    Args:
        address: HOST:PORT of the head.
        patience: seconds that it may not answer for, >= 0.
        end: called from another thread, once, with what happened.
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
