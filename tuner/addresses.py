"""Addresses of stores and hosts: the default, validation, and redaction of credentials.

The same rules apply to study files, job commands, and everything shown or logged.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, unquote, unquote_plus, urlsplit

STORE = Path("mlruns")
"""Default folder of the local store."""
TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
"""MLflow's environment variable for the address of a store."""

_SECRET_WORD = "(?:password|passwd|passphrase|pwd|token|secret|(?<!ssl)(?<!ssl_)key)"
"""Matches in the name of a secret parameter. `sslkey` and `ssl_key` are excluded, because they name a file."""
_SECRET_NAME = re.compile(_SECRET_WORD, flags=re.IGNORECASE)
_SECRET_INSIDE = re.compile(rf"{_SECRET_WORD}[\w ]*=([^;]*)", flags=re.IGNORECASE)
"""Matches a secret inside a parameter that holds parameters itself, such as `odbc_connect`."""
_PARAMETER = re.compile(r"([?&])([^=&]*)=([^&]*)")
_USER_AND_PASSWORD = re.compile(r"://[^:/]*:([^@]*)@")
"""Credentials of a database address, where the password may contain a slash or a question mark."""
_USER_OF_SERVER = re.compile(r"https?://([^/?#]*)@", flags=re.IGNORECASE)
"""Credentials of a server address, where a user name alone is a token."""


def split_address(uri: str) -> SplitResult:
    """Split an address into its parts, and check that its host and port are valid.

    Raises:
        ValueError: the host or port is invalid. The message may contain part of a password.
    """
    parts = urlsplit(uri)
    parts.port  # noqa: B018  # reading the attribute parses and validates the port
    (parts.hostname or "").encode("idna")  # what a socket does; fails for `a..b`
    return parts


def is_loopback(host: str) -> bool:
    """Return whether a host, given as an address or a name, is reachable from this machine only.

    >>> is_loopback("127.0.0.2"), is_loopback("localhost"), is_loopback("0.0.0.0"), is_loopback("gpu-7")
    (True, True, False, False)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


def find_secrets(uri: str) -> list[str]:
    """Return the secrets in an address that must never be shown, both as written and decoded.

    >>> find_secrets("postgresql://ann:p%40ss@db/mlflow?sslmode=require&sslpassword=x")
    ['p%40ss', 'p@ss', 'x']
    >>> find_secrets("postgresql://ann@db/mlflow?sslkey=ann.key")
    []
    """
    parameters = [value for name, value in _parameters(uri) if _is_secret(name, value)]
    inside = [part for value in parameters for part in _SECRET_INSIDE.findall(unquote_plus(value))]
    found = [*_before_the_host(uri), *parameters, *inside]
    return list(dict.fromkeys(text for value in found for text in (value, unquote(value), unquote_plus(value)) if text))


def has_credentials(uri: str) -> bool:
    """Return whether an address holds a password, a token or another secret, even an empty one.

    >>> has_credentials("http://TOKEN@host"), has_credentials("postgresql://ann@host/mlflow")
    (True, False)
    >>> has_credentials("mssql+pyodbc:///?odbc_connect=UID%3Dann%3BPWD%3Dx")
    True
    """
    return any(True for _ in _before_the_host(uri)) or any(_is_secret(*each) for each in _parameters(uri))


def redact(uri: str) -> str:
    """Return the address without its credentials, safe for logs and error messages.

    >>> redact("postgresql://ann:secret@db:5432/mlflow?sslmode=require&sslpassword=x")
    'postgresql://***@db:5432/mlflow?sslmode=require&sslpassword=***'
    >>> redact("mssql+pyodbc:///?odbc_connect=UID%3Dann%3BPWD%3Dx")
    'mssql+pyodbc:///?odbc_connect=***'
    >>> redact("sqlite:////data/mlruns/mlflow.db")
    'sqlite:////data/mlruns/mlflow.db'
    """

    def masked(parameter: re.Match[str]) -> str:
        start, name, value = parameter.groups()
        return f"{start}{name}=***" if _is_secret(name, value) else parameter[0]

    return _PARAMETER.sub(masked, re.sub(r"://.*@", "://***@", uri))


def _before_the_host(uri: str) -> Iterator[str]:
    for pattern in (_USER_AND_PASSWORD, _USER_OF_SERVER):
        if found := pattern.search(uri):
            yield found[1]


def _parameters(uri: str) -> list[tuple[str, str]]:
    """Return the names and values of the query parameters, not decoded."""
    return [(found[2], found[3]) for found in _PARAMETER.finditer(uri)]


def _is_secret(name: str, value: str) -> bool:
    return bool(_SECRET_NAME.search(unquote_plus(name)) or _SECRET_INSIDE.search(unquote_plus(value)))
