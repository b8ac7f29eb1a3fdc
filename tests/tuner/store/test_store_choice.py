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


def chosen(in_study: str | None, named: str | None = None, root: Path | None = Path("/runs")) -> str:
    return store_uri(root, named=named, in_study=in_study)


@pytest.mark.parametrize("own", ["http://tracker.example:5000", "sqlite:///own.db", "postgresql://db.example/mlflow"])
def test_options_come_before_the_file_the_file_before_the_folder_and_that_before_the_environment(
    own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = default_tracking_uri(Path("mlruns"))
    assert chosen(None, root=None) == local
    monkeypatch.setenv("MLFLOW_TRACKING_URI", own)
    assert chosen(FOREIGN, "sqlite:///x.db") == "sqlite:///x.db"
    assert chosen(FOREIGN, root=None) == FOREIGN
    assert chosen(None) == default_tracking_uri(Path("/runs"))
    assert chosen(None, root=Path("mlruns")) == local
    assert chosen(None, root=None) == own
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert chosen(None, root=None) == local


@pytest.mark.parametrize("other", ["./mlruns", "/data/mlruns", "file:///data/mlruns", "databricks"])
def test_an_address_in_the_environment_that_cannot_be_used_is_told_with_the_variable(
    other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", other)
    told = f"'{other}': it must be sqlite:///FILE.*environment's MLFLOW_TRACKING_URI names it: change or unset that, or"
    with pytest.raises(BadInput, match=told):
        chosen(None, root=None)


def test_every_command_uses_the_store_that_the_environment_names_and_says_so(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = default_tracking_uri(here.folder / "own")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", own)
    out = here.done(*RUN)
    assert f"; results in {own}, named by MLFLOW_TRACKING_URI " in " ".join(out.split())
    assert not (here.folder / "mlruns" / "mlflow.db").exists()
    assert here.done(*SYNC) == f"plane: 0 results written to {own}, 8 there before\n"
    for command in (("compare",), ("report", "--format", "markdown"), ("export", "--to", "files"), ("profile",)):
        ended = here.zerotune(command[0], "plane", *command[1:])
        assert ended.code == 0
        assert ended.err.startswith(f"MLflow store: {own}, named by MLFLOW_TRACKING_URI (--store or --tracking-uri")
        assert "MLFLOW_TRACKING_URI" not in ended.out
    here.refused("compare", "plane", "--store", "mlruns")
    assert here.done(*SYNC, "--store", "mlruns").startswith("plane: 8 results written to ")
    assert here.compared("--store", "mlruns") in out


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
