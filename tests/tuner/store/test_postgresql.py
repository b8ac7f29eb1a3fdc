"""A PostgreSQL store: its password comes from the environment and is never shown or stored, and it may come and go."""

import importlib.util
from collections import Counter
from pathlib import Path

import pytest
from mlflow import MlflowClient
from sqlalchemy import create_engine, text

from tests.tuner.store.postgresql_server import USER, postgresql_server, programs
from tests.user_applications import NUM_TRIALS, Here
from zerotune.tuner.run.journal import read_journal
from zerotune.tuner.run.recorder import RecordingAgenda
from zerotune.tuner.store import read_results
from zerotune.tuner.trial import TrialResult

PASSWORD = "not-to-be-seen-4Wv"
APP = ("--app", "plane.py:sides")

pytestmark = [
    pytest.mark.skipif(programs() is None, reason="no PostgreSQL server (initdb, postgres) on this machine"),
    pytest.mark.skipif(importlib.util.find_spec("psycopg") is None, reason="needs psycopg, extra `postgresql`"),
]


def holding_the_password(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]


def test_a_database_that_is_lost_and_back_holds_every_trial_once(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    tell, results = RecordingAgenda.tell, []
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with postgresql_server(PASSWORD) as server:

        def losing(self: RecordingAgenda, result: TrialResult) -> None:
            tell(self, result)
            results.append(result)
            if len(results) == 3:
                server.end()

        monkeypatch.setattr(RecordingAgenda, "tell", losing)
        uri = f"postgresql://{USER}@127.0.0.1:{server.port}/postgres"
        out = here.done("run", "plane.yaml", "--driver", "serial", *APP, "--tracking-uri", uri)
        assert "The study continues" in " ".join(out.split())
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
        assert here.compared("--tracking-uri", uri) in out
        assert all(PASSWORD not in str(run.to_dictionary()) for run in runs)
    assert PASSWORD not in out
    assert holding_the_password(here.folder) == []


def test_a_password_in_the_address_is_reported_and_kept_nowhere(here: Here) -> None:
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
        assert (code, "password authentication failed" in err) == (2, True)
    assert PASSWORD not in out + report + err
    assert holding_the_password(here.folder) == []


@pytest.mark.parametrize(
    ("password", "database", "code", "said"),
    [
        ("another", "postgres", 2, f'password authentication failed for user "{USER}": fix the user in the address'),
        (None, "postgres", 2, "no password supplied: fix the user in the address, or the password"),
        (PASSWORD, "absent", 4, 'database "absent" does not exist'),
    ],
)
def test_a_login_that_is_refused_ends_a_study_before_its_first_trial(
    password: str | None, database: str, code: int, said: str, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If only the database is missing, the study continues, and reading reports that the store does not answer."""
    monkeypatch.delenv("PGPASSWORD", raising=False)
    if password is not None:
        monkeypatch.setenv("PGPASSWORD", password)
    with postgresql_server(PASSWORD) as server:
        where = ("--tracking-uri", f"postgresql://{USER}@127.0.0.1:{server.port}/{database}")
        read, _, err = here.zerotune("compare", "plane", *where)
        assert (read, said in err) == (code, True), err
        ran, out, err = here.zerotune("run", "plane.yaml", "--driver", "serial", *APP, *where)
    results = read_journal(here.folder / "mlruns" / "plane" / "journal.jsonl").results
    if code == 2:
        assert (ran, said in err, len(results)) == (2, True, 0), err
    else:
        assert (ran, len(results)) == (0, NUM_TRIALS), out


def test_a_user_who_may_not_write_is_reported_at_once(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with postgresql_server(PASSWORD) as server:
        engine = create_engine(f"postgresql://{USER}@127.0.0.1:{server.port}/postgres")
        with engine.begin() as connection:
            connection.execute(text(f"CREATE USER reader PASSWORD '{PASSWORD}'"))
        engine.dispose()
        where = ("--tracking-uri", f"postgresql://reader@127.0.0.1:{server.port}/postgres")
        code, _, err = here.zerotune("run", "plane.yaml", "--driver", "serial", *APP, *where)
    assert (code, "permission denied for schema public" in err) == (2, True), err
    assert "Traceback" not in err
    assert PASSWORD not in err
