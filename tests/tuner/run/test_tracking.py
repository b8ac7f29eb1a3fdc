"""A tracking server that is down at the start, middle or end of a study neither stops it nor loses results."""

import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

import zerotune.tuner.run.answer
from tests.tuner.store.mlflow_server import PATIENCE_SECONDS, MlflowServer
from tests.user_applications import NUM_TRIALS, Here
from zerotune.tuner.commands import page_files
from zerotune.tuner.commands.sync import run as sync_module
from zerotune.tuner.reports.answer import Answer
from zerotune.tuner.run import run as run_module
from zerotune.tuner.run.journal import Journal, read_journal
from zerotune.tuner.run.recorder import RecordingAgenda
from zerotune.tuner.store import background, default_tracking_uri, read_results
from zerotune.tuner.trial import TrialResult

APP = ("--app", "plane.py:sides")
RUN = ("run", "plane.yaml", "--driver", "serial", *APP)
SYNC = ("sync", "plane.yaml", *APP)
PASSWORD, OTHER_PASSWORD = "in-the-address-7Qx", "in-the-environment-9Zk"
DEAD = "http://127.0.0.1:9"
SEARCH = ("regime", "plane.yaml", "--driver", "serial", *APP, "--to", "40")


def journaled(here: Here, study: str = "plane") -> dict[str, TrialResult]:
    return read_journal(here.folder / "mlruns" / study / "journal.jsonl").results


def stored(uri: str, study: str = "plane") -> dict[str, TrialResult]:
    return {result.trial.id: result for result in read_results(uri, study, with_epochs=True).results}


