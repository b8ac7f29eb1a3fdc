"""A server named only by a study file never gets the user's credentials, for any command that reads the file."""

from pathlib import Path

import pytest

from tests.tuner.run.test_tracking import APP, RUN, SYNC
from tests.user_applications import STUDY, Here
from zerotune.tuner.errors import BadInput
from zerotune.tuner.store import default_tracking_uri, store_uri

FOREIGN = "https://tracker.example/mlflow"
SECRET = "not-for-everybody-3Hd"
SERVER_SECRETS = [f"MLFLOW_TRACKING_{name}" for name in ("PASSWORD", "TOKEN", "AUTH", "AWS_SIGV4")]


@pytest.fixture(autouse=True)
def no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove this user's credentials from the environment and the home folder."""
    for name in (*SERVER_SECRETS, "MLFLOW_TRACKING_URI", "PGPASSWORD", "MYSQL_PWD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def chosen(in_study: str | None, named: str | None = None) -> str:
    return store_uri(Path("/runs"), named=named, in_study=in_study)


def test_the_command_comes_before_the_file_and_the_file_before_the_local_store() -> None:
    assert chosen(FOREIGN, "sqlite:///x.db") == "sqlite:///x.db"
    assert chosen(FOREIGN) == FOREIGN
    assert chosen(None) == default_tracking_uri(Path("/runs"))


@pytest.mark.parametrize("secret", SERVER_SECRETS)
@pytest.mark.parametrize(
    "uri",
    [
        *(FOREIGN, "http://10.0.0.7:5000", "HTTPS://tracker.example", " http://tracker.example"),
        # other hosts, which some parsers would take for this machine
        *("http://127.0.0.1.example:5000", "http://localhost.example", "http://tracker.example#/127.0.0.1"),
        *("http://tracker.example\\127.0.0.1/", "http://127.0.0.1\\.tracker.example/", "http://[::ffff:10.0.0.7]/"),
    ],
)
def test_a_server_that_only_the_file_names_is_refused_where_credentials_would_go_there(
    uri: str, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen(uri) == uri
    monkeypatch.setenv(secret, SECRET)
    with pytest.raises(BadInput, match=f"{secret} would be sent there: if you trust it, give the same") as refused:
        chosen(uri)
    assert SECRET not in str(refused.value)
    assert chosen(uri, uri) == uri


@pytest.mark.parametrize(
    ("secret", "uri"),
    [
        *(("PGPASSWORD", f"postgresql{driver}://ann@db.example/mlflow") for driver in ("", "+psycopg", "+psycopg2")),
        ("PGPASSWORD", "postgresql://ann@127.0.0.1/mlflow?host=db.example"),
        ("PGPASSWORD", "postgresql:///mlflow?host=db.example"),
        ("PGPASSWORD", "postgresql://ann@127.0.0.1,db.example/mlflow"),
        ("MYSQL_PWD", "mysql+mysqldb://ann@db.example/mlflow"),
    ],
)
def test_a_database_that_only_the_file_names_is_refused_where_a_password_would_go_there(
    uri: str, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen(uri) == uri
    monkeypatch.setenv(secret, SECRET)
    with pytest.raises(BadInput, match=f"only the study's file names this server, and {secret} would be sent"):
        chosen(uri)
    assert chosen(uri, uri) == uri


def test_credentials_in_the_file_that_mlflow_reads_are_the_user_s_too(tmp_path: Path) -> None:
    (tmp_path / "home" / ".mlflow").mkdir(parents=True)
    (tmp_path / "home" / ".mlflow" / "credentials").write_text("[mlflow]\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"~/\.mlflow/credentials would be sent there"):
        chosen(FOREIGN)
    assert chosen("postgresql://db.example/mlflow") == "postgresql://db.example/mlflow"


@pytest.mark.parametrize(
    "uri",
    [
        *("http://127.0.0.1:5000", "http://localhost/mlflow", "https://[::1]:5000/", "sqlite:///runs.db"),
        *("postgresql://ann@127.0.0.1:5432/mlflow", "postgresql+psycopg://localhost/mlflow", "postgresql:///mlflow"),
    ],
)
def test_a_server_on_this_machine_and_a_file_are_taken(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SERVER_SECRETS, "PGPASSWORD"):
        monkeypatch.setenv(name, SECRET)
    assert chosen(uri) == uri


def test_the_server_that_the_environment_names_is_the_user_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", SECRET)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{FOREIGN}/")
    assert chosen(FOREIGN) == FOREIGN
    with pytest.raises(BadInput, match=r"'http://tracker\.example/mlflow': only the study's file names this server"):
        chosen(FOREIGN.replace("https", "http"))


def test_every_command_that_reaches_a_store_refuses_it_and_writes_nothing(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here.folder / "plane.yaml").write_text(f"{STUDY}tracking_uri: {FOREIGN}\n", encoding="utf-8")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", SECRET)
    commands = [
        *(RUN, SYNC, ("regime", *RUN[1:])),
        *((name, "plane.yaml", *APP) for name in ("compare", "report", "ui")),
        ("export", "plane.yaml", *APP, "--to", "files"),
        ("diagnose", "plane.yaml", *APP, "--arm", "tuned", "--batch-size", "60"),
    ]
    for command in commands:
        err = here.refused(*command)
        assert err.startswith(f"error: tracking_uri '{FOREIGN}': only the study's file names this server"), command
        assert SECRET not in err
    assert not (here.folder / "mlruns").exists()
    here.done(*RUN, "--tracking-uri", default_tracking_uri(here.folder / "mlruns"))
    assert "only the study's file names this server" in here.refused("retry", *RUN[1:], "--failed")
