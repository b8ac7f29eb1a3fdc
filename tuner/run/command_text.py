"""Commands and paths as text that a user can copy.

This module must not know what the commands do.
"""

import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..addresses import STORE, redact

DEFAULTS = {"--driver": "ray"}
"""Default option values, omitted from formatted commands."""


def format_command(verb: str, study: str, options: Mapping[str, str | None]) -> str:
    """Format a command with its non-default options, without passwords.

    >>> format_command("run", "quickstart", {"--store": "here", "--driver": "ray", "--address": None})
    'zerotune run quickstart --store here'
    """
    return " ".join(filter(None, [shlex.join(["zerotune", verb, study]), format_options(options)]))


def format_options(options: Mapping[str, str | None]) -> str:
    """Format the options that differ from the defaults, without passwords; empty if none does.

    >>> format_options({"--store": "my runs", "--driver": "ray"})
    "--store 'my runs'"
    """
    given = [
        part
        for option, value in options.items()
        if value is not None and value != DEFAULTS.get(option)
        for part in (option, redact(value) if option == "--tracking-uri" else value)
    ]
    return shlex.join(given)


def format_places(store: Path | None, tracking_uri: str | None) -> dict[str, str | None]:
    """Return the command-line options that say where a study is stored; None for those that were not given."""
    return {"--store": None if store is None else str(store), "--tracking-uri": tracking_uri}


def format_report_command(tracking_uri: str, study_name: str, store: Path) -> str:
    """Format the command that reports a stored study, without passwords.

    >>> format_report_command("http://ann:secret@127.0.0.1:5000", "quickstart", Path("mlruns"))
    "zerotune report quickstart --tracking-uri 'http://***@127.0.0.1:5000'"
    """
    return format_command("report", study_name, _store_options(tracking_uri, store))


def format_study_options(tracking_uri: str, store: Path, application: str) -> str:
    """Format the options that name a user's application, by its name in a study, and the store; see `format_options`.

    An application that is in no file of this process and not installed is named by a file to be filled in.
    """
    from ...trainers.applications import APPLICATIONS  # torch, which help does not need

    app = format_application(application)
    if application not in APPLICATIONS:
        app = f"YOUR_FILE.py:{application}"
    return format_options({"--app": app, **_store_options(tracking_uri, store)})


def format_application(application: str) -> str | None:
    """Return what `--app` takes for a user's application of this process, by its name; None for any other."""
    from ...trainers.applications.registry import application_place

    place = application_place(application)
    return None if place is None else f"{format_path(place[0])}{place[1]}"


def _store_options(tracking_uri: str, store: Path) -> Mapping[str, str]:
    from ..store import default_tracking_uri

    if tracking_uri != default_tracking_uri(store):
        return {"--tracking-uri": tracking_uri}
    return {} if store == STORE else {"--store": str(store)}


def format_path(path: Path) -> str:
    """Return a path, relative to the current folder if it is inside it."""
    with suppress(ValueError):
        return str(path.absolute().relative_to(Path.cwd()))
    return str(path)
