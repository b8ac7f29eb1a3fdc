"""A PostgreSQL store: its password comes from the environment, and is told and kept nowhere; it may come and go."""

import importlib.util
from collections import Counter
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.own_applications import NUM_TRIALS, Here
from tests.tuner.postgresql_server import USER, postgresql_server, programs
from tuner.journal import read_journal
from tuner.recorder import Recorder
from tuner.store import read_results
from tuner.trial import TrialResult

PASSWORD = "not-to-be-seen-4Wv"
APP = ("--app", "plane.py:sides")

pytestmark = [
    pytest.mark.skipif(programs() is None, reason="no PostgreSQL server (initdb, postgres) on this machine"),
    pytest.mark.skipif(
        importlib.util.find_spec("psycopg") is None,
        reason="needs psycopg, extra `postgresql`",
    ),
]


def holding_the_password(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]


def test_a_database_that_is_lost_and_back_holds_every_trial_once(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    tell, results = Recorder.tell, []
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with postgresql_server(PASSWORD) as server:

        def losing(self: Recorder, result: TrialResult) -> None:
            tell(self, result)
            results.append(result)
            if len(results) == 3:
                server.end()

        monkeypatch.setattr(Recorder, "tell", losing)
        uri = f"postgresql://{USER}@127.0.0.1:{server.port}/postgres"
        out = here.done("run", "plane.yaml", "--driver", "serial", *APP, "--tracking-uri", uri)
        assert "The study goes on" in " ".join(out.split())
        server.start()
        out += here.done("sync", "plane.yaml", *APP, "--tracking-uri", uri)
        journal = read_journal(here.folder / "mlruns" / "plane" / "journal.jsonl").results
        assert len(journal) == NUM_TRIALS
        stored = read_results(uri, "plane", with_epochs=True)
        assert {result.trial.id: result for result in stored.results} == journal
        client = MlflowClient(uri)
        (experiment,) = client.search_experiments(filter_string="name = 'plane'")
        runs = client.search_runs([experiment.experiment_id])
        assert Counter(run.info.status for run in runs) == {"FINISHED": len(runs)}
        assert here.done("compare", "plane", "--tracking-uri", uri) in out
        assert all(PASSWORD not in str(run.to_dictionary()) for run in runs)
    assert PASSWORD not in out
    assert holding_the_password(here.folder) == []


def test_a_password_in_the_address_is_told_and_kept_nowhere(here: Here) -> None:
    with postgresql_server(PASSWORD) as server:
        uri = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{server.port}/postgres"
        out = here.done("run", "plane.yaml", "--driver", "serial", *APP, "--tracking-uri", uri)
        assert f"'postgresql://***@127.0.0.1:{server.port}/postgres'" in out
        report = here.done("report", "plane", "--tracking-uri", uri, "--format", "json")
        assert f"postgresql://***@127.0.0.1:{server.port}/postgres" in report
        client = MlflowClient(uri)
        (experiment,) = client.search_experiments(filter_string="name = 'plane'")
        assert PASSWORD not in str([run.to_dictionary() for run in client.search_runs([experiment.experiment_id])])
        code, _, err = here.zerotune("compare", "plane", "--tracking-uri", uri.replace(PASSWORD, f"{PASSWORD}x"))
        assert (code, "password authentication failed" in err) == (4, True)
    assert PASSWORD not in out + report + err
    assert holding_the_password(here.folder) == []
