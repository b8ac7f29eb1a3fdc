"""CIFAR-10's binary files: read and checked from a data folder, from $ZEROTUNE_DATA, or downloaded and cached.

Format (the binary version on the data set's page): records of 3,073 bytes: the label 0..9, then 1,024 red, 1,024 green
and 1,024 blue bytes in row-major order. This module must not know how records are used.
"""

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from .data_folder import cache_folder, download, find_folder, resolve_data_folder
from .dataset import DataError

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
ARCHIVE_HASH = "md5:c32a1d4ab5d03f1284b67883e8d87530"
"""Published beside the archive on the data set's page."""
INNER_FOLDER = "cifar-10-batches-bin"
"""The folder inside the archive."""
FOLDERS = (INNER_FOLDER, "cifar10")
"""Folders that may hold the files in a folder of data sets."""
FILES = "CIFAR-10's binary files (data_batch_1.bin ...)"
RECORD_BYTES = 1 + 3 * 32 * 32
NUM_CLASSES = 10


@dataclass(frozen=True, kw_only=True)
class BatchFile:
    """A file of labelled images.

    Attributes:
        name: file name.
        num_images: required number of images; None for any number above 0.
        sha1: hash of the published file; None to accept any content.
    """

    name: str
    num_images: int | None = None
    sha1: str | None = None

    def read(self, folder: Path) -> NDArray[np.uint8]:
        """Return the records (n, 3073) of the file in `folder`, a label and its pixels each.

        Raises:
            DataError: the file is missing, truncated, malformed, or not the published one.
        """
        path = folder / self.name
        if not path.is_file():
            raise DataError(f"{path}: no such file: put CIFAR-10's binary files there.")
        content = path.read_bytes()
        if not content or len(content) % RECORD_BYTES:
            raise DataError(
                f"{path}: truncated or not in CIFAR-10's binary format: expected records of {RECORD_BYTES} bytes, "
                f"found {len(content)} bytes; download it again."
            )
        records = np.frombuffer(content, np.uint8).reshape(-1, RECORD_BYTES)
        if self.num_images is not None and len(records) != self.num_images:
            raise DataError(
                f"{path}: expected {self.num_images} images of {RECORD_BYTES} bytes, found {len(records)}: download it "
                "again, or use the source cifar10-part for a part of the data set."
            )
        labels = records[:, 0]
        if labels.max() >= NUM_CLASSES:
            record = int(labels.argmax())
            raise DataError(
                f"{path}: the label of image {record}, at byte {record * RECORD_BYTES}, is {labels[record]}; expected "
                f"0 to {NUM_CLASSES - 1}: not CIFAR-10's binary format, or damaged; download it again."
            )
        if self.sha1 is not None and hashlib.sha1(content, usedforsecurity=False).hexdigest() != self.sha1:
            raise DataError(
                f"{path}: CIFAR-10's format but not its content (SHA-1 differs): download it again, or use the source "
                "cifar10-part for other images."
            )
        return records


TRAIN_FILES = tuple(
    BatchFile(name=f"data_batch_{number}.bin", num_images=10_000, sha1=sha1)
    for number, sha1 in enumerate(
        (
            "aadd24acce27caa71bf4b10992e9e7b2d74c2540",
            "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795",
            "1dd00a74ab1d17a6e7d73e185b69dbf31242f295",
            "aab85764eb3584312d3c7f65fd2fd016e36a258e",
            "26e2849e66a845b7f1e4614ae70f4889ae604628",
        ),
        start=1,
    )
)
TEST_FILE = BatchFile(name="test_batch.bin", num_images=10_000, sha1="67eb016db431130d61cd03c7ad570b013799c88c")
"""The published files; the hashes are those that Apache MXNet checks (gluon/data/vision/datasets.py)."""

Records = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Records (n, 3073) for training and validation, and records for test."""


def read_published(data_folder: str | None) -> Records:
    """Read all 50,000 and 10,000 records of the published files.

    Args:
        data_folder: holds the six files, directly or in a folder cifar-10-batches-bin or cifar10. None uses
            $ZEROTUNE_DATA; if that is not set either, the files are downloaded once into the user's cache.

    Raises:
        DataError: a file is missing, truncated or not the original, or the download failed.
    """
    chosen = resolve_data_folder(data_folder)
    where = _download() if chosen is None else find_folder(chosen, FILES, *FOLDERS)
    return np.concatenate([file.read(where) for file in TRAIN_FILES]), TEST_FILE.read(where)


def read_part(data_folder: str | None) -> Records:
    """Read only data_batch_1.bin and test_batch.bin, of any size and content; download nothing.

    Raises:
        DataError: no data folder is set, or a file is missing, truncated or malformed.
    """
    chosen = resolve_data_folder(data_folder)
    if chosen is None:
        raise DataError(
            "data_batch_1.bin: no data folder is set: the source cifar10-part reads it and test_batch.bin from "
            "data.folder, --data DIR or $ZEROTUNE_DATA."
        )
    where = find_folder(chosen, FILES, *FOLDERS)
    training = BatchFile(name=TRAIN_FILES[0].name).read(where)
    if len(training) < NUM_CLASSES:
        raise DataError(f"{where / TRAIN_FILES[0].name}: {len(training)} images are too few; expected at least 10.")
    return training, BatchFile(name=TEST_FILE.name).read(where)


def needs_download(data_folder: str | None) -> bool:
    """Whether `read_published(data_folder)` would download: no data folder is set, and the cache lacks a file."""
    return resolve_data_folder(data_folder) is None and not _is_cached()


def _is_cached() -> bool:
    return all((cache_folder("cifar10") / file.name).exists() for file in (*TRAIN_FILES, TEST_FILE))


def _download() -> Path:
    """Return the cache folder with the published files; download them if one is missing."""
    cache = cache_folder("cifar10")
    if _is_cached():
        return cache
    archive = download(URL, cache, "CIFAR-10's binary files", known_hash=ARCHIVE_HASH)
    with tarfile.open(archive) as tar:
        for file in (*TRAIN_FILES, TEST_FILE):
            inner = cast(IO[bytes], tar.extractfile(f"{INNER_FOLDER}/{file.name}"))  # the hash guarantees it
            unfinished = cache / f"{file.name}.part"
            unfinished.write_bytes(inner.read())
            unfinished.replace(cache / file.name)
    archive.unlink()
    return cache
