"""Connect to MLflow: supported addresses, a quick check that the store answers, and errors as sentences.

This module must not know what is stored.
"""

import fcntl
import logging
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ..addresses import find_secrets, redact, split_address
from ..errors import BadInput, Unreachable
from .locked import StoreLocked, check_lock, is_locked
from .moved import take_files_along

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ANSWER_SECONDS = 5
"""Timeout for a server's answer when a store is opened."""
PAGE_SIZE = 1000
"""Number of runs fetched per request."""

_REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED")
"""MLflow's error codes for missing or insufficient credentials."""
_LOGIN_REFUSED = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|is not permitted to log in"
    r'|role "[^"]*" does not exist|Access denied for user|Login failed for user'
)
"""Messages of databases for missing or insufficient credentials. PostgreSQL's drivers pass on only the message of a
failed login, without a code. A server with messages in another language counts as one that does not answer."""
_CODES_OF_REFUSAL = ("28", "42501")
"""Prefixes of PostgreSQL's error codes for failed logins (28) and missing privileges (42501)."""
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_SQLITE = "sqlite:///"
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    # otherwise MLflow prints the tracking URI, including credentials, at the end of every run
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "PGPASSWORD")
"""Environment variables from which mlflow and database drivers read credentials."""


def default_tracking_uri(root: Path) -> str:
    """Return the SQLite store in `root`: the database `mlflow.db`, with its artifacts in `artifacts` beside it.

    >>> default_tracking_uri(Path("/data/mlruns"))
    'sqlite:////data/mlruns/mlflow.db'
    """
    return _sqlite_uri(root.resolve() / "mlflow.db")


def _sqlite_uri(file: Path) -> str:
    """Return the address of a SQLite store; the path in it is percent-decoded by whoever reads it.

    >>> _sqlite_uri(Path("/run%5F1?/mlflow.db"))
    'sqlite:////run%255F1%3F/mlflow.db'
    """
    return _SQLITE + str(file).replace("%", "%25").replace("?", "%3F")


def without_credentials(server: str) -> str:
    """Return an MLflow server's address for a browser, which prompts for the user and password itself.

    >>> without_credentials("https://ann:secret@host:5000/mlflow/")
    'https://host:5000/mlflow'
    """
    return re.sub(r"://.*@", "://", server).split("?")[0].rstrip("/")


def is_server(tracking_uri: str) -> bool:
    """Return whether the address is an MLflow server, which has its own UI, rather than a database."""
    return urlsplit(tracking_uri).scheme in ("http", "https")


def sqlite_file(tracking_uri: str) -> Path | None:
    """Return the file of a SQLite store, or None for other stores."""
    return Path(unquote(tracking_uri.removeprefix(_SQLITE))) if tracking_uri.startswith(_SQLITE) else None


def absolute_uri(tracking_uri: str) -> str:
    """Return the address with a SQLite file's path made absolute, independent of the current folder."""
    file = sqlite_file(tracking_uri)
    return tracking_uri if file is None else _sqlite_uri(file.absolute())


def artifact_location(tracking_uri: str) -> str | None:
    """Return the artifact location of a new experiment: beside a SQLite database, or None to let the server decide."""
    file = sqlite_file(tracking_uri)
    return _files_beside(file).as_uri() if file else None


def _files_beside(database: Path) -> Path:
    return database.resolve().parent / "artifacts"


def connect(tracking_uri: str, *, create: bool) -> "MlflowClient":
    """Return a client of the store after checking that it answers.

    A SQLite file that was moved with its folder is updated to find its artifacts. A missing one is created only with
    `create`.

    Raises:
        BadInput: the kind of address is not supported, its database driver is not installed, the server or database
            refuses the credentials, or the SQLite file is missing or invalid.
        StoreLocked: another process has locked the SQLite file.
        Unreachable: there is no valid answer within a few seconds.
    """
    check_kind(tracking_uri)
    file = sqlite_file(tracking_uri)
    if file and not create and not file.exists():
        raise BadInput(f"no MLflow store at {file}: run a study first, or name the folder that holds its mlflow.db")
    _quiet()
    with translate_errors(tracking_uri, "answer"):
        if file is not None and create:
            _create_file(file)
        _check_answer(tracking_uri)
        if file is not None and create:
            check_lock(file)
        if file is not None:
            take_files_along(file, _files_beside(file))
        return _open_client(tracking_uri)


def _create_file(file: Path) -> None:
    """Create a SQLite file with MLflow's tables, if it is missing.

    MLflow takes two to three seconds of CPU time for that, and fails where two processes do it at once or where one
    was killed meanwhile. So it is done under a lock, and the file gets its name when it is complete.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f"{file.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if file.exists():
            return
        incomplete = file.with_name(f"{file.name}.new")
        incomplete.unlink(missing_ok=True)
        create_tables(_sqlite_uri(incomplete))
        incomplete.rename(file)


def create_tables(tracking_uri: str) -> None:
    """Create a SQLite file with MLflow's tables."""
    _open_client(tracking_uri)


