"""Commands and paths as text that a user can copy.

This module must not know what the commands do.
"""

import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..addresses import redact

STORE = Path("mlruns")
"""Default folder of the local store."""

DEFAULTS = {"--store": str(STORE), "--driver": "ray"}
"""Default option values, omitted from formatted commands."""


def format_command(verb: str, study: str, options: Mapping[str, str | None]) -> str:
    """Format a command with its non-default options, without passwords.

    >>> format_command("run", "quickstart", {"--store": "mlruns", "--driver": "serial", "--address": None})
    'zerotune run quickstart --driver serial'
    """
    given = [
        part
        for option, value in options.items()
        if value is not None and value != DEFAULTS.get(option)
        for part in (option, redact(value) if option == "--tracking-uri" else value)
    ]
    return shlex.join(["zerotune", verb, study, *given])


def format_report_command(tracking_uri: str, study_name: str, store: Path) -> str:
    """Format the command that reports a stored study, without passwords.

    >>> format_report_command("http://ann:secret@127.0.0.1:5000", "quickstart", Path("mlruns"))
    "zerotune report quickstart --tracking-uri 'http://***@127.0.0.1:5000'"
    """
    from ..store import default_tracking_uri

    is_local = tracking_uri == default_tracking_uri(store)
    place = {"--store": str(store)} if is_local else {"--tracking-uri": tracking_uri}
    return format_command("report", study_name, place)


def format_path(path: Path) -> str:
    """Return a path, relative to the current folder if it is inside it."""
    with suppress(ValueError):
        return str(path.absolute().relative_to(Path.cwd()))
    return str(path)
