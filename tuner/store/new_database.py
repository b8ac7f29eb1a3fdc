"""New SQLite stores from a template: MLflow takes nine seconds of CPU to make its tables, and copying them takes none.

The template is what MLflow itself made, the first time that this version of it was used, without the rows that tell of
that place. It lies in the user's cache and is never needed: where it is missing or damaged, MLflow makes them.
"""

import os
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path


def from_template(database: Path) -> None:
    """Makes the database of a new store where there is a template; nothing happens where there is none.

    Args:
        database: a file that is not there, in a folder that is.
    """
    template = _template()
    if not template.is_file():
        return
    copied = _temporary(database.parent)
    try:
        _copy(template, copied)
        if not database.exists():  # another process may have been faster
            copied.replace(database)
    except sqlite3.Error:
        with suppress(OSError):
            template.unlink()  # the next new store will give another
    finally:
        copied.unlink(missing_ok=True)


def keep_template(database: Path) -> None:
    """Keeps the tables that MLflow has just made as the template, where there is none; a failure costs nothing.

    Args:
        database: of a store without any run.
    """
    template = _template()
    if template.exists():
        return
    with suppress(OSError, sqlite3.Error):
        template.parent.mkdir(parents=True, exist_ok=True)
        copied = _temporary(template.parent)
        try:
            _copy(database, copied)
            copied.replace(template)
        finally:
            copied.unlink(missing_ok=True)


def _template() -> Path:
    import mlflow
    import pooch  # here, since importing either takes time that most commands need not spend

    return Path(pooch.os_cache("zerotune")) / f"mlflow-{mlflow.__version__}.db"


def _temporary(folder: Path) -> Path:
    handle, name = tempfile.mkstemp(dir=folder, prefix=".new-", suffix=".db")
    os.close(handle)
    return Path(name)


def _copy(source: Path, target: Path) -> None:
    """Copies a database without the places it knows.

    Raises:
        sqlite3.Error: the source is no intact database of MLflow's.
    """
    uri = f"{source.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as there, closing(sqlite3.connect(target)) as here:
        there.backup(here)
        if here.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("damaged")
        if not here.execute("SELECT version_num FROM alembic_version").fetchone():
            raise sqlite3.DatabaseError("no tables of MLflow's")
        here.execute("DELETE FROM experiments")  # MLflow makes its default one anew
        here.commit()
        here.execute("VACUUM")
