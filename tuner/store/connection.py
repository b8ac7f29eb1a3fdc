"""How this package reaches MLflow: which addresses it takes, a quick check that one answers, errors as sentences.

Nothing here knows what is stored.
"""

import fcntl
import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..addresses import find_secrets, redact, split_address
from ..errors import BadInput, Unreachable
from .moved import take_files_along

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ANSWER_SECONDS = 5
"""How long a server may take to answer when a store is opened."""
PAGE_SIZE = 1000
"""Runs fetched with one request."""

_REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED")
"""MLflow's codes for credentials that are missing or do not suffice."""
_LOGIN_REFUSED = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|is not permitted to log in"
    r'|role "[^"]*" does not exist|Access denied for user|Login failed for user'
)
"""What a database says of credentials that are missing or do not suffice. Where PostgreSQL lets nobody in, its drivers
pass on these words and no code; a server that speaks another language counts as one that does not answer."""
_CODES_OF_REFUSAL = ("28", "42501")
"""How PostgreSQL's codes of the same begin, and of a user who may not write."""
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_SQLITE = "sqlite:///"
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    # else every run that ends is announced with its address, as given: with the credentials in it
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "PGPASSWORD")
"""Variables of the environment that mlflow and database drivers take credentials from."""


def default_tracking_uri(root: Path) -> str:
    """The SQLite store inside `root`: the database `mlflow.db`, with artifacts in the folder `artifacts` beside it.

    >>> default_tracking_uri(Path("/data/mlruns"))
    'sqlite:////data/mlruns/mlflow.db'

    Raises:
        BadInput: the path holds a question mark, which such an address takes for the end of the file's name.
    """
    if "?" in str(root.resolve()):
        raise BadInput(f"store {root}: the path of an MLflow database may hold no question mark: choose another folder")
    return f"{_SQLITE}{root.resolve() / 'mlflow.db'}"


def without_credentials(server: str) -> str:
    """Return the address of an MLflow server as a browser takes it, which asks for user and password by itself.

    >>> without_credentials("https://ann:secret@host:5000/mlflow/")
    'https://host:5000/mlflow'
    """
    return re.sub(r"://.*@", "://", server).split("?")[0].rstrip("/")


def is_server(tracking_uri: str) -> bool:
    """Return whether the address is an MLflow server, which has a UI of its own, and not a database."""
    return urlsplit(tracking_uri).scheme in ("http", "https")


def sqlite_file(tracking_uri: str) -> Path | None:
    """Return the file of a SQLite store; None for other stores."""
    return Path(tracking_uri.removeprefix(_SQLITE)) if tracking_uri.startswith(_SQLITE) else None


def absolute_uri(tracking_uri: str) -> str:
    """The same store, independent of the current folder: a SQLite file's path becomes absolute."""
    file = sqlite_file(tracking_uri)
    return tracking_uri if file is None else f"{_SQLITE}{file.absolute()}"


def artifact_location(tracking_uri: str) -> str | None:
    """Return where a new experiment keeps its files: beside a SQLite database, else where the server decides (None)."""
    file = sqlite_file(tracking_uri)
    return _files_beside(file).as_uri() if file else None


def _files_beside(database: Path) -> Path:
    return database.resolve().parent / "artifacts"


def connect(tracking_uri: str, *, create: bool) -> "MlflowClient":
    """Return a client of the store, after a check that it answers.

    A new SQLite file gets its tables here, under a lock: processes that make them at the same time would crash. MLflow
    takes two to three seconds of CPU for that. A file that was moved with its folder finds its artifacts from here on.

    Args:
        tracking_uri: `sqlite:///FILE`, a database (`postgresql://...`) or an MLflow server (`http://...`).
        create: whether a SQLite file that is not there is made.

    Raises:
        BadInput: the address is of a kind that cannot be used, or its database driver is not installed; the server
            or the database refuses the credentials; the SQLite file is not there, or cannot be read as one.
        Unreachable: nothing answers within a few seconds, or not as it should.
    """
    _check_address(tracking_uri, create=create)
    _quiet()
    from mlflow import MlflowClient

    file = sqlite_file(tracking_uri)
    with translate_errors(tracking_uri, "answer"):
        if file is not None and create:
            file.parent.mkdir(parents=True, exist_ok=True)
            with _locked(file):
                if not file.exists():
                    create_tables(tracking_uri)
        _check_answer(tracking_uri)
        if file is not None:
            take_files_along(file, _files_beside(file))
        client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
        client.search_experiments(max_results=1)
    return client


def create_tables(tracking_uri: str) -> None:
    """Make a new SQLite file with MLflow's tables."""
    from mlflow import MlflowClient

    MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri).search_experiments(max_results=1)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold the lock under which a file gets its tables."""
    with file.with_name(f"{file.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def translate_errors(tracking_uri: str, action: str) -> Iterator[None]:
    """Turn errors of mlflow and its libraries into one sentence without credentials.

    Raises:
        BadInput: the server or the database refuses the credentials.
        Unreachable: "the MLflow store at URI did not ACTION: REASON".
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        if isinstance(error, MlflowException) and error.error_code in _REFUSED:
            raise BadInput(
                f"the MLflow server at {redact(tracking_uri)} does not let this user {action}: set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, in the environment"
            ) from error
        raise _failure(tracking_uri, action, error) from error


