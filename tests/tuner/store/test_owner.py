"""Two journals of one study keep apart in one store, and nothing that one measured is deleted by the other."""

import shutil
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.tuner.analysis.synthetic_results import make_result
from tests.tuner.store.small_stores import DEFINITION, FINGERPRINT, find_runs, open_store
from zerotune.tuner.errors import BadInput
from zerotune.tuner.run.journal import Journal
from zerotune.tuner.store import Store, Writer, read_results, ui_links
from zerotune.tuner.store.owner import describe_owner, journal_of
from zerotune.tuner.trial import TrialResult

CONFIRMATIONS = "tags.role = 'confirmation'"


@dataclass
class Holder:
    """A journal as a store sees it."""

    identity: str = "aaaa"
    folder: Path = Path("/data/mlruns/small")
    results: list[TrialResult] = field(default_factory=list)

    def holds(self, trial_id: str, finished_at: float) -> bool:
        return any((result.trial.id, result.finished_at) == (trial_id, finished_at) for result in self.results)

    def fork(self) -> None:
        self.identity += "'"


def measured(start: float, seeds: range = range(2)) -> list[TrialResult]:
    """Return results that a run at this time measured; other runs of the same trials took other seconds."""
    results = [make_result(seed=seed) for seed in seeds]
    return [replace(r, finished_at=start + r.trial.index, cost=replace(r.cost, device_seconds=start)) for r in results]


def opened(uri: str, owner: Holder) -> Store:
    return Store(uri, "small", FINGERPRINT, DEFINITION, {"date": "date"}, owner)


def run(uri: str, identity: str, results: list[TrialResult], folder: str = "/data/mlruns/small") -> Store:
    """Write results as a journal's driver does."""
    store = opened(uri, Holder(identity=identity, folder=Path(folder), results=results))
    store.write_sessions([{"begun_at": "2026-01-01T10:00:00+00:00"}])
    store.sync(results)
    store.finish()
    return store


def stored(uri: str, journal: str | None) -> tuple[TrialResult, ...]:
    return read_results(uri, "small", journal=journal, with_epochs=True).results


def test_two_journals_of_one_study_keep_their_runs_and_each_is_reported_of_the_other(uri: str) -> None:
    mine, theirs = measured(1e9), measured(2e9, range(3))
    assert run(uri, "aaaa", mine).notes == []
    (note,) = run(uri, "bbbb", theirs, "/home/bea/mlruns/small").notes
    assert "also holds 2 results of study 'small' from elsewhere (" in note
    assert ":/data/mlruns/small, since 2026-01-01T10:00:00+00:00): they stay as they are" in note
    assert stored(uri, "aaaa") == tuple(mine)
    assert stored(uri, "bbbb") == tuple(theirs)
    studies = {run.data.tags["zerotune.journal"]: run.info.run_id for run in find_runs(uri, "tags.role = 'study'")}
    for journal, run_id in studies.items():
        assert f"/{run_id}/" in dict(ui_links(uri, "small", 1, journal=journal))["figures and tables"]
    assert opened(uri, Holder(identity="aaaa", results=mine)).sync(mine) == 0
    assert {run.data.tags["zerotune.journal"] for run in find_runs(uri)} == {"aaaa", "bbbb"}
    assert len(find_runs(uri, "tags.role = 'study'")) == len(find_runs(uri, "tags.role = 'arm'")) == 2


def test_a_reader_without_a_journal_learns_whose_results_it_sees(uri: str) -> None:
    run(uri, "aaaa", measured(1e9))
    assert read_results(uri, "small").remarks == ()
    run(uri, "bbbb", measured(2e9), "/home/bea/mlruns/small")
    found = read_results(uri, "small")
    assert found.results[0].finished_at == 2e9
    (remark,) = found.remarks
    assert remark.startswith("The results of one of 2 runs of this study: ")
    assert remark.index("/home/bea/mlruns/small") < remark.index("Not shown: ") < remark.index("/data/mlruns/small")
    assert read_results(uri, "small", journal="aaaa").remarks == ()


def test_a_folder_whose_results_were_never_written_learns_that_it_sees_anothers(uri: str) -> None:
    run(uri, "aaaa", measured(1e9))
    (remark,) = read_results(uri, "small", journal="cccc").remarks
    assert remark.startswith("Not this folder's results, which the store lacks: those of ")


@pytest.mark.parametrize("sessions", ["", "[", "{}", "[]", "[1]", '[{"begun_at":'])
def test_an_owner_is_described_by_what_its_tags_hold(sessions: str) -> None:
    """Anybody who can write to a server can damage them."""
    tags = {"zerotune.host": "cat", "zerotune.folder": "/data/small", "mlflow.zerotune.sessions.0": sessions}
    assert describe_owner(tags) == "cat:/data/small"
    assert describe_owner({}) == "a folder that an earlier version did not keep"


def test_a_moved_folder_keeps_its_runs(uri: str) -> None:
    mine = measured(1e9)
    run(uri, "aaaa", mine)
    assert run(uri, "aaaa", mine, "/moved/small").notes == []
    (study,) = find_runs(uri, "tags.role = 'study'")
    assert study.data.tags["zerotune.folder"] == "/moved/small"
    assert len(find_runs(uri, CONFIRMATIONS)) == 2


