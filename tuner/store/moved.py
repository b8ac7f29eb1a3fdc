"""Repair a SQLite store whose folder was moved, because MLflow's database stores absolute artifact paths.

Without the repair, old artifacts are not found and new ones are written to the old location. MLflow offers no way to
change the path except through its tables.
"""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname


def take_files_along(database: Path, files: Path) -> None:
    """Point a database to the artifact folder `files` beside it, in place of missing folders of the same name.

    Folders that still exist, as after copying a store, and artifacts in other locations are left alone. A database that
    cannot be read or written stays unchanged.
    """
    if not files.is_dir():
        return
    with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as opened, opened:
        named = opened.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        for (place,) in named:
            if _is_gone(place, files):
                opened.execute(
                    "UPDATE experiments SET artifact_location = ? WHERE artifact_location = ?", (files.as_uri(), place)
                )
                opened.execute(
                    "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) WHERE substr(artifact_uri, 1, ?) = ?",
                    (files.as_uri(), len(place) + 1, len(place) + 1, f"{place}/"),
                )


def _is_gone(place: str | None, files: Path) -> bool:
    """Return whether a location is a missing local folder with the same name as `files`."""
    address = urlsplit(place or "")
    path = Path(url2pathname(address.path))
    return address.scheme == "file" and path.name == files.name and not path.exists()
