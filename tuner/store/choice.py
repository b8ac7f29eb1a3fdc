"""Which MLflow store a study is kept in: what the command names, or the study's file, or the one in the local folder.

A study file is data that may come from somebody else, while MLflow sends the environment's credentials to whatever
server it is told of. So a server that only the file names gets none: the user has to name it too.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ..addresses import redact
from ..errors import BadInput
from .connection import default_tracking_uri

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
"""Variables that make mlflow, or the driver of a database, send a secret of the user's, by the address's scheme."""
_CREDENTIALS_FILE = Path("~/.mlflow/credentials")
"""Where mlflow reads a user and a password that the environment lacks."""
_ON_THIS_MACHINE = re.compile(
    r"[a-z]+(\+[a-z0-9]+)?://([\w.%-]+@)?(localhost|127(\.[0-9]{1,3}){3}|\[::1\])?(:[0-9]+)?(/[\w./-]*)?",
    flags=re.ASCII,
)
"""A server on the loopback address, or the one that the environment names (PGHOST), in a form that every parser reads
alike: a parameter such as `?host=` could name another."""


def store_uri(root: Path, *, named: str | None, in_study: str | None) -> str:
    """Return the address of a study's MLflow store.

    Args:
        root: folder of the local store, which holds the study where no address is given.
        named: the address that the user named; None for none.
        in_study: the one that stands in the study's file; None for none.

    Raises:
        BadInput: only the study's file names the server, and credentials of the environment would be sent there; or the
            local store's path cannot be one.
    """
    if named:
        return named
    if not in_study:
        return default_tracking_uri(root)
    for secret in _would_be_sent(in_study):
        raise BadInput(
            f"tracking_uri {redact(in_study)!r}: only the study's file names this server, and {secret} would be sent "
            "there: if you trust it, give the same address by --tracking-uri; if not, take that out of the environment"
        )
    return in_study


def _would_be_sent(uri: str) -> Iterator[str]:
    """Yield what credentials a server at this address would get without being named by the user."""
    confirmed = os.environ.get("MLFLOW_TRACKING_URI", "")
    if _ON_THIS_MACHINE.fullmatch(uri) or uri.rstrip("/") == confirmed.rstrip("/"):
        return
    scheme = urlsplit(uri).scheme.split("+")[0]
    yield from (name for name in _SECRETS.get(scheme, ()) if os.environ.get(name))
    if scheme in ("http", "https") and _CREDENTIALS_FILE.expanduser().exists():
        yield str(_CREDENTIALS_FILE)
