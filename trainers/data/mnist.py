"""The MNIST database of handwritten digits, from a folder, from $ZEROTUNE_DATA, or downloaded and cached.

Source: LeCun, Cortes and Burges. Two splits, both LIMIT's (Section 3.1): `mnist` is 55,000 / 5,000 / 10,000, where
validation is the end of the training set; `mnist60k` is 60,000 / 10,000, where nothing is left to choose by.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .data_folder import cache_folder, resolve_data_folder
from .dataset import DataError, Dataset, DataSource, TensorSplit
from .idx import IdxFile

MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
NUM_TRAIN = 55_000
"""Training samples; the other 5,000 of the 60,000 are for validation (LIMIT)."""
PIXEL_MEAN, PIXEL_DEVIATION = 0.1307, 0.3081
"""Mean and standard deviation of the training pixels, scaled to 0..1."""

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


def build_split(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> TensorSplit:
    """Normalised images with their labels.

    Args:
        images: (n, 28, 28), 0..255.
        labels: (n,), 0..9.

    Returns:
        Inputs (n, 1, 28, 28), float32, of mean about 0 and deviation about 1; targets (n,), int64.
    """
    inputs = torch.from_numpy(images.astype(np.float32)).div_(255.0).sub_(PIXEL_MEAN).div_(PIXEL_DEVIATION)
    return TensorSplit(inputs=inputs.unsqueeze(1), targets=torch.from_numpy(labels.astype(np.int64)))


def load(data_folder: str | None) -> Dataset:
    """MNIST in memory, on the CPU.

    Args:
        data_folder: the folder with the four IDX files (.gz or not), or the one that holds it as "mnist". None takes
            $ZEROTUNE_DATA; where that is not set either, the files are downloaded once into the user's cache.

    Raises:
        DataError: a file is missing, cut short or not the original, or the download failed.
    """
    train_images, train_labels, test_images, test_labels = (file.read(path) for file, path in _locate(data_folder))
    return Dataset(
        train=build_split(train_images[:NUM_TRAIN], train_labels[:NUM_TRAIN]),
        validation=build_split(train_images[NUM_TRAIN:], train_labels[NUM_TRAIN:]),
        test=build_split(test_images, test_labels),
    )


def load_60k(data_folder: str | None) -> Dataset:
    """MNIST with all 60,000 training images trained on (LIMIT, Table 2 and footnote 1; DATE, Table 2).

    NOTHING MAY BE CHOSEN BY ITS VALIDATION: it is the last 5,000 training images, which the model has seen. So only
    configurations that were chosen elsewhere, or are stated, belong on it; test is what counts.

    Args:
        data_folder: as `load` takes it.

    Raises:
        DataError: as `load`.
    """
    train_images, train_labels, test_images, test_labels = (file.read(path) for file, path in _locate(data_folder))
    train = build_split(train_images, train_labels)
    seen = TensorSplit(inputs=train.inputs[NUM_TRAIN:], targets=train.targets[NUM_TRAIN:])
    return Dataset(train=train, validation=seen, test=build_split(test_images, test_labels))


def check(data_folder: str | None) -> int:
    """Tests that `load(folder)` will find files of the right size; downloads them where `load` would.

    Returns:
        Number of training samples.

    Raises:
        DataError: a file is missing or cut short, or the download failed.
    """
    for file, path in _locate(data_folder):
        file.check(path)
    return NUM_TRAIN


def check_60k(data_folder: str | None) -> int:
    """Tests as `check` does.

    Returns:
        Number of training samples.

    Raises:
        DataError: as `check`.
    """
    check(data_folder)
    return TRAIN_LABELS.shape[0]


def needs_download(data_folder: str | None) -> bool:
    """Whether `load(folder)` would fetch a file: no folder is named, and the user's cache does not hold all four."""
    return resolve_data_folder(data_folder) is None and not all(_cache_path(file).exists() for file in FILES)


def _locate(data_folder: str | None) -> list[tuple[IdxFile, Path]]:
    """The four files and where each lies."""
    chosen = resolve_data_folder(data_folder)
    if chosen is None:
        return [(file, _download(file)) for file in FILES]
    inner = Path(chosen) / "mnist"
    where = inner if inner.is_dir() else Path(chosen)
    if not where.is_dir():
        raise DataError(f"{where}: no such folder: it should hold MNIST's four IDX files, or a folder mnist with them.")
    return [(file, file.path_in(where)) for file in FILES]


def _cache_path(file: IdxFile) -> Path:
    """Where a download of the file lies, or would lie."""
    return cache_folder("mnist") / f"{file.name}.gz"


def _download(file: IdxFile) -> Path:
    """The file in the user's cache, fetched where it is not there; one that is not the original is not kept."""
    import pooch  # only here: it takes 0.2 s to import, and most runs read a folder

    url, path = f"{MIRROR}{file.name}.gz", _cache_path(file)
    is_new = not path.exists()
    try:
        pooch.retrieve(url, known_hash=None, fname=path.name, path=path.parent)
    except OSError as error:
        raise DataError(
            f"{url}: cannot be downloaded to {path.parent} ({error}): check the network, or name a folder that holds "
            "MNIST's four IDX files (ZEROTUNE_DATA)."
        ) from error
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
    load=load_60k,
    check=check_60k,
    num_train=TRAIN_LABELS.shape[0],
    holds_out=False,
    needs_download=needs_download,
    description="MNIST, all 60,000 trained on, validation among them: for stated configurations, not for searching",
)