def answer(out: str) -> str:
    """Return the answer of a regime search, without what is told about the store afterwards."""
    return out[out.index("plane, sides") : out.index("regime.json")]


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the pictures of a regime search, which have their own tests."""
    monkeypatch.setattr(page_files, "write_images", lambda *_, **__: ([], None))


class Away:
    """A study whose MLflow server comes and goes.

    Attributes:
        here: where the study runs.
        server: its MLflow server, initially stopped, with a database beside the study.
        address: the server's address.
        said: the messages about the store, each with whether results were missing from it.
        at: actions by the number of results after which they run.
    """

    def __init__(self, here: Here) -> None:
        self.here = here
        self.database = default_tracking_uri(here.folder / "served")
        (here.folder / "served").mkdir()
        self.server = MlflowServer(self.database, here.folder)
        self.address = f"http://127.0.0.1:{self.server.port}"
        self.said: list[tuple[str, bool]] = []
        self.is_behind = threading.Event()
        self.at: dict[int, Callable[[], None]] = {}

    def note(self, sentence: str, is_behind: bool) -> None:
        self.said.append((sentence, is_behind))
        (self.is_behind.set if is_behind else self.is_behind.clear)()

    def come_back(self) -> None:
        """Start the server while the study waits; return once the server has all results so far."""
        assert self.is_behind.wait(PATIENCE_SECONDS)
        self.server.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.is_behind.is_set():
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)

    def written(self) -> list[str]:
        """Return the trials in MLflow, in the order in which their runs were created."""
        with closing(sqlite3.connect(self.here.folder / "served" / "mlflow.db")) as database:
            rows = database.execute(
                "SELECT tags.value FROM runs JOIN tags USING (run_uuid) "
                "WHERE tags.key = 'zerotune.trial' AND lifecycle_stage = 'active' ORDER BY runs.rowid"
            )
            return [row[0] for row in rows]

    def check_complete(self) -> None:
        """Check that every trial has one run, in journal order, and that every run has ended."""
        journal = journaled(self.here)
        assert len(journal) == NUM_TRIALS
        assert self.written() == list(journal)
        client = MlflowClient(self.database)
        (experiment,) = client.search_experiments(filter_string="name = 'plane'")
        runs = client.search_runs([experiment.experiment_id])
        assert {run.info.status for run in runs} == {"FINISHED"}
        roles = Counter(run.data.tags["role"] for run in runs)
        assert (roles["study"], roles["arm"]) == (1, len({(r.trial.arm, r.trial.batch_size) for r in journal.values()}))
        assert stored(self.database) == journal
        (study_run,) = [run for run in runs if run.data.tags["role"] == "study"]
        assert [file.path for file in client.list_artifacts(study_run.info.run_id, "report")] == ["report/drawn.csv"]
        assert all("spent/trials" in run.data.metrics for run in runs if run.data.tags["role"] == "arm")


@pytest.fixture
def away(here: Here, monkeypatch: pytest.MonkeyPatch) -> Iterator[Away]:
    """Return the plane study; its store is retried ten times a second, and its report is one small file."""

    def drawn(found: Answer, folder: Path) -> list[Path]:
        (folder / "report").mkdir(parents=True, exist_ok=True)
        file = folder / "report" / "drawn.csv"
        file.write_text(f"{len(found.results)}\n", encoding="utf-8")
        return [file]

    found = Away(here)
    report_store_state, tell = zerotune.tuner.run.answer.report_store_state, RecordingAgenda.tell
    results = 0

    def telling(console: Any, command: str, sentence: str, is_behind: bool) -> None:
        report_store_state(console, command, sentence, is_behind)
        found.note(sentence, is_behind)

    def counting(self: RecordingAgenda, result: TrialResult) -> None:
        nonlocal results
        tell(self, result)
        results += 1
        found.at.pop(results, lambda: None)()

    monkeypatch.setattr(run_module, "report_store_state", telling)
    for module in (run_module, sync_module):
        monkeypatch.setattr(module, "write_report", drawn)
    monkeypatch.setattr(background, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(RecordingAgenda, "tell", counting)
    yield found
    found.server.end(signal.SIGKILL)


def test_away_at_the_start_and_back_in_the_middle_with_no_credential_told_or_kept(
    away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "bea")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", OTHER_PASSWORD)
    address = away.address.replace("://", f"://ann:{PASSWORD}@")
    away.at[3] = away.come_back
    out = away.here.done(*RUN, "--tracking-uri", address)
    lost, there = away.said
    assert lost[0].startswith(f"The MLflow store at {away.address.replace('://', '://***@')} did not answer: ")
    assert there == ("MLflow answers again, and has all results so far.", False)
    assert out.count("did not answer") == 1
    again = f"--app plane.py:sides --tracking-uri '{away.address.replace('://', '://***@')}'"
    assert f"  zerotune sync plane.yaml {again}\n" in out
    assert f"In MLflow:\n  zerotune ui plane.yaml {again}\n" in out
    away.check_complete()
    out += away.here.done("compare", "plane", "--tracking-uri", address)
    holding = [
        path
        for path in away.here.folder.rglob("*")
        if path.is_file() and any(secret.encode() in path.read_bytes() for secret in (PASSWORD, OTHER_PASSWORD))
    ]
    assert holding == []
    assert PASSWORD not in out
    assert OTHER_PASSWORD not in out


def test_killed_while_it_writes_a_trial_and_back_before_the_end(away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third trial's run is created, and the server is gone when its metrics are written."""
    log_batch = MlflowClient.log_batch
    batches = 0

    def dying(self: MlflowClient, run_id: str, **values: Any) -> Any:
        nonlocal batches
        batches += bool(values.get("metrics"))
        if batches == 3:
            batches += 1
            away.server.end(signal.SIGKILL)
        return log_batch(self, run_id, **values)

    monkeypatch.setattr(MlflowClient, "log_batch", dying)
    away.at[6] = away.come_back
    away.server.start()
    out = away.here.done(*RUN, "--tracking-uri", away.address)
    assert [is_behind for _, is_behind in away.said] == [True, False]
    assert "did not write trial " in out
    away.check_complete()


def test_away_at_the_end_the_answer_is_given_and_sync_brings_the_rest(away: Away) -> None:
    away.at[4] = lambda: away.server.end(signal.SIGKILL)
    away.server.start()
    where = ("--tracking-uri", away.address)
    out = away.here.done(*RUN, *where)
    assert [is_behind for _, is_behind in away.said] == [True, True]
    assert "The journal has the results that MLflow lacks. To bring them in later:" in " ".join(out.split())
    assert "In MLflow:" not in out
    assert (away.here.folder / "mlruns" / "plane" / "report" / "drawn.csv").read_text(encoding="utf-8") == "8\n"
    code, _, err = away.here.zerotune(*SYNC, *where)
    assert (code, f"error: the MLflow store at {away.address} did not answer" in err) == (4, True)

    away.server.start()
    there = len(read_results(away.database, "plane").results)
    assert there <= 4
    said = [  # a result in whose writing the server was killed is there, and is written again
        f"plane: {NUM_TRIALS - whole} results written to {away.address}, {whole} there before\n"
        for whole in (there, max(there - 1, 0))
    ]
    assert away.here.done(*SYNC, *where) in said
    away.check_complete()
    assert away.here.done(*SYNC, *where) == f"plane: 0 results written to {away.address}, 8 there before\n"
    assert away.here.compared(*where) in out


