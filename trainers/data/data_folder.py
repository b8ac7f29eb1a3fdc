"""Locations of data sets' files: the data folder, or the user's cache of downloads."""

import os
from pathlib import Path


def resolve_data_folder(data_folder: str | None) -> str | None:
    """Return the data folder, else $ZEROTUNE_DATA, else None."""
    return data_folder or os.environ.get("ZEROTUNE_DATA") or None


def cache_folder(data_set: str) -> Path:
    """Return the folder for downloads of a data set; it may not exist yet."""
    import pooch  # imported here: it takes 0.2 s, and most runs download nothing

    return Path(pooch.os_cache("zerotune")) / data_set
