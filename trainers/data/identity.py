"""Identity of data: whether two trainings read the same files, or the same samples in memory.

A configuration names a data source and its options, but not what the source reads. This module must not know which data
sets exist.
"""

import hashlib
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import torch

from .data_folder import resolve_data_folder
from .dataset import Dataset, TensorSplit

MOST_ENTRIES = 20_000
"""Limit on files and folders; a larger data folder gets no identity, rather than delaying the study."""


def folder_identity(data_folder: str | None) -> str | None:
    """Identify the files that a shipped data source reads by their paths, sizes and modification times.

    Two levels of the folder are scanned. A folder's time changes when an entry is added or removed, so a changed class
    of ImageNet is noticed, but not an image that was overwritten.

    Args:
        data_folder: `Placement.data_folder`. None uses $ZEROTUNE_DATA, else the source's own files: a package's, or a
            download whose hash was checked.

    Returns:
        Sixteen hex digits, or "own" for the source's own files; None if the folder cannot be read or is too large.
    """
    chosen = resolve_data_folder(data_folder)
    if chosen is None:
        return "own"
    root = Path(chosen).resolve()
    try:
        entries = list(islice(_two_levels(root), MOST_ENTRIES + 1))
        described = sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in entries)
    except OSError:
        return None
    if len(described) > MOST_ENTRIES:
        return None
    return hashlib.sha256(repr((str(root), described)).encode()).hexdigest()[:16]


def _two_levels(root: Path) -> Iterator[Path]:
    for path in root.iterdir():
        yield from chain([path], path.iterdir() if path.is_dir() else ())


def content_identity(data: Dataset) -> str | None:
    """Identify samples in memory by their values, independent of where they were loaded from.

    Returns:
        Sixteen hex digits; None if a split loads its samples while training.
    """
    digest = hashlib.sha256(repr(sorted(data.info.items())).encode())
    for split in (data.train, data.validation, data.test):
        if not isinstance(split, TensorSplit):
            return None
        for tensor in (split.inputs, split.targets):
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
