"""Choose a study's MLflow store.

The first of these that is there: `--tracking-uri`; the study file's `tracking_uri`; the SQLite file in `--store`; the
address in MLFLOW_TRACKING_URI; the SQLite file in the default folder.

A study file may come from somebody else, and MLflow sends the environment's credentials to any server it is given. A
server that only the file names must not receive them, so the user has to name it too.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ..addresses import STORE, TRACKING_VARIABLE, redact
from ..errors import BadInput
from .connection import check_kind, default_tracking_uri

_SERVER_SECRETS = (
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_AUTH",
    "MLFLOW_TRACKING_AWS_SIGV4",
)
_SECRETS = {
    "http": _SERVER_SECRETS,
    "https": _SERVER_SECRETS,
    "postgresql": ("PGPASSWORD",),
    "mysql": ("MYSQL_PWD",),
}
"""Environment variables whose secrets mlflow or a database driver would send, by URI scheme."""
_CREDENTIALS_FILE = Path("~/.mlflow/credentials")
"""File from which mlflow reads the user and password if the environment has none."""
_ON_THIS_MACHINE = re.compile(
    r"[a-z]+(\+[a-z0-9]+)?://([\w.%-]+@)?(localhost|127(\.[0-9]{1,3}){3}|\[::1\])?(:[0-9]+)?(/[\w./-]*)?",
    flags=re.ASCII,
)
"""Matches a server on the loopback address or, without a host, the one named by the environment (PGHOST). Only forms
that every parser reads alike match: a parameter such as `?host=` could name another server."""


def store_uri(root: Path | None, *, named: str | None, in_study: str | None) -> str:
    """Return the address of a study's MLflow store.

    Args:
        root: folder of the local store; None if the user named none.
        named: address given by the user.
        in_study: address given by the study file.

    Raises:
        BadInput: only the study file names the server, and credentials from the environment would be sent to it; or the
            environment's address is of no kind that MLflow takes.
    """
    if named:
        return named
    if is_by_environment(root, named=named, in_study=in_study):
        return _environment_uri()
    if not in_study:
        return default_tracking_uri(root or STORE)
    for secret in _would_be_sent(in_study):
        raise BadInput(
            f"tracking_uri {redact(in_study)!r}: only the study's file names this server, and {secret} would be sent "
            "there: if you trust it, give the same address by --tracking-uri; if not, take that out of the environment"
        )
    return in_study


def is_by_environment(root: Path | None, *, named: str | None, in_study: str | None) -> bool:
    """Return whether MLFLOW_TRACKING_URI names a study's store, since nothing else does. The arguments are as above."""
    return not (named or in_study or root) and bool(os.environ.get(TRACKING_VARIABLE))


def _environment_uri() -> str:
    uri = os.environ[TRACKING_VARIABLE]
    try:
        check_kind(uri)
    except BadInput as error:
        raise BadInput(
            f"{error}. The environment's {TRACKING_VARIABLE} names it: change or unset that, or name a store by "
            "--store or --tracking-uri"
        ) from None
    return uri


def _would_be_sent(uri: str) -> Iterator[str]:
    """Yield the sources of credentials that would be sent to a server at this address."""
    confirmed = os.environ.get(TRACKING_VARIABLE, "")
    if _ON_THIS_MACHINE.fullmatch(uri) or uri.rstrip("/") == confirmed.rstrip("/"):
        return
    scheme = urlsplit(uri).scheme.split("+")[0]
    yield from (name for name in _SECRETS.get(scheme, ()) if os.environ.get(name))
    if scheme in ("http", "https") and _CREDENTIALS_FILE.expanduser().exists():
        yield str(_CREDENTIALS_FILE)
