"""The MNIST database of handwritten digits, from a data folder, from $ZEROTUNE_DATA, or downloaded and cached.

Source: LeCun, Cortes and Burges. Two splits, both LIMIT's (Section 3.1): `mnist` is 55,000 / 5,000 / 10,000, with the
end of the training set as validation; `mnist60k` is 60,000 / 10,000, with nothing held out to choose by.
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .data_folder import cache_folder, download, find_folder, resolve_data_folder
from .dataset import DataError, Dataset, DataSource, TensorSplit
from .idx import IdxFile

MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
NUM_TRAIN, NUM_ALL = 55_000, 60_000
"""Training samples: the last 5,000 of the 60,000 are for validation (LIMIT), or all."""
PIXEL_MEAN, PIXEL_DEVIATION = 0.1307, 0.3081
"""Mean and standard deviation of the training pixels in [0, 1]."""

TRAIN_IMAGES = IdxFile(
    name="train-images-idx3-ubyte",
    shape=(60_000, 28, 28),
    sha256="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
)
TRAIN_LABELS = IdxFile(
    name="train-labels-idx1-ubyte",
    shape=(60_000,),
    sha256="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
)
TEST_IMAGES = IdxFile(
    name="t10k-images-idx3-ubyte",
    shape=(10_000, 28, 28),
    sha256="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
)
TEST_LABELS = IdxFile(
    name="t10k-labels-idx1-ubyte",
    shape=(10_000,),
    sha256="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
WHAT = "MNIST's four IDX files"


def build_split(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> TensorSplit:
    """Build a split of normalised images and their labels.

    Args:
        images: (n, 28, 28), 0..255.
        labels: (n,), 0..9.

    Returns:
        Inputs (n, 1, 28, 28), float32, of mean about 0 and standard deviation about 1; targets (n,), int64.
    """
    inputs = torch.from_numpy(images.astype(np.float32)).div_(255.0).sub_(PIXEL_MEAN).div_(PIXEL_DEVIATION)
    return TensorSplit(inputs=inputs.unsqueeze(1), targets=torch.from_numpy(labels.astype(np.int64)))


def load(data_folder: str | None, *, num_train: int = NUM_TRAIN) -> Dataset:
    """Load MNIST into memory, on the CPU.

    Args:
        data_folder: holds the four IDX files (.gz or not), directly or in a folder mnist. None uses $ZEROTUNE_DATA; if
            that is not set either, the files are downloaded once into the user's cache.
        num_train: 55,000, or 60,000 for all images in the training split (LIMIT, Table 2 and footnote 1; DATE, Table
            2). NEVER CHOOSE ANYTHING BY THE VALIDATION SPLIT then: it is the last 5,000 training images. It is only for
            configurations that are stated or were chosen elsewhere; report the test score.

    Raises:
        DataError: a file is missing, truncated or not the original, or the download failed.
    """
    train_images, train_labels, test_images, test_labels = (file.read(path) for file, path in _locate(data_folder))
    return Dataset(
        train=build_split(train_images[:num_train], train_labels[:num_train]),
        validation=build_split(train_images[NUM_TRAIN:], train_labels[NUM_TRAIN:]),
        test=build_split(test_images, test_labels),
    )


def check(data_folder: str | None, *, num_train: int = NUM_TRAIN) -> int:
    """Check that all files exist and have the right size; download them if `load` would. Return `num_train`.

    Raises:
        DataError: a file is missing or truncated, or the download failed.
    """
    for file, path in _locate(data_folder):
        file.check(path)
    return num_train


def needs_download(data_folder: str | None) -> bool:
    """Whether `load(data_folder)` would download: no data folder is set, and the cache lacks one of the files."""
    return resolve_data_folder(data_folder) is None and not all(_cache_path(file).exists() for file in FILES)


def _locate(data_folder: str | None) -> list[tuple[IdxFile, Path]]:
    """Return the four files and the path of each."""
    chosen = resolve_data_folder(data_folder)
    if chosen is None:
        return [(file, _download(file)) for file in FILES]
    where = find_folder(chosen, WHAT, "mnist")
    return [(file, file.path_in(where)) for file in FILES]


def _cache_path(file: IdxFile) -> Path:
    """Return the path of the file's download, which may not exist."""
    return cache_folder("mnist") / f"{file.name}.gz"


def _download(file: IdxFile) -> Path:
    """Return the file in the user's cache; download it if missing, and keep it only if it is the original."""
    path = _cache_path(file)
    is_new = not path.exists()
    download(f"{MIRROR}{path.name}", path.parent, WHAT, known_hash=None)
    if is_new:
        try:
            file.read(path)
        except DataError:
            path.unlink()
            raise
    return path


MNIST = DataSource(
    load=load,
    check=check,
    num_train=NUM_TRAIN,
    needs_download=needs_download,
    description="MNIST, 55,000 / 5,000 / 10,000 images, from a folder or downloaded (11 MB)",
)
MNIST60K = DataSource(
    load=partial(load, num_train=NUM_ALL),
    check=partial(check, num_train=NUM_ALL),
    num_train=NUM_ALL,
    holds_out=False,
    needs_download=needs_download,
    description="MNIST, trained on all 60,000, validation included: for stated configurations, not for searching",
)
