"""Whether two trainings were given the same data: what identifies a folder of files, or samples in memory.

A configuration names a data source and its options; what the source finds is not in it. This module must not know which
data sets exist.
"""

import hashlib
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import torch

from .data_folder import resolve_data_folder
from .dataset import Dataset, TensorSplit

MOST_ENTRIES = 20_000
"""Files and folders looked at; a folder with more of them is not identified, rather than holding a study up."""


def folder_identity(data_folder: str | None) -> str | None:
    """What identifies the files that a shipped data source reads: where they lie, their names, sizes and dates.

    Two levels are looked at. A folder's date changes with whatever is added to or removed from it, so that this notices
    a changed class of ImageNet's, but not an image of it that was written over.

    Args:
        data_folder: as `Placement.data_folder`; None for $ZEROTUNE_DATA, else the source's own, which is a package's or
            a download whose hash was checked.

    Returns:
        Sixteen hex digits, or "own" for the source's own; None where the folder cannot be read or holds too much.
    """
    chosen = resolve_data_folder(data_folder)
    if chosen is None:
        return "own"
    root = Path(chosen).resolve()
    try:
        entries = list(islice(_two_levels(root), MOST_ENTRIES + 1))
        info = sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in entries)
    except OSError:
        return None
    if len(info) > MOST_ENTRIES:
        return None
    return hashlib.sha256(repr((str(root), info)).encode()).hexdigest()[:16]


def _two_levels(root: Path) -> Iterator[Path]:
    for path in root.iterdir():
        yield from chain([path], path.iterdir() if path.is_dir() else ())


def content_identity(data: Dataset) -> str | None:
    """What identifies samples in memory, whoever loaded them from wherever: their numbers.

    Returns:
        Sixteen hex digits; None where a split loads its samples while training.
    """
    digest = hashlib.sha256(repr(sorted(data.info.items())).encode())
    for split in (data.train, data.validation, data.test):
        if not isinstance(split, TensorSplit):
            return None
        for tensor in (split.inputs, split.targets):
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
