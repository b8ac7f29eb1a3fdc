"""New stores from a template of MLflow's own tables: the same tables, no places, and never in the way."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from zerotune.tuner.store import default_tracking_uri, new_database
from zerotune.tuner.store.connection import connect


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of our own, empty."""
    path = tmp_path / "cache" / "mlflow.db"
    monkeypatch.setattr(new_database, "_template", lambda: path)
    return path


def tables(database: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(database)) as opened:
        found: list[tuple[str, str]] = opened.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        return found


def opened(folder: Path) -> Path:
    client = connect(default_tracking_uri(folder), create=True)
    assert [experiment.name for experiment in client.search_experiments()] == ["Default"]
    return folder / "mlflow.db"


def test_the_second_store_has_the_tables_of_the_first(template: Path, tmp_path: Path) -> None:
    made = opened(tmp_path / "first")
    assert template.is_file()
    with closing(sqlite3.connect(template)) as kept:
        assert kept.execute("SELECT count(*) FROM experiments").fetchone() == (0,)
    changed = template.stat().st_mtime_ns
    copied = opened(tmp_path / "second")
    assert tables(copied) == tables(made)
    assert template.stat().st_mtime_ns == changed


def test_a_damaged_template_is_thrown_away_and_made_anew(template: Path, tmp_path: Path) -> None:
    template.parent.mkdir()
    template.write_bytes(b"SQLite format 3\x00" + b"nonsense" * 1000)
    made = opened(tmp_path / "first")
    assert tables(made) == tables(template)


def test_a_template_of_something_else_is_not_used(template: Path, tmp_path: Path) -> None:
    template.parent.mkdir()
    with closing(sqlite3.connect(template)) as other:
        other.execute("CREATE TABLE letters (text)")
        other.commit()
    assert "letters" not in dict(tables(opened(tmp_path / "first")))


def test_a_cache_that_cannot_be_written_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(new_database, "_template", lambda: tmp_path / "file" / "mlflow.db")
    opened(tmp_path / "store")


def test_a_store_that_is_there_is_left_alone(template: Path, tmp_path: Path) -> None:
    made = opened(tmp_path / "first")
    before = tables(made)
    with closing(sqlite3.connect(made)) as database:
        database.execute("CREATE TABLE own (text)")
        database.commit()
    opened(tmp_path / "first")
    assert len(tables(made)) == len(before) + 1
