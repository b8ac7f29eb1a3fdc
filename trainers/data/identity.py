"""Identity of data: whether two trainings read the same files, or the same samples in memory.

A configuration names a data source and its options, but not what the source reads. This module must not know which data
sets exist.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from .data_folder import resolve_data_folder
from .dataset import DataError, Dataset, Split, TensorSplit
from .loaded import LoadedSplit

MOST_ENTRIES = 20_000
"""Limit on files and folders; a larger data folder gets no identity, rather than delaying the study."""
MOST_BYTES = 256 * 2**20
"""Limit on the content of files that is read whole, which takes half a second."""
CHUNK_BYTES = 2**20
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
SECONDS_TO_LOAD = 2.0
"""Time to load samples that are not in memory."""
OWN = "own"
"""Identity of the source's own files."""
SAMPLED = "sampled"
"""First word of an identity that covers a part of the samples."""


def folder_identity(data_folder: str | None, located: Sequence[str] | None = None) -> str | None:
    """Identify the files that a shipped data source reads, wherever they are.

    Two levels of each folder are described: names, sizes, and the number of entries of folders on the second level.
    Contents count too: whole up to `MOST_BYTES` in all, else the beginning of each file. So a changed class of ImageNet
    is noticed, but not an image that was overwritten.

    Args:
        data_folder: `Placement.data_folder`. None uses $ZEROTUNE_DATA, else the source's own files: a package's, or a
            download whose hash was checked.
        located: the folders in it in which the source found its files, as `data_folder.located_folders` tells; empty
            if it read none of them. None for all of the data folder.

    Returns:
        "files" and sixteen hex digits, or "own" for the source's own files; None if a folder cannot be read or is too
        large.
    """
    chosen = resolve_data_folder(data_folder)
    if chosen is None or located == []:
        return OWN
    digest = hashlib.sha256()
    try:
        for root in [chosen] if located is None else located:
            entries = sorted(islice(_two_levels(Path(root)), MOST_ENTRIES + 1))
            if len(entries) > MOST_ENTRIES:
                return None
            files = {path for path in entries if path.is_file()}
            is_small = sum(path.stat().st_size for path in files) <= MOST_BYTES
            for path in entries:
                size = path.stat().st_size if path in files else sum(1 for _ in path.iterdir())
                digest.update(repr((path.relative_to(root).as_posix(), size)).encode())
                if path in files:
                    with path.open("rb") as file:
                        while part := file.read(CHUNK_BYTES):
                            digest.update(part)
                            if not is_small:
                                break
    except OSError:
        return None
    return f"files {digest.hexdigest()[:16]}"


def _two_levels(root: Path) -> Iterator[Path]:
    for path in root.iterdir():
        yield from chain([path], path.iterdir() if path.is_dir() else ())


def content_identity(data: Dataset) -> str | None:
    """Identify samples by their values, independent of where they were loaded from.

    Samples in memory are identified by all of their values. Of splits that load their samples while training, 4, 16,
    64, ... samples, spread evenly, are loaded until `SECONDS_TO_LOAD` are over. Of splits of another kind, the first
    batch of an evaluation counts.

    Returns:
        Sixteen hex digits; if samples are not all in memory, `SAMPLED` and a digest for every number of samples, to be
        compared by `is_other_content`; None if a split of another kind cannot be read or gives other batches each time.
    """
    splits = (data.train, data.validation, data.test)
    digest = hashlib.sha256(_describe(data.info).encode())
    loaded = [split for split in splits if isinstance(split, LoadedSplit)]
    is_whole = not loaded
    for split in splits:
        if isinstance(split, TensorSplit):
            _update(digest, split.inputs)
            _update(digest, split.targets)
        elif isinstance(split, LoadedSplit):
            digest.update(f"{len(split)}".encode())
        else:
            first, again = _first_batch(split), _first_batch(split)
            if first is None or first != again:
                return None
            digest.update(first)
            is_whole = False
    if is_whole:
        return digest.hexdigest()[:16]
    return f"{SAMPLED} " + " ".join(
        [f"0:{digest.hexdigest()[:16]}", *(f"{num}:{found}" for num, found in _sampled(loaded, digest))]
    )