def test_of_two_copies_that_both_go_on_neither_replaces_the_others_results(uri: str) -> None:
    common, original = measured(1e9, range(1)), measured(2e9, range(1, 3))
    run(uri, "aaaa", [*common, *original])
    copy = Holder(results=[*common, *measured(3e9, range(1, 2))], folder=Path("/copy/small"))
    store = opened(uri, copy)
    assert store.sync(copy.results) == 2
    (note,) = store.notes
    assert note.startswith("/copy/small was copied, or its journal lost its end: ")
    assert "holds 2 results that the journal lacks. They stay as they are" in note
    assert stored(uri, "aaaa") == (*common, *original)
    assert stored(uri, copy.identity) == tuple(copy.results)
    assert copy.identity != "aaaa"


def test_two_copies_at_the_same_time_lose_nothing_and_part_when_one_is_written_again(uri: str) -> None:
    one, other = Holder(results=measured(1e9)), Holder(results=measured(2e9))
    messages: list[str] = []
    writer = Writer(lambda: opened(uri, one), (), lambda sentence, _: messages.append(sentence))
    writer.start()
    writer.wait_until_open()
    store = opened(uri, other)
    for mine, theirs in zip(one.results, other.results, strict=True):
        writer.submit(mine)
        store.write(theirs)
    writer.close()
    assert not writer.finish(Store.finish)
    assert "got 2 results from another copy of /data/mlruns/small while this one was running" in messages[-1]
    assert len(find_runs(uri, CONFIRMATIONS)) == 4
    assert opened(uri, one).sync(one.results) == 2
    assert stored(uri, one.identity) == tuple(one.results)
    assert len(find_runs(uri, CONFIRMATIONS)) == 6
    with pytest.raises(BadInput, match="got 2 results from another copy"):
        store.sync(other.results)


def test_a_failed_trial_that_is_run_again_still_takes_its_own_place(uri: str) -> None:
    failed, again = replace(make_result(status="failed"), finished_at=5.0), replace(make_result(), finished_at=6.0)
    run(uri, "aaaa", [failed])
    owner = Holder(results=[failed, again])
    assert opened(uri, owner).sync([again]) == 1
    assert stored(uri, "aaaa") == (again,)


def test_a_store_of_an_earlier_version_is_adopted_by_the_journal_that_holds_its_results(uri: str) -> None:
    old = measured(1e9)
    store = open_store(uri)
    store.sync(old)
    assert read_results(uri, "small").remarks == ()
    run_ids = {run.info.run_id for run in find_runs(uri)}
    assert run(uri, "aaaa", old).notes == []
    assert {run.info.run_id for run in find_runs(uri, "tags.`zerotune.journal` = 'aaaa'")} == run_ids
    assert stored(uri, "aaaa") == tuple(old)


def test_a_new_journal_replaces_nothing_of_a_store_of_an_earlier_version(uri: str) -> None:
    old, new = measured(1e9), measured(2e9)
    open_store(uri).sync(old)
    (note,) = run(uri, "aaaa", new).notes
    assert "also holds 2 results of study 'small' from elsewhere" in note
    assert stored(uri, "aaaa") == tuple(new)
    assert {run.info.end_time for run in find_runs(uri, CONFIRMATIONS)} == {
        int(result.finished_at * 1000) for result in (*old, *new)
    }
    assert run(uri, "bbbb", old).notes[0].startswith("The MLflow store at ")
    assert len(find_runs(uri, CONFIRMATIONS)) == 4  # the runs of `old` were adopted


def test_a_reader_knows_how_many_results_there_should_be(uri: str) -> None:
    results = measured(1e9, range(3))
    owner = Holder(results=results)
    store = opened(uri, owner)
    store.write_progress(num_results=0, num_planned=5, has_ended=False)
    store.sync(results)
    found = read_results(uri, "small")
    assert (found.num_expected, found.num_planned, found.has_ended) == (0, 5, False)
    store.finish()
    MlflowClient(uri).delete_run(find_runs(uri, CONFIRMATIONS)[0].info.run_id)
    found = read_results(uri, "small")
    assert (len(found.results), found.num_expected, found.has_ended) == (2, 3, True)
    assert opened(uri, owner).sync(results) == 1


def test_a_store_that_does_not_say_how_many_results_there_should_be_is_not_doubted(uri: str) -> None:
    open_store(uri).write(make_result())
    found = read_results(uri, "small")
    assert (found.num_expected, found.num_planned, found.has_ended, found.remarks) == (None, None, None, ())


def test_a_copied_journal_takes_another_identity_once(uri: str, tmp_path: Path) -> None:
    first, second = measured(1e9)
    with closing(Journal(tmp_path / "one")) as journal:
        journal.start_study({"name": "small"}, {})
        journal.finish(first)
        shutil.copytree(tmp_path / "one", tmp_path / "copy")
        journal.finish(second)
        Store(uri, "small", FINGERPRINT, DEFINITION, owner=journal).sync(journal.content.results.values())
    with closing(Journal(tmp_path / "copy")) as copy:
        assert copy.identity == journal.identity
        Store(uri, "small", FINGERPRINT, DEFINITION, owner=copy).sync(copy.content.results.values())
        assert copy.identity != journal.identity
    with closing(Journal(tmp_path / "copy")) as again:
        assert again.identity == copy.identity
        assert again.content.results == {first.trial.id: first}
        assert Store(uri, "small", FINGERPRINT, DEFINITION, owner=again).sync([first]) == 0
    owners = [journal_of(run.data.tags) for run in find_runs(uri, CONFIRMATIONS)]
    assert sorted(owners) == sorted([journal.identity, journal.identity, copy.identity])
