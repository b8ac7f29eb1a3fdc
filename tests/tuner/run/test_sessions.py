"""The programs and machines that ran a study are kept in its journal, and in the store for readers without it."""

from collections.abc import Mapping
from pathlib import Path

from tests.tuner.analysis.synthetic_results import make_result
from tests.tuner.run.reused_studies import study
from zerotune.tuner.analysis.provenance import BEGUN_AT, collect_provenance
from zerotune.tuner.run.journal import Journal, read_journal
from zerotune.tuner.run.run import open_session
from zerotune.tuner.store import Store, default_tracking_uri, read_results

FIRST = {"begun_at": "2026-01-01T10:00:00+00:00", "version.torch": "2.13.0", "git.commit": "a" * 40}
SAME = {**FIRST, "begun_at": "2026-01-02T10:00:00+00:00"}
OTHER = {**SAME, "git.commit": "b" * 40}


def go_on(folder: Path, session: Mapping[str, str]) -> None:
    """Start or resume the study as the given program."""
    journal = Journal(folder)
    open_session(study(), journal, session)
    journal.close()


def test_a_session_is_noted_where_another_program_goes_on(tmp_path: Path) -> None:
    for session in (FIRST, SAME, OTHER, OTHER):
        go_on(tmp_path, session)
    content = read_journal(tmp_path / "journal.jsonl")
    assert content.sessions == [FIRST, OTHER]
    assert content.unreadable_lines == 0


def test_provenance_names_versions_and_when_it_was_taken() -> None:
    facts = collect_provenance()
    assert {"version.torch", "version.scipy", "python", "platform", "cpu", BEGUN_AT} <= set(facts)
    assert facts[BEGUN_AT].endswith("+00:00")
    assert all(isinstance(value, str) for value in facts.values())


def open_store(uri: str) -> Store:
    return Store(uri, "small", "0123abcd", {"name": "small"}, {})


def test_a_store_gives_sessions_back_and_takes_more_or_fewer(tmp_path: Path) -> None:
    uri = default_tracking_uri(tmp_path)
    store = open_store(uri)
    store.write(make_result())
    assert read_results(uri, "small").sessions == ()
    many = [{**FIRST, "note": "x" * 900, "number": str(number)} for number in range(20)]
    for sessions in ([FIRST], many, [FIRST, OTHER]):
        open_store(uri).write_sessions(sessions)
        assert read_results(uri, "small").sessions == tuple(sessions)
    assert read_results(uri, "small").results[0].trial.id == make_result().trial.id