def search_all_runs(client: "MlflowClient", experiment_id: str, filter_string: str = "") -> "list[Run]":
    """Return every run of an experiment that passes the filter, oldest first, one request a thousand runs."""
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id], filter_string, max_results=PAGE_SIZE, order_by=["attribute.start_time"], page_token=token
        )
        runs.extend(page)
        token = page.token
        if not token:
            return runs


def _quiet() -> None:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401  (sets its loggers' levels, which are then lowered)

    for logger in ("mlflow", "alembic", "urllib3"):  # the last tells of every attempt that fails
        logging.getLogger(logger).setLevel(logging.ERROR)
    # It writes a database's errors with their traceback, and raises them too.
    logging.getLogger("mlflow.store.db").setLevel(logging.CRITICAL)


def _check_address(tracking_uri: str, *, create: bool) -> None:
    try:
        address = split_address(tracking_uri)
    except ValueError:  # its text may hold a part of the password
        raise BadInput(f"tracking URI {redact(tracking_uri)!r}: its host or port is not one") from None
    scheme = address.scheme.split("+")[0]
    if scheme not in ("sqlite", *_PORTS):
        raise BadInput(
            f"tracking URI {redact(tracking_uri)!r}: it must be sqlite:///FILE, postgresql://..., mysql://..., "
            "mssql://... or an MLflow server's http(s)://HOST:PORT (MLflow no longer takes plain folders)"
        )
    file = sqlite_file(tracking_uri)
    if file and not create and not file.exists():
        raise BadInput(f"no MLflow store at {file}: run a study first, or name the folder that holds its mlflow.db")


def _check_answer(tracking_uri: str) -> None:
    """Try once, for seconds: mlflow's own first contact repeats itself for minutes."""
    address = urlsplit(tracking_uri)
    if address.hostname:
        port = address.port or _PORTS[address.scheme.split("+")[0]]
        socket.create_connection((address.hostname, port), timeout=ANSWER_SECONDS).close()
    if is_server(tracking_uri):
        from mlflow.utils.credentials import get_default_host_creds
        from mlflow.utils.rest_utils import http_request

        creds = get_default_host_creds(tracking_uri)  # type: ignore[no-untyped-call]
        http_request(  # type: ignore[no-untyped-call]
            creds, "/health", "GET", max_retries=0, timeout=ANSWER_SECONDS, raise_on_status=False
        )
        return
    from mlflow.store.db.utils import create_sqlalchemy_engine

    file = sqlite_file(tracking_uri)
    try:
        engine = create_sqlalchemy_engine(tracking_uri)  # type: ignore[no-untyped-call]
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA schema_version" if file else "SELECT 1")
        engine.dispose()
    except ImportError as error:
        raise BadInput(
            f"tracking URI {redact(tracking_uri)!r}: its database driver is not installed ({error}): install it, "
            "such as 'psycopg[binary]' for postgresql://"
        ) from None
    except Exception as error:  # any of the database drivers, which share no base class
        if file:  # on this machine, so the user's to mend, while a server may come back by itself
            raise BadInput(_sentence(tracking_uri, "answer", error)) from error
        raise _failure(tracking_uri, "answer", error) from error


def _failure(tracking_uri: str, action: str, error: Exception) -> BadInput | Unreachable:
    """Return a store's failure as an error: a database that refuses the user will not answer later."""
    sentence = _sentence(tracking_uri, action, error)
    if not is_server(tracking_uri) and _is_refusal(error):
        return BadInput(f"{sentence}: mend the user in the address, or the password (PostgreSQL's is PGPASSWORD)")
    return Unreachable(sentence)


def _is_refusal(error: BaseException) -> bool:
    """Return whether the database does not let this user in, by what its driver raised beneath the error."""
    beneath = getattr(error, "orig", None) or error.__cause__  # of SQLAlchemy's, and of MLflow's
    if isinstance(beneath, BaseException) and _is_refusal(beneath):
        return True
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""  # psycopg 3, psycopg2
    return str(code).startswith(_CODES_OF_REFUSAL) or bool(_LOGIN_REFUSED.search(str(error)))


def _sentence(tracking_uri: str, action: str, error: Exception) -> str:
    lines = str(error).strip().splitlines()
    reason = (lines[0] if lines else type(error).__name__).replace(tracking_uri, redact(tracking_uri))
    for secret in _secrets(tracking_uri):
        reason = reason.replace(secret, "***")
    return f"the MLflow store at {redact(tracking_uri)} did not {action}: {reason[:300]}"


def _secrets(tracking_uri: str) -> list[str]:
    """Return what must appear in no text, of the address and of the environment."""
    return [*find_secrets(tracking_uri), *filter(None, map(os.environ.get, _SECRETS))]
