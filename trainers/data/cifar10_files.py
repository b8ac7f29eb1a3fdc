"""The binary files of CIFAR-10: read and checked, from a folder, from $ZEROTUNE_DATA, or downloaded and cached.

Format (the binary version on the data set's page): records of 3,073 bytes, the label 0..9, then 1,024 red, 1,024 green
and 1,024 blue bytes, row by row. This module must not know what is made of the records.
"""

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from .data_folder import cache_folder, resolve_data_folder
from .dataset import DataError

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
ARCHIVE_HASH = "md5:c32a1d4ab5d03f1284b67883e8d87530"
"""Published beside the archive on the data set's own page."""
INNER_FOLDER = "cifar-10-batches-bin"
"""The folder inside the archive."""
RECORD_BYTES = 1 + 3 * 32 * 32
NUM_CLASSES = 10


@dataclass(frozen=True, kw_only=True)
class BatchFile:
    """A file of labelled images.

    Attributes:
        name: file name.
        num_images: images it must hold; None for any number above 0.
        sha1: hash of the published file; None for any content.
    """

    name: str
    num_images: int | None = None
    sha1: str | None = None

    def read(self, data_folder: Path) -> NDArray[np.uint8]:
        """The records (n, 3073) of the file in `data_folder`, a label and its pixels each.

        Raises:
            DataError: it is missing, cut short, malformed, or not the published one.
        """
        path = data_folder / self.name
        if not path.is_file():
            raise DataError(f"{path}: no such file: put CIFAR-10's binary files there.")
        content = path.read_bytes()
        if not content or len(content) % RECORD_BYTES:
            raise DataError(
                f"{path}: cut short or not CIFAR-10's binary form: expected records of {RECORD_BYTES} bytes, found "
                f"{len(content)} bytes; fetch it again."
            )
        records = np.frombuffer(content, np.uint8).reshape(-1, RECORD_BYTES)
        if self.num_images is not None and len(records) != self.num_images:
            raise DataError(
                f"{path}: expected {self.num_images} images of {RECORD_BYTES} bytes, found {len(records)}: fetch it "
                "again, or take the source cifar10-part for a part of the data set."
            )
        labels = records[:, 0]
        if labels.max() >= NUM_CLASSES:
            record = int(labels.argmax())
            raise DataError(
                f"{path}: the label of image {record}, at byte {record * RECORD_BYTES}, is {labels[record]}; expected "
                f"0 to {NUM_CLASSES - 1}: it is not in CIFAR-10's binary form, or damaged; fetch it again."
            )
        if self.sha1 is not None and hashlib.sha1(content, usedforsecurity=False).hexdigest() != self.sha1:
            raise DataError(
                f"{path}: has CIFAR-10's form but not its content (SHA-1 differs): fetch it again, or take the source "
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
"""The published files; their hashes are those that Apache MXNet checks them by (gluon/data/vision/datasets.py)."""

Records = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Records (n, 3073) for training and validation, and for test."""


def read_published(data_folder: str | None) -> Records:
    """All 50,000 and 10,000 records of the published files.

    Args:
        data_folder: the folder that holds the six files, or that has them in cifar-10-batches-bin or cifar10. None
            takes $ZEROTUNE_DATA; where that is not set either, the files are downloaded once into the user's cache.

    Raises:
        DataError: a file is missing, cut short or not the original, or the download failed.
    """
    chosen = resolve_data_folder(data_folder)
    where = _download() if chosen is None else _find_folder(chosen)
    return np.concatenate([file.read(where) for file in TRAIN_FILES]), TEST_FILE.read(where)


def read_part(data_folder: str | None) -> Records:
    """The records of data_batch_1.bin and test_batch.bin alone, of any number and content; nothing is downloaded.

    Raises:
        DataError: no folder is named, or a file is missing, cut short or malformed.
    """
    chosen = resolve_data_folder(data_folder)
    if chosen is None:
        raise DataError(
            "data_batch_1.bin: no folder is named: the source cifar10-part reads it and test_batch.bin from "
            "data.folder, --data DIR or $ZEROTUNE_DATA."
        )
    where = _find_folder(chosen)
    training = BatchFile(name=TRAIN_FILES[0].name).read(where)
    if len(training) < NUM_CLASSES:
        raise DataError(f"{where / TRAIN_FILES[0].name}: {len(training)} images are too few; expected at least 10.")
    return training, BatchFile(name=TEST_FILE.name).read(where)


def needs_download(data_folder: str | None) -> bool:
    """Whether `read_published(folder)` would fetch the archive: no folder is named, and the cache lacks a file."""
    return resolve_data_folder(data_folder) is None and not _is_cached()


def _find_folder(data_folder: str) -> Path:
    """The folder that holds the files: one with CIFAR-10's name inside `data_folder`, or itself.

    Raises:
        DataError: there is no such folder.
    """
    for where in (Path(data_folder) / INNER_FOLDER, Path(data_folder) / "cifar10", Path(data_folder)):
        if where.is_dir():
            return where
    raise DataError(
        f"{data_folder}: no such folder: it should hold CIFAR-10's binary files (data_batch_1.bin ...), or a folder "
        f"{INNER_FOLDER} or cifar10 with them."
    )


def _is_cached() -> bool:
    return all((cache_folder("cifar10") / file.name).exists() for file in (*TRAIN_FILES, TEST_FILE))


def _download() -> Path:
    """The folder in the user's cache with the published files, fetched where it lacks one."""
    import pooch

    cache = cache_folder("cifar10")
    if _is_cached():
        return cache
    try:
        archive = Path(pooch.retrieve(URL, known_hash=ARCHIVE_HASH, fname="cifar-10-binary.tar.gz", path=cache))
    except (OSError, ValueError) as error:  # pooch's word for another hash is ValueError
        raise DataError(
            f"{URL}: cannot be downloaded to {cache} ({error}): check the network, or name a folder that holds "
            "CIFAR-10's binary files (ZEROTUNE_DATA)."
        ) from error
    with tarfile.open(archive) as tar:
        for file in (*TRAIN_FILES, TEST_FILE):
            inner = cast(IO[bytes], tar.extractfile(f"{INNER_FOLDER}/{file.name}"))  # the hash vouches for it
            unfinished = cache / f"{file.name}.part"
            unfinished.write_bytes(inner.read())
            unfinished.replace(cache / file.name)
    archive.unlink()
    return cache
