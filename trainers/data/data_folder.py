"""Locations of data sets' files: the data folder, or the user's cache of downloads."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .dataset import DataError


def resolve_data_folder(data_folder: str | None) -> str | None:
    """Return the data folder, else $ZEROTUNE_DATA, else None."""
    return data_folder or os.environ.get("ZEROTUNE_DATA") or None


@contextmanager
def located_folders() -> Iterator[list[str]]:
    """Tell in which folders `find_folder` finds files inside the block."""
    found: list[str] = []
    _listening.append(found)
    try:
        yield found
    finally:
        _listening.remove(found)


_listening: list[list[str]] = []


def cache_folder(data_set: str) -> Path:
    """Return the folder for downloads of a data set; it may not exist yet."""
    import pooch  # imported here: it takes 0.2 s, and most runs download nothing

    return Path(pooch.os_cache("zerotune")) / data_set


def find_folder(data_folder: str, files: str, *inner: str) -> Path:
    """Return the folder with a data set's files: one of the folders `inner` in the data folder, or that folder itself.

    Args:
        data_folder: the data folder.
        files: what the folder should hold, for the error message.
        inner: the data set's own folder in a folder of data sets, by the names that it may have.

    Raises:
        DataError: the data folder does not exist.
    """
    for folder in (*(Path(data_folder) / name for name in inner), Path(data_folder)):
        if folder.is_dir():
            for found in _listening:
                found.append(str(folder))
            return folder
    names = " or ".join(inner)
    raise DataError(f"{data_folder}: no such folder: it should hold {files}, or a folder {names} with them.")


def download(url: str, folder: Path, files: str, *, known_hash: str | None) -> Path:
    """Return the download of a file, which is kept in `folder`.

    Args:
        url: the file's address.
        folder: folder of the cache.
        files: what a data folder should hold, for the error message.
        known_hash: hash of the file, as pooch takes it; None to accept any content.

    Raises:
        DataError: the file cannot be downloaded, or is another one.
    """
    import pooch

    try:
        return Path(pooch.retrieve(url, known_hash=known_hash, fname=url.rpartition("/")[2], path=folder))
    except (OSError, ValueError) as error:  # pooch raises ValueError for a wrong hash
        raise DataError(
            f"{url}: cannot be downloaded to {folder} ({error}): check the network, or set a data folder with "
            f"{files} (--data or ZEROTUNE_DATA)."
        ) from error
