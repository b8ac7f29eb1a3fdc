"""A store and a journal of zerotune 0.1.0, written before it was one package, open or name the version that wrote them.

written_by_0_1_0/ holds the output of `zerotune run old.yaml --driver serial` at commit a535f9f: the journal, and
MLflow's database as SQL.
"""

import gzip
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import zerotune.tuner.run.run
from tests.user_applications import Here
from zerotune import read_answer, run_study
from zerotune.tuner.errors import BadInput
from zerotune.tuner.run.journal import format_line, parse_line, read_journal
from zerotune.tuner.store import default_tracking_uri, read_results
from zerotune.tuner.trial import canonical_json

WRITTEN = Path(__file__).parent / "written_by_0_1_0"
SCORES = {(1500, "baseline"): 0.0975, (3000, "sqrt"): 0.096, (3000, "tuned"): 0.1365}
NUM_TRIALS = 7


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return the folder of the store, as if moved to another machine."""
    store = tmp_path / "mlruns"
    (store / "old").mkdir(parents=True)
    shutil.copy(WRITTEN / "journal.jsonl", store / "old")
    with closing(sqlite3.connect(store / "mlflow.db")) as database:
        database.executescript(gzip.decompress((WRITTEN / "mlflow.sql.gz").read_bytes()).decode())
    return store


def scores(store: Path) -> dict[tuple[int, str], float]:
    table = read_answer("old", store=store).table
    return {place: round(float(score), 10) for place, score in table["test_score"].items()}


def test_the_answer_of_an_old_store_is_read(old: Path) -> None:
    assert scores(old) == SCORES
    assert read_answer("old", store=old).comparison.row("sqrt", 3000).verdict is not None


def test_commands_read_an_old_store(old: Path, here: Here) -> None:
    compared = here.done("compare", "old", "--store", str(old))
    assert f"Spent on the study: {NUM_TRIALS} trainings (0 diverged, 0 failed)" in compared
    assert "9.60%" in here.done("report", "old", "--store", str(old), "--format", "markdown")


def test_an_old_journal_goes_on_and_trains_nothing_again(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zerotune.tuner.run.run, "write_report", lambda *_: [])
    before = read_journal(old / "old" / "journal.jsonl")
    (old / "mlflow.db").unlink()
    answer = run_study(WRITTEN / "old.yaml", store=old, driver="serial")
    after = read_journal(old / "old" / "journal.jsonl")
    assert len(after.results) == NUM_TRIALS
    assert after.results == before.results
    assert (after.started, after.unreadable_lines) == (before.started, 0)
    assert after.sessions[0]["version.zerotune"] == "0.1.0"
    assert answer.is_stored
    assert scores(old) == SCORES  # in the rewritten store


def test_the_runs_of_an_old_store_belong_to_its_journal_once_that_goes_on(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zerotune.tuner.run.run, "write_report", lambda *_: [])
    uri = default_tracking_uri(old)
    before = read_results(uri, "old").results
    answer = run_study(WRITTEN / "old.yaml", store=old, driver="serial")
    assert answer == read_answer("old", store=old)
    assert answer.missing == ()
    after = read_results(uri, "old", journal=read_journal(old / "old" / "journal.jsonl").identity)
    assert (after.results, after.num_expected, after.has_ended) == (before, NUM_TRIALS, True)
    with closing(sqlite3.connect(old / "mlflow.db")) as database:
        tagged = "SELECT count(*) FROM tags WHERE key = 'zerotune.journal'"
        runs = "SELECT count(*) FROM runs WHERE lifecycle_stage = 'active'"
        assert database.execute(tagged).fetchone() == database.execute(runs).fetchone()


def test_a_journal_of_another_format_says_which_version_wrote_it(old: Path) -> None:
    journal = old / "old" / "journal.jsonl"
    first, rest = journal.read_bytes().split(b"\n", maxsplit=1)
    record = parse_line(first)
    del record["sum"]
    record |= {"format": 2, "provenance": {**record["provenance"], "version.zerotune": "9.1"}}
    journal.write_bytes(format_line(canonical_json(record)).encode() + b"\n" + rest)
    assert json.loads(journal.read_text().splitlines()[0])["format"] == 2
    with pytest.raises(BadInput, match=r"written by zerotune 9\.1 in format 2"):
        read_journal(journal)
