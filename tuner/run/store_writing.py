"""Write the rest of a study to its MLflow store after the last trial, and show how far that is.

The answer needs no store, so it is shown before. This module must not know how results are stored.
"""

import time
from collections.abc import Callable, Collection, Iterator

from rich.console import Console
from rich.status import Status
from rich.text import Text

from ...trainers.interrupts import waiting_for
from ..store import Store, Writer
from ..trial import TrialResult

LOG_SECONDS = (5.0, 30.0)
"""Seconds until the first progress line, and between two, where no terminal shows the progress in place."""

Tell = Callable[[str, bool], None]
"""Called with a sentence about the store, and whether results are missing from it."""


class WritingDisplay:
    """Display of how many results are in the store: in place on a terminal, elsewhere a line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._next_line = time.monotonic() + LOG_SECONDS[0]
        self._is_shown = False

    def show(self, num_written: int, num_results: int) -> None:
        """Show the numbers of results written so far and in all."""
        self._show(f"writing {num_written} of {num_results} trials to MLflow")

    def watch(self, results: Collection[TrialResult]) -> Iterator[TrialResult]:
        """Yield results that are written one by one, and show how many are."""
        for num_written, result in enumerate(results):
            self.show(num_written, len(results))
            yield result

    def show_last_step(self) -> None:
        """Show that figures and summaries are being written; in a log only if the writing takes long so far."""
        if self._console.is_terminal or self._is_shown:
            self._next_line = 0.0
            self._show("writing figures and summaries to MLflow")

    def _show(self, what: str) -> None:
        line = Text(f"{what} (Ctrl-C leaves the rest to zerotune sync)", style="dim")
        if self._console.is_terminal:
            if self._status is None:
                self._status = self._console.status(line)
                self._status.start()
            self._status.update(line)
        elif time.monotonic() >= self._next_line:
            self._console.print(line, soft_wrap=True)
            self._next_line = time.monotonic() + LOG_SECONDS[1]
            self._is_shown = True

    def stop(self) -> None:
        """Remove the line from a terminal."""
        if self._status is not None:
            self._status.stop()


def write_rest(writer: Writer, console: Console, tell: Tell, action: Callable[[Store], object] | None = None) -> bool:
    """Wait until all results are in the store, then run a final action on it. Ctrl-C leaves the rest to a later sync.

    Args:
        writer: writes the results.
        console: where progress is shown, if it takes more than a moment.
        tell: told that Ctrl-C was pressed.
        action: what else to write, such as figures; None to write results alone.

    Returns:
        Whether everything is in the store.
    """
    display = WritingDisplay(console)
    try:
        with waiting_for("the results to be written to MLflow"):
            writer.close(display.show)
            if action is None:
                return True
            display.show_last_step()
            return writer.finish(action)
    except KeyboardInterrupt:
        writer.abandon()
        tell(
            f"Stopped writing to MLflow, which has {writer.num_written} of {writer.num_submitted} trials. The journal "
            "has all of them.",
            True,
        )
        return False
    finally:
        display.stop()
