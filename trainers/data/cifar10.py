"""CIFAR-10: 60,000 photographs of 32 x 32 in 10 classes (Krizhevsky, "Learning Multiple Layers of Features", 2009).

Three sources:

- `cifar10` holds out the last 5,000 training images for validation, 45,000 / 5,000 / 10,000, as He et al. (arXiv
  1512.03385, Section 4.2);
- `cifar10-50k` trains on all 50,000, as LIMIT's full batch;
- `cifar10-part` reads one training file of any size, for development.

Training images are randomly cropped and flipped in every epoch.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from .byte_images import ByteImages, crop_and_mirror, normalisation
from .cifar10_files import NUM_CLASSES, Records, needs_download, read_part, read_published
from .dataset import Dataset, DataSource

IMAGE_SHAPE = (3, 32, 32)
NUM_VALIDATION = 5_000
PIXEL_MEANS, PIXEL_DEVIATIONS = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
"""Per channel (red, green, blue), of the training images' pixels in [0, 1]."""


def build_images(records: NDArray[np.uint8], *, augment: bool = False) -> ByteImages:
    """Build a split of records; its batches are (B, 3, 32, 32), float32, normalised per channel.

    Args:
        records: (n, 3073), a label and its pixels each.
        augment: whether to crop and flip images at random.
    """
    return ByteImages(
        inputs=torch.from_numpy(records[:, 1:].reshape(-1, *IMAGE_SHAPE).copy()),
        targets=torch.from_numpy(records[:, 0].astype(np.int64)),
        augment=crop_and_mirror if augment else None,
        **normalisation(PIXEL_MEANS, PIXEL_DEVIATIONS),
    )


def load(read: Callable[[str | None], Records], data_folder: str | None, *, holds_out: bool = True) -> Dataset:
    """Load CIFAR-10 into memory, on the CPU; the last training images, in file order, are for validation.

    Args:
        read: `read_published`, of which 5,000 are for validation, or `read_part`, of which a tenth is.
        data_folder: as in `read`.
        holds_out: whether the validation images are excluded from training. If not, validation measures nothing unseen:
            never choose anything by it.

    Raises:
        DataError: a file is missing, truncated or invalid.
    """
    training, test = read(data_folder)
    num_train = len(training) - (NUM_VALIDATION if read is read_published else len(training) // 10)
    return Dataset(
        train=build_images(training[:num_train] if holds_out else training, augment=True),
        validation=build_images(training[num_train:]),
        test=build_images(test),
        info={"num_classes": NUM_CLASSES},
    )


CIFAR10 = DataSource(
    load=partial(load, read_published),
    num_train=45_000,
    needs_download=needs_download,
    description="CIFAR-10, 45,000 / 5,000 / 10,000 images, from a folder or downloaded (170 MB)",
)
CIFAR10_50K = DataSource(
    load=partial(load, read_published, holds_out=False),
    num_train=50_000,
    holds_out=False,
    needs_download=needs_download,
    description="CIFAR-10, trained on all 50,000, validation included: for stated configurations, not for searching",
)
CIFAR10_PART = DataSource(
    load=partial(load, read_part),
    num_train=9_000,
    description="only data_batch_1.bin and test_batch.bin, of any size: nine tenths of the first for training",
)
