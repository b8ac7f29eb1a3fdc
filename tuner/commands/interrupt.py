"""Stopping a command early: print the command that resumes it, wait for what must end, and end at once if told to."""

import gc
import os
import signal
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Timer, current_thread, main_thread
from types import FrameType

import typer
from rich.console import Console

from ...trainers.interrupts import ENDING_SIGNALS, awaited

INTERRUPTED = 130
"""Exit code after Ctrl-C, as in shells: 128 plus the number of SIGINT."""

POSTPONED_SECONDS = 0.05
"""How much later a signal is handled that arrives where it cannot end the work."""

SHOW_CURSOR = "\x1b[?25h"
"""Shows a terminal's cursor, which a live table hides."""


@contextmanager
def exit_on_interrupt(command: str, console: Console) -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM and SIGHUP into exit code 128 + n, after printing the command that resumes what was stopped.

    The first signal ends the work, the second says what the end waits for, the third ends the program at once. A signal
    that is ignored, as nohup has SIGHUP ignored, stays ignored.
    """
    arrived: list[int] = []
    postponed: list[int] = []
    collections: list[str] = []
    owner, terminals = os.getpid(), [stream for stream in (1, 2) if _is_terminal(stream)]

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a child process that was forked, such as a loader's
            raise KeyboardInterrupt
        if number in postponed:
            postponed.remove(number)
        else:
            arrived.append(number)
        if number == signal.SIGHUP:
            _detach(terminals)
        if len(arrived) >= 3:
            _end_at_once(command, number)
        if len(arrived) == 2 and (what := awaited()) is not None:
            _tell(f"Still ending: waiting for {what}. All results so far are kept. Ctrl-C again ends at once.")
        elif collections or _drops_exceptions(frame):
            postponed.append(number)
            Timer(POSTPONED_SECONDS, os.kill, (owner, number)).start()
        else:
            raise KeyboardInterrupt

    def note_collection(phase: str, _: dict[str, int]) -> None:
        if current_thread() is main_thread():  # which gets the signals; what a callback raises there is dropped
            collections[:] = ["running"] if phase == "start" else []

    former = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    former = {number: handler for number, handler in former.items() if handler != signal.SIG_IGN}
    for number in former:
        signal.signal(number, stop)
    gc.callbacks.append(note_collection)
    try:
        yield
    except KeyboardInterrupt:
        console.print("\nInterrupted. All results so far are kept. To resume:")
        console.print(f"  {command}", soft_wrap=True)
        raise typer.Exit(128 + arrived[0] if arrived else INTERRUPTED) from None
    finally:
        gc.callbacks.remove(note_collection)
        for number, handler in former.items():
            signal.signal(number, handler)


def end_at_signals() -> None:
    """Have the next signal end this process at once; for a program that has nothing left to do but end."""
    for number in ENDING_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: os._exit(128 + number))


def _drops_exceptions(frame: FrameType | None) -> bool:
    """Whether Python prints, and then drops, an exception raised here: in a finalizer or the callback of a weakref."""
    while frame is not None:
        if frame.f_code.co_name == "__del__" or frame.f_code.co_filename == weakref.__file__:
            return True
        frame = frame.f_back
    return False


def _is_terminal(stream: int) -> bool:
    with suppress(OSError):  # closed
        return os.isatty(stream)
    return False


def _detach(streams: list[int]) -> None:
    """Discard what is written to a terminal that has been closed, where every write would fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _end_at_once(command: str, number: int) -> None:
    """End this process. Its workers and its local Ray cluster end with it."""
    if _is_terminal(1):
        _tell(SHOW_CURSOR, end="")
    _tell(f"Ended at once. All results so far are kept. To resume: {command}")
    os._exit(128 + number)


def _tell(sentence: str, end: str = "\n") -> None:
    """Write to the standard error stream itself: the signal may have interrupted a write to Python's."""
    with suppress(OSError):
        os.write(2, f"{sentence}{end}".encode())
