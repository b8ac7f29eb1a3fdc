"""A slow store gets the rest after the answer: the progress moves, and Ctrl-C leaves the rest to a sync."""

import io
import threading
from typing import Any

import pytest
from rich.console import Console

from tests.tuner.run.test_tracking import RUN, SYNC, journaled, stored
from tests.user_applications import NUM_TRIALS, Here
from zerotune.tuner.run import store_writing
from zerotune.tuner.store import Store, background, default_tracking_uri
from zerotune.tuner.trial import TrialResult


class SlowStore:
    """A store that writes the third result only when allowed to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on = threading.Event()
        self._num_writes = 0
        self._write = Store.write
        monkeypatch.setattr(Store, "write", lambda store, result: self.write(store, result))
        monkeypatch.setattr(background, "WATCH_SECONDS", 0.02)
        monkeypatch.setattr(store_writing, "LOG_SECONDS", (0.0, 0.0))

    def write(self, store: Store, result: TrialResult) -> bool:
        self._num_writes += 1
        if self._num_writes == 3:
            assert self.go_on.wait(60)
        return self._write(store, result)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowStore:
    return SlowStore(monkeypatch)


def at_progress(monkeypatch: pytest.MonkeyPatch, action: Any) -> None:
    """Run an action when the progress is shown first."""
    show = store_writing.WritingDisplay.show

    def acting(display: store_writing.WritingDisplay, num_written: int, num_results: int) -> None:
        show(display, num_written, num_results)
        if num_written == 2:
            action()

    monkeypatch.setattr(store_writing.WritingDisplay, "show", acting)


def test_the_answer_comes_before_the_rest_of_the_writing(
    here: Here, slow: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_progress(monkeypatch, slow.go_on.set)
    out = here.done(*RUN)
    progress = f"writing 2 of {NUM_TRIALS} trials to MLflow (Ctrl-C leaves the rest to zerotune sync)\n"
    assert out.index("Spent on the study") < out.index("Figures and tables:") < out.index("writing ")
    assert out.index(progress) < out.index("writing figures and summaries") < out.index("In MLflow:")
    assert stored(default_tracking_uri(here.folder / "mlruns")) == journaled(here)


def test_ctrl_c_after_the_answer_leaves_the_rest_to_the_sync_that_is_told(
    here: Here, slow: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> None:
        threading.Timer(0.1, slow.go_on.set).start()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        at_progress(patch, interrupt)
        out = " ".join(here.done(*RUN).split())
    assert "Spent on the study" in out
    told = (
        f"Stopped writing to MLflow, which has 2 of {NUM_TRIALS} trials. The journal has all of them. To bring them in"
    )
    assert f"{told} later: zerotune sync plane.yaml --app plane.py:sides" in out
    for thread in threading.enumerate():
        if thread.name == "mlflow-writer":
            thread.join(60)
    here.done(*SYNC)
    assert stored(default_tracking_uri(here.folder / "mlruns")) == journaled(here)


def test_a_terminal_shows_the_progress_in_place_and_a_log_gets_few_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store_writing, "LOG_SECONDS", (0.0, 30.0))
    written = {terminal: io.StringIO() for terminal in (False, True)}
    for terminal, file in written.items():
        console = Console(file=file, force_terminal=terminal, width=100, color_system=None)
        display = store_writing.WritingDisplay(console)
        for number in range(50):
            display.show(number, 50)
        display.stop()
    assert written[False].getvalue().count("\n") == 1
    assert "\x1b[1A\x1b[2K" in written[True].getvalue() or "\r\x1b[2K" in written[True].getvalue()
