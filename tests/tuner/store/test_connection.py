"""Problems with a store's address are reported in one sentence without credentials."""

import importlib.util
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError

from tests.tuner.store.small_stores import open_store
from zerotune.tuner.addresses import find_secrets, has_credentials, redact
from zerotune.tuner.errors import BadInput, Unreachable
from zerotune.tuner.store import connection, default_tracking_uri
from zerotune.tuner.store.connection import translate_errors


def test_a_server_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(Unreachable, match=f"the MLflow store at http://.*@127.0.0.1:{port} did not answer") as caught:
        open_store(f"http://ann:secret@127.0.0.1:{port}")
    assert "secret" not in str(caught.value)


def test_a_server_that_never_answers_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.2)
    messages: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        opened = threading.Thread(target=_expect_unreachable, args=(silent.getsockname()[1], messages), daemon=True)
        opened.start()
        opened.join(timeout=60)
        assert len(messages) == 1


def test_a_file_that_is_no_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, but long enough to be looked at" * 100)
    with pytest.raises(BadInput, match=r"did not answer: .*file is not a database"):
        open_store(default_tracking_uri(tmp_path))


def test_a_server_that_refuses_the_user_names_what_to_set() -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(401)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_error(401)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(BadInput, match="does not let this user answer: set MLFLOW_TRACKING_USERNAME") as caught:
            open_store(f"http://ann:s3cr3t@127.0.0.1:{server.server_port}")
        server.shutdown()
    assert "s3cr3t" not in str(caught.value)


def test_a_database_driver_that_is_not_installed_is_named() -> None:
    if importlib.util.find_spec("pymssql") is not None:
        pytest.skip("pymssql is installed")
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"mssql+pymssql://ann:s3cr3t@127.0.0.1:{server.getsockname()[1]}/mlflow"
        with pytest.raises(
            BadInput, match=r"its database driver is not installed \(No module named 'pymssql'\)"
        ) as caught:
            open_store(uri)
    assert "s3cr3t" not in str(caught.value)


def test_no_secret_of_the_address_or_the_environment_stands_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "from-the-environment")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "")
    uri = "postgresql://ann:p%40ss@host/mlflow?sslpassword=of-the-key"
    error = OSError(f"cannot use {uri}, p%40ss, p@ss, of-the-key, from-the-environment")
    with pytest.raises(Unreachable) as caught, translate_errors(uri, "answer"):
        raise error
    assert str(caught.value) == (
        "the MLflow store at postgresql://***@host/mlflow?sslpassword=*** did not answer: "
        "cannot use postgresql://***@host/mlflow?sslpassword=***, ***, ***, ***, ***"
    )


class DriverError(Exception):
    """An error as raised by a database driver."""

    def __init__(self, text: str, **codes: str) -> None:
        super().__init__(text)
        vars(self).update(codes)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DriverError('FATAL:  password authentication failed for user "ann"'), BadInput),
        (DriverError('FATAL:  role "ann" does not exist'), BadInput),
        (DriverError('FATAL:  no pg_hba.conf entry for host "10.0.0.7", user "ann"'), BadInput),
        (DriverError("fe_sendauth: no password supplied"), BadInput),
        (DriverError("Passwort-Authentifizierung fehlgeschlagen", sqlstate="28P01"), BadInput),
        (DriverError("Rolle existiert nicht", pgcode="28000"), BadInput),
        (DriverError("(1045, \"Access denied for user 'ann'@'host' (using password: YES)\")"), BadInput),
        (DriverError("FATAL:  the database system is starting up", sqlstate="57P03"), Unreachable),
        (DriverError("FATAL:  sorry, too many clients already"), Unreachable),
        (DriverError("connection refused"), Unreachable),
    ],
)
def test_a_database_that_refuses_the_user_is_not_taken_for_one_that_is_away(
    error: DriverError, expected: type[Exception]
) -> None:
    as_sqlalchemy = OperationalError("SELECT 1", None, error)
    as_mlflow = MlflowException("the database failed")
    as_mlflow.__cause__ = as_sqlalchemy
    for raised in (as_sqlalchemy, as_mlflow):
        refused = pytest.raises(expected, match="the MLflow store at postgresql://")
        with refused, translate_errors("postgresql://ann@host/mlflow", "answer"):
            raise raised


@pytest.mark.parametrize("uri", ["./mlruns", "file:///mlruns", "ftp://host/x"])
def test_an_address_of_another_kind_is_bad_input(uri: str) -> None:
    with pytest.raises(BadInput, match="it must be sqlite:///FILE"):
        open_store(uri)


@pytest.mark.parametrize("uri", ["http://ann:p@ss:w/rd@host:5000", "https://token@host/mlflow?api_key=p@ss"])
def test_no_credential_survives_redaction(uri: str) -> None:
    assert not any(secret in redact(uri) for secret in ("ann", "p@ss", "w/rd", "token@"))


@pytest.mark.parametrize(
    "uri",
    [
        "http://SECRET@host:5000",
        "HTTPS://SECRET@host",
        "https://ann:SECRET@host",
        "https://host/mlflow?api_key=SECRET",
        "postgresql://ann:SECRET@host/db",
        "postgresql://ann:12/SECRET?@host/db",
        "postgresql://host/db?password=SECRET",
        "postgresql://host/db?pass%77ord=SECRET",
        "postgresql://host/db?sslpassword=SECRET",
        "postgresql://host/db?sslmode=require#&password=SECRET",
        "mysql://host/db?passwd=SECRET",
        "mssql+pyodbc://host/db?client_secret=SECRET",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3Da%3BUID%3Dann%3BPWD%3DSECRET",
        "mssql+pyodbc:///?odbc_connect=DRIVER=a;UID=ann;pwd=SECRET;x=y",
    ],
)
def test_one_rule_says_what_a_credential_is_and_hides_it(uri: str) -> None:
    assert has_credentials(uri)
    assert "SECRET" not in redact(uri)
    assert any("SECRET" in secret for secret in find_secrets(uri))


def test_a_secret_is_known_as_it_stands_there_and_as_it_is_meant() -> None:
    found = find_secrets("postgresql://ann:p%40ss@host/db?sslpassword=a%40+b")
    assert found == ["p%40ss", "p@ss", "a%40+b", "a@+b", "a@ b"]
    encoded = "UID%3Dann%3BPWD%3Dx%2By"
    found = find_secrets(f"mssql+pyodbc:///?odbc_connect={encoded}")
    assert found == [encoded, "UID=ann;PWD=x+y", "x+y", "x y"]


@pytest.mark.parametrize(
    "uri",
    [
        "http://host:5000/mlflow",
        "sqlite:////data/a:b@c/mlflow.db",
        "postgresql://host:5432/db?sslmode=require&sslkey=/ann.key&keepalives=1",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3Da%3BTrusted_Connection%3Dyes",
    ],
)
def test_an_address_without_credentials_is_one(uri: str) -> None:
    assert not has_credentials(uri)
    assert find_secrets(uri) == []
    if "@" not in uri:  # everything before an @ is hidden, to be safe
        assert redact(uri) == uri


def _expect_unreachable(port: int, messages: list[str]) -> None:
    with pytest.raises(Unreachable) as caught:
        open_store(f"http://127.0.0.1:{port}")
    messages.append(str(caught.value))
