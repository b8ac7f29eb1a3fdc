"""Stopping a command early: print the command that resumes it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer
from rich.console import Console

INTERRUPTED = 130
"""Exit code after Ctrl-C, as in shells: 128 plus the number of SIGINT."""


@contextmanager
def exit_on_interrupt(command: str, console: Console) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into an exit code, after printing the command that resumes what was interrupted."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        console.print("\nInterrupted. All results so far are kept. To resume:")
        console.print(f"  {command}", soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, former)
