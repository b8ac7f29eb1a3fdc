"""Tell a user who stops the program from code that raises what Python raises then.

A model or a data set may raise KeyboardInterrupt or SystemExit by itself, which is its failure, or catch the one that
Ctrl-C raises, which must stop the program all the same. This module must not know what is trained.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def note_interrupts() -> Iterator[list[int]]:
    """Note the signals that ask this program to end while the block runs, and pass each to its handler.

    A signal that is ignored, or ends the process at once, is left alone. Only the main thread gets signals.

    >>> with note_interrupts() as arrived:
    ...     try:
    ...         signal.raise_signal(signal.SIGINT)
    ...     except BaseException:  # code that catches everything
    ...         pass
    >>> arrived == [signal.SIGINT]
    True
    """
    arrived: list[int] = []
    if current_thread() is not main_thread():
        yield arrived
        return
    handlers = ((int(number), signal.getsignal(number)) for number in ENDING_SIGNALS)
    former = {number: handler for number, handler in handlers if callable(handler)}

    def note(number: int, frame: FrameType | None) -> None:
        arrived.append(number)
        former[number](number, frame)

    for number in former:
        signal.signal(number, note)
    try:
        yield arrived
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def raise_if_interrupted(arrived: list[int], caught: BaseException | None = None) -> None:
    """End the program's work if a signal asked for that; `caught` is the exception that ended the block, if any.

    Raises:
        KeyboardInterrupt: or `caught`, if the signal's handler raises something else.
    """
    if not arrived:
        return
    if caught is None or isinstance(caught, Exception):
        raise KeyboardInterrupt from caught
    raise caught


_awaited: list[str] = []


@contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """Name what the program waits for in this block, for a user who wants it to end.

    >>> with waiting_for("the workers to stop"):
    ...     print(awaited())
    the workers to stop
    """
    _awaited.append(what)
    try:
        yield
    finally:
        _awaited.remove(what)


def awaited() -> str | None:
    """Return what the program waits for; None if it waits for nothing that has a name."""
    return _awaited[-1] if _awaited else None
