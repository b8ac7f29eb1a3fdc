"""Where the files of data sets lie: in a folder that is named, or in the user's cache of downloads."""

import os
from pathlib import Path


def resolve_data_folder(data_folder: str | None) -> str | None:
    """The folder to look in: the one given, else $ZEROTUNE_DATA; None where neither names one."""
    return data_folder or os.environ.get("ZEROTUNE_DATA") or None


def cache_folder(data_set: str) -> Path:
    """Where downloads of a data set are kept; it need not exist yet."""
    import pooch  # only here: it takes 0.2 s to import, and most runs read a folder

    return Path(pooch.os_cache("zerotune")) / data_set
