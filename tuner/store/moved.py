"""A SQLite store whose folder was moved: MLflow's database names the folder of the files by its whole path.

Without this, files of before are not found any more, and new ones are written where the store once was. MLflow offers
no other way to change the path than its tables.
"""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname


def take_files_along(database: Path, files: Path) -> None:
    """Make a database name the folder of files beside it, in the place of such folders that are no longer there.

    A folder that is still there is left alone, as in a copied store, and so are files that somebody put elsewhere. A
    database that may not be written, or cannot be read, stays as it is.

    Args:
        database: an MLflow database.
        files: where the files of its experiments are.
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
    """Return whether it is a folder of that name on this machine's disks, and not there."""
    address = urlsplit(place or "")
    path = Path(url2pathname(address.path))
    return address.scheme == "file" and path.name == files.name and not path.exists()
