"""A time limit for trials, enforced by the kernel's timer, since a training that hangs checks no clock.

In a worker's process the timer ends the process, wherever it hangs. The driver's own process must survive, so there the
timer raises an exception. Python raises it between two bytecode instructions: code that hangs inside a C library stops
only when the library returns.

This module must not know what a trial is.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType


class OutOfTime(BaseException):
    """The time limit has passed. Not an `Exception`, so that no training catches it."""


def format_out_of_time(seconds: float) -> str:
    """Explain why a trial failed that exceeded its time limit.

    >>> format_out_of_time(60.0)
    'took longer than resources.time_limit, 60 s: it hangs, or the limit is too low'
    """
    return f"took longer than resources.time_limit, {seconds:g} s: it hangs, or the limit is too low"


def end_process_after(seconds: float | None) -> None:
    """End this process after wall-clock seconds, > 0, whatever it is doing then; None for never.

    This replaces the time set before.
    """
    if current_thread() is main_thread():
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # an application may have set its own
    signal.setitimer(signal.ITIMER_REAL, seconds or 0.0)


@contextmanager
def raise_after(seconds: float | None) -> Iterator[None]:
    """Raise `OutOfTime` inside the block after wall-clock seconds, > 0; None for no limit.

    Works in the main thread only, which gets signals.
    """
    if seconds is None or current_thread() is not main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise OutOfTime

    former = signal.signal(signal.SIGALRM, end)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, former)
