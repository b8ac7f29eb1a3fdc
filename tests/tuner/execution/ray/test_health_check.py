"""A Ray head lost during a study ends it with an error message and an exit code, and the study can be resumed."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from threading import Event

import psutil
import pytest

from tests.user_applications import Here, hang_until_mended
from zerotune.tuner.errors import Unreachable
from zerotune.tuner.execution.ray import health_check as head_watch
from zerotune.tuner.execution.ray.health_check import watch_head
from zerotune.tuner.run.journal import JournalContent, read_journal


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_watch, "PROBE_SECONDS", 0.05)


@pytest.mark.usefixtures("quick")
def test_a_head_that_goes_away_is_reported_once() -> None:
    messages: list[str] = []
    is_over = Event()

    def end(sentence: str) -> None:
        messages.append(sentence)
        is_over.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with watch_head(address, patience=0.1, end=end):
            assert not is_over.wait(0.5)
            server.close()
            assert is_over.wait(60.0)
    assert [
        f"the Ray cluster was lost while the study ran: its head at {address} no longer answers. All results "
        "so far are kept; run the study again to resume it"
    ] == messages


@pytest.mark.usefixtures("quick")
def test_nothing_is_watched_afterwards() -> None:
    """Nothing answers there: a health check that continued would report it after a second."""
    messages: list[str] = []
    before = set(threading.enumerate())
    with watch_head("127.0.0.1:9", patience=1.0, end=messages.append):
        (watch,) = set(threading.enumerate()) - before
    watch.join(60.0)
    assert not watch.is_alive()
    assert [] == messages


def journal_of(folder: Path) -> JournalContent:
    return read_journal(folder / "mlruns" / "plane" / "journal.jsonl")


@pytest.mark.ray
def test_a_study_whose_ray_head_is_killed_ends_with_a_sentence_and_goes_on_when_run_again(
    here: Here, tmp_path: Path
) -> None:
    """Trainings at the baseline's batch size hang, so that the study is certainly running when its head is killed."""
    hang_until_mended(tmp_path, tmp_path / "mended", "{max_concurrent: 1}")
    words = ("run", "plane.yaml", "--app", "plane.py:sides")
    command = [sys.executable, "-c", "from zerotune.tuner.cli import main; main()", *words]
    environment = {**os.environ, "BROWSER_PATH": "/nonexistent"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as study:
        try:
            while not (tmp_path / "mlruns/plane/journal.jsonl").exists() or not journal_of(tmp_path).started:
                assert study.poll() is None
                time.sleep(0.5)
            (head,) = [p for p in psutil.Process(study.pid).children(recursive=True) if p.name() == "gcs_server"]
            head.send_signal(signal.SIGKILL)
            _, err = study.communicate(timeout=120)
        finally:
            study.kill()
    assert study.returncode == Unreachable.exit_code
    assert err.startswith("error: the Ray cluster was lost while the study ran: its head at ")
    assert err.count("\n") == 1

    (tmp_path / "mended").touch()
    here.done(*words, "--driver", "serial")
    assert [8] == [len(journal_of(tmp_path).results)]
