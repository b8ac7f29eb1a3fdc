"""The tables of a new SQLite store are created once, even if several processes open it at the same time."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from zerotune.tuner.errors import BadInput, Unreachable
from zerotune.tuner.store import connection, default_tracking_uri
from zerotune.tuner.store.connection import connect

OPEN = """
import sys
from zerotune.tuner.store.connection import connect
print([experiment.name for experiment in connect(sys.argv[1], create=True).search_experiments()])
"""


def tables(database: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(database)) as opened:
        found: list[tuple[str, str]] = opened.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        return found


def test_two_processes_that_open_a_new_store_at_once_both_get_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN, default_tracking_uri(tmp_path / "new")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=300)[0] for process in both] == ["['Default']\n"] * 2
    assert [process.returncode for process in both] == [0, 0]


def test_a_store_whose_creation_was_killed_is_created_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(tracking_uri: str) -> None:
        file = connection.sqlite_file(tracking_uri)
        assert file is not None
        with closing(sqlite3.connect(file)) as opened:
            opened.execute("CREATE TABLE experiments (half)")
            opened.commit()
        raise KeyboardInterrupt

    uri = default_tracking_uri(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(connection, "create_tables", killed)
        with pytest.raises(KeyboardInterrupt):
            connect(uri, create=True)
    with pytest.raises(BadInput, match="no MLflow store at"):  # a reader does not see half of it
        connect(uri, create=False)
    assert [experiment.name for experiment in connect(uri, create=True).search_experiments()] == ["Default"]


def test_a_store_that_is_there_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri, database = default_tracking_uri(tmp_path), tmp_path / "mlflow.db"
    connect(uri, create=True)
    before = tables(database)
    with closing(sqlite3.connect(database)) as opened:
        opened.execute("CREATE TABLE own (text)")
        opened.commit()
    monkeypatch.setattr(connection, "create_tables", lambda _: pytest.fail("made again"))
    connect(uri, create=True)
    assert len(tables(database)) == len(before) + 1


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(Unreachable, match="did not answer"):
        connect(default_tracking_uri(tmp_path / "file" / "store"), create=True)