def is_complete(identity: str | None) -> bool:
    """Whether an identity covers every sample."""
    return bool(identity) and not str(identity).startswith(SAMPLED)


def is_other_content(one: str, other: str) -> bool:
    """Return whether two identities of data differ in what both know; identities of two kinds cannot be compared.

    >>> more, other = "sampled 0:a 4:b 16:c", "sampled 0:a 4:x"
    >>> is_other_content("sampled 0:a 4:b", more), is_other_content("sampled 0:a 4:b", other)
    (False, True)
    """
    kind, found = _parts(one)
    other_kind, other_found = _parts(other)
    if kind != other_kind:
        return OWN in (kind, other_kind)
    return any(found[key] != other_found[key] for key in found.keys() & other_found)


def _parts(identity: str) -> tuple[str, dict[str, str]]:
    """Return the kind of an identity and its digests, by the number of samples if they are of a part."""
    *kind, first = identity.split(" ")[:2]
    if kind == [SAMPLED]:
        return SAMPLED, dict(part.split(":", 1) for part in identity.split(" ")[1:] if ":" in part)
    return (first, {}) if first == OWN else (" ".join(kind), {"": first})


def _sampled(splits: list[LoadedSplit], digest: Any) -> Iterator[tuple[int, str]]:
    """Yield numbers of samples a split and a digest of them, until the time is over or all samples are loaded."""
    deadline, num = time.monotonic() + SECONDS_TO_LOAD, 4
    with suppress(DataError):  # a trial reports it
        identify = _identifier(splits)
        while splits and identify is not None:
            for split in splits:
                for position in np.unique(np.linspace(0, len(split) - 1, min(num, len(split)), dtype=int)).tolist():
                    if time.monotonic() > deadline:
                        return
                    identify(digest, split, position)
            yield num, digest.hexdigest()[:16]
            if num >= max(map(len, splits)):
                return
            num *= 4


def _first_batch(split: Split) -> bytes | None:
    digest = hashlib.sha256(f"{len(split)}".encode())
    try:
        for batch in islice(split.batches(islice(split.evaluation_keys(), 1)), 1):
            _update(digest, batch)
    except Exception:  # the user's own code may raise anything; a trial reports it
        return None
    return digest.digest()


def _identifier(splits: list[LoadedSplit]) -> "Callable[[Any, LoadedSplit, int], None] | None":
    """Return how a sample enters a digest: with its inputs, unless these differ when loaded twice; None if all does."""

    def with_inputs(digest: Any, split: LoadedSplit, position: int) -> None:
        _update(digest, split.load_samples([position]))

    def targets_alone(digest: Any, split: LoadedSplit, position: int) -> None:
        _update(digest, split.load_samples([position])[1])

    for identify in (with_inputs, targets_alone):
        twice = [hashlib.sha256(), hashlib.sha256()]
        for digest in twice:
            for split in splits:
                identify(digest, split, 0)
        if twice[0].digest() == twice[1].digest():
            return identify
    return None


def _update(digest: Any, values: Any) -> None:
    for leaf in tree_leaves(values):
        if isinstance(leaf, Tensor):
            digest.update(f"{leaf.dtype}{tuple(leaf.shape)}".encode())
            digest.update(leaf.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        else:
            digest.update(_describe(leaf).encode())


def _describe(value: Any) -> str:
    """Return a text of a value that is the same in every process: without addresses, and sets in order."""
    if isinstance(value, Mapping):
        value = sorted((key, _sorted_set(each)) for key, each in value.items())
    return _ADDRESS.sub("", repr(_sorted_set(value)))


def _sorted_set(value: Any) -> Any:
    return sorted(value, key=repr) if isinstance(value, set | frozenset) else value