def test_a_regime_search_goes_on_without_a_store_and_brings_it_in_when_run_again(here: Here) -> None:
    out = here.done(*SEARCH, "--tracking-uri", DEAD)
    suggestion = f"  zerotune regime plane.yaml --to 40 --app plane.py:sides --tracking-uri {DEAD} --driver serial\n"
    assert out.count(suggestion) == 2
    again = here.done(*SEARCH)
    assert answer(again) == answer(out)
    store = default_tracking_uri(here.folder / "mlruns")
    assert stored(store, "plane-regime") == journaled(here, "plane-regime")


# zerotune sync


def test_a_study_is_moved_to_another_store(here: Here) -> None:
    out = here.done(*RUN)
    other = default_tracking_uri(here.folder / "other")
    said = f"plane: 8 results written to {other}, 0 there before\n"
    assert here.done(*SYNC, "--tracking-uri", other) == said
    assert here.compared("--tracking-uri", other) in out
    assert here.done(*SYNC).endswith(
        ": 0 results written to {}, 8 there before\n".format(default_tracking_uri(here.folder / "mlruns"))
    )


def test_the_journal_of_a_regime_search_is_brought_in_too_without_training_or_looking_at_the_data(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert here.zerotune(*SEARCH, "--budget-trials", "5", "--tracking-uri", DEAD)[0] == 0
    path = here.folder / "mlruns" / "plane-regime" / "journal.jsonl"
    before = path.read_bytes()
    store = default_tracking_uri(here.folder / "mlruns")
    rest = "figures and summaries follow when zerotune regime is run again\n"
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "check_workload", pytest.fail)
        assert here.done(*SYNC) == f"plane-regime: 5 results written to {store}, 0 there before; {rest}"
    assert path.read_bytes() == before
    assert stored(store, "plane-regime") == journaled(here, "plane-regime")

    here.done(*RUN, "--tracking-uri", DEAD)
    both = here.done(*SYNC)
    assert both == (
        f"plane: {NUM_TRIALS} results written to {store}, 0 there before\n"
        f"plane-regime: 0 results written to {store}, 5 there before; {rest}"
    )
    finished = here.done(*SEARCH)
    assert ", 5 trainings done before" in finished
    assert [1] * len(read_journal(path).results) == list(read_journal(path).started.values())


def test_what_there_is_of_an_interrupted_study_is_brought_in(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    tell, results = RecordingAgenda.tell, []

    def interrupting(self: RecordingAgenda, result: TrialResult) -> None:
        tell(self, result)
        results.append(result)
        if len(results) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(RecordingAgenda, "tell", interrupting)
    assert here.zerotune(*RUN, "--tracking-uri", DEAD)[0] == 130
    out = here.done(*SYNC)
    assert out.endswith("/mlflow.db, 0 there before; figures and summaries follow once the study has ended\n")
    assert list(stored(default_tracking_uri(here.folder / "mlruns")).values()) == list(journaled(here).values())
    assert len(journaled(here)) == 3


def test_a_study_that_is_running_is_not_synced(here: Here) -> None:
    here.done(*RUN)
    with closing(Journal(here.folder / "mlruns" / "plane")):
        code, out, err = here.zerotune(*SYNC)
    assert (code, out) == (5, "")
    assert "another process is running this study" in err


def test_a_study_that_was_never_run_is_not_synced(here: Here) -> None:
    assert "mlruns/plane: holds no journal: run study 'plane' first" in here.refused(*SYNC)
    assert not (here.folder / "mlruns").exists()


@pytest.mark.parametrize(("command", "name"), [(RUN, "plane"), (SEARCH, "plane-regime")], ids=["run", "regime"])
def test_a_study_that_was_changed_is_not_synced(here: Here, command: tuple[str, ...], name: str) -> None:
    here.done(*command)
    study = here.folder / "plane.yaml"
    study.write_text(study.read_text(encoding="utf-8").replace("epochs: 2", "epochs: 3"), encoding="utf-8")
    code, _, err = here.zerotune(*SYNC)
    assert (code, f"study {name!r} was started with another definition" in err) == (2, True)
    assert "epochs: was 2, now 3" in err
