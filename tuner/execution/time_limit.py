"""A limit to the time that a trial may take, kept by the kernel's timer: a training that hangs does not look at clocks.

In a worker's process the timer ends the process, which works wherever it hangs. In the driver's own process that may
not be, and the timer raises an exception instead: Python does so between two instructions of its own, so that code that
hangs inside a C library is stopped only when it comes back.

This module must not know what a trial is.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType


class OutOfTime(BaseException):
    """The limit is over. No `Exception`, so that no training takes it for one of its own."""


def format_out_of_time(seconds: float) -> str:
    """Why a trial failed that took longer.

    >>> format_out_of_time(60.0)
    'took longer than resources.time_limit, 60 s: it hangs, or the limit is too low'
    """
    return f"took longer than resources.time_limit, {seconds:g} s: it hangs, or the limit is too low"


def end_process_after(seconds: float | None) -> None:
    """Ends this process, with whatever it is doing, when the time is over; None ends it never.

    Args:
        seconds: of the clock from now on, > 0; takes the place of what was set before.
    """
    if current_thread() is main_thread():
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # an application may have set its own
    signal.setitimer(signal.ITIMER_REAL, seconds or 0.0)


@contextmanager
def raise_after(seconds: float | None) -> Iterator[None]:
    """Raises `OutOfTime` inside when the time is over; only in a program's main thread, which alone hears signals.

    Args:
        seconds: of the clock, > 0; None for no limit.
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