def _open_client(tracking_uri: str) -> "MlflowClient":
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
    client.search_experiments(max_results=1)
    _remove_undecoded_folders(tracking_uri)
    return client


def _remove_undecoded_folders(tracking_uri: str) -> None:
    """Remove the empty folders that MLflow makes for a SQLite file whose path it has not percent-decoded."""
    file = sqlite_file(tracking_uri)
    if file is None:
        return
    undecoded = Path(tracking_uri.removeprefix(_SQLITE))
    with suppress(OSError):  # not empty, or not there
        for folder in undecoded.parents:
            if folder in file.parents:
                break
            folder.rmdir()


@contextmanager
def translate_errors(tracking_uri: str, action: str) -> Iterator[None]:
    """Turn errors of mlflow and its libraries into one sentence without credentials.

    Raises:
        BadInput: the server or the database refuses the credentials.
        StoreLocked: another process has locked the SQLite file.
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


def read_pages(request: Callable[..., Any], *arguments: Any, **options: Any) -> list[Any]:
    """Return what all pages of one of MLflow's requests hold."""
    found: list[Any] = []
    token: str | None = None
    while True:
        page = request(*arguments, **options, page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return found


def search_all_runs(client: "MlflowClient", experiment_id: str, filter_string: str = "") -> "list[Run]":
    """Return all runs of an experiment that match the filter, oldest first, with one request per thousand runs."""
    order = ["attribute.start_time"]
    return read_pages(client.search_runs, [experiment_id], filter_string, max_results=PAGE_SIZE, order_by=order)


def _quiet() -> None:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401  (importing sets the loggers' levels, which are changed below)

    for logger in ("mlflow", "alembic", "urllib3"):  # urllib3 logs every failed attempt
        logging.getLogger(logger).setLevel(logging.ERROR)
    # This logger prints database errors with a traceback, although they are also raised.
    logging.getLogger("mlflow.store.db").setLevel(logging.CRITICAL)


def check_kind(tracking_uri: str) -> None:
    """Check that an address is of a kind that MLflow takes.

    Raises:
        BadInput: it is not.
    """
    try:
        address = split_address(tracking_uri)
    except ValueError:  # its message may contain part of the password
        raise BadInput(f"tracking URI {redact(tracking_uri)!r}: its host or port is invalid") from None
    scheme = address.scheme.split("+")[0]
    if scheme not in ("sqlite", *_PORTS):
        raise BadInput(
            f"tracking URI {redact(tracking_uri)!r}: it must be sqlite:///FILE, postgresql://..., mysql://..., "
            "mssql://... or an MLflow server's http(s)://HOST:PORT (MLflow no longer takes plain folders)"
        )


def _check_answer(tracking_uri: str) -> None:
    """Try once with a short timeout, because mlflow's own first request is retried for minutes."""
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
    except Exception as error:  # the database drivers' errors share no base class
        if file and is_locked(error):
            raise StoreLocked(file) from error
        if file:  # a local file is for the user to fix, while a server may recover by itself
            raise BadInput(_sentence(tracking_uri, "answer", error)) from error
        raise _failure(tracking_uri, "answer", error) from error


def _failure(tracking_uri: str, action: str, error: Exception) -> BadInput | Unreachable:
    """Convert a failure to `BadInput` if the database refuses the user, which is permanent, else `Unreachable`."""
    file = sqlite_file(tracking_uri)
    if file and is_locked(error):
        return StoreLocked(file)
    sentence = _sentence(tracking_uri, action, error)
    if not is_server(tracking_uri) and _is_refusal(error):
        return BadInput(f"{sentence}: fix the user in the address, or the password (PostgreSQL's is PGPASSWORD)")
    return Unreachable(sentence)


def _is_refusal(error: BaseException) -> bool:
    """Return whether the database refuses this user, judging by the underlying driver error."""
    beneath = getattr(error, "orig", None) or error.__cause__  # SQLAlchemy's, then MLflow's
    if isinstance(beneath, BaseException) and _is_refusal(beneath):
        return True
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""  # psycopg 3, psycopg2
    return str(code).startswith(_CODES_OF_REFUSAL) or bool(_LOGIN_REFUSED.search(str(error)))


def _sentence(tracking_uri: str, action: str, error: Exception) -> str:
    lines = str(error).strip().splitlines()
    reason = (lines[0] if lines else type(error).__name__).replace(tracking_uri, redact(tracking_uri))
    for secret in (*find_secrets(tracking_uri), *filter(None, map(os.environ.get, _SECRETS))):
        reason = reason.replace(secret, "***")
    return f"the MLflow store at {redact(tracking_uri)} did not {action}: {reason[:300]}"
