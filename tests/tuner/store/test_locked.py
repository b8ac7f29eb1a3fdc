"""A SQLite store that another process has locked is waited for."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.tuner.analysis.synthetic_results import make_result
from tests.tuner.store.small_stores import open_store
from zerotune.tuner.store import Writer, background, locked, read_results
from zerotune.tuner.store.connection import sqlite_file
from zerotune.tuner.store.locked import StoreLocked, wait_while_locked

LOCKS = ("IMMEDIATE", "EXCLUSIVE")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLite give up soon, in place of after five seconds."""
    connect = sqlite3.dbapi2.connect
    monkeypatch.setattr(sqlite3.dbapi2, "connect", lambda *names, **how: connect(*names, **{**how, "timeout": 0.05}))
    monkeypatch.setattr(locked, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(locked, "RETRY_SECONDS", 0.01)


@contextmanager
def lock(uri: str, kind: str) -> Iterator[Path]:
    file = sqlite_file(uri)
    assert file is not None
    with closing(sqlite3.connect(file)) as other:
        other.execute(f"BEGIN {kind}")
        yield file


@pytest.mark.parametrize("kind", LOCKS)
def test_a_locked_store_is_told_with_its_file(uri: str, kind: str) -> None:
    with lock(uri, kind) as file, pytest.raises(StoreLocked) as refused:
        open_store(uri)
    assert str(refused.value).startswith(f"the MLflow store {file} is locked: another process is writing to it.")


def test_a_locked_store_is_waited_for_and_told_once(uri: str) -> None:
    told: list[str] = []
    attempts = 0

    def act() -> int:
        nonlocal attempts
        attempts += 1
        if attempts < 4:
            raise StoreLocked(Path("mlflow.db"))
        return attempts

    assert wait_while_locked(act, told.append) == 4
    assert told == ["Waiting for mlflow.db, for at most 3 minutes: another process has locked it."]


def test_a_store_that_stays_locked_ends_the_waiting(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setattr(locked, "PATIENCE_SECONDS", 0.05)
    with lock(uri, "EXCLUSIVE"), pytest.raises(StoreLocked, match=r"mlflow\.db is locked: another process"):
        read_results(uri, "small")


@pytest.mark.parametrize("kind", LOCKS)
def test_results_of_a_store_that_is_locked_at_the_start_are_written_at_the_end(
    uri: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study goes on meanwhile; the writer does not look again before the end."""
    monkeypatch.setattr(background, "RETRY_SECONDS", 1000.0)
    told: list[tuple[str, bool]] = []
    writer = Writer(lambda: open_store(uri), (), lambda *words: told.append(words))
    with lock(uri, kind) as file:
        writer.start()
        writer.wait_until_open()
        for seed in range(3):
            writer.submit(make_result(seed=seed))
        ended = threading.Thread(target=writer.close)
        ended.start()
        ended.join(0.3)
        assert ended.is_alive()
    ended.join(60)
    assert writer.finish(lambda store: store.finish())
    assert [is_behind for _, is_behind in told] == [True, True, False]
    assert f"{file} is locked" in told[0][0]
    assert told[1][0].startswith(f"Waiting for {file}, ")
    assert len(read_results(uri, "small").results) == 3
