"""Ending a command early: whatever ends it, the user is told how to go on."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer
from rich.console import Console

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 and the number of SIGINT."""


@contextmanager
def exit_on_interrupt(command: str, console: Console) -> Iterator[None]:
    """Turns Ctrl-C and SIGTERM into an exit code and the command that goes on from there.

    Args:
        command: to copy.
        console: where it is printed.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        console.print("\nInterrupted. What was measured is kept; to go on:")
        console.print(f"  {command}", soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, former)
