"""CIFAR-10: 60,000 photographs of 32 x 32 in 10 classes (Krizhevsky, "Learning Multiple Layers of Features", 2009).

Three sources: `cifar10` keeps the last 5,000 training images for validation, 45,000 / 5,000 / 10,000, as He et al. do
(arXiv 1512.03385, Section 4.2); `cifar10-50k` trains on all 50,000, as LIMIT's full batch does; `cifar10-part` takes
one training file of any size, for development. Training images are cropped and mirrored anew in every epoch.
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
"""Of the red, green and blue pixels of the training images, scaled to 0..1."""


def build_images(records: NDArray[np.uint8], *, augment: bool = False) -> ByteImages:
    """The images and labels of records (n, 3073): batches (B, 3, 32, 32), float32, normalised channel by channel.

    Args:
        records: a label and its pixels each.
        augment: whether each batch is cropped and mirrored anew.
    """
    return ByteImages(
        inputs=torch.from_numpy(records[:, 1:].reshape(-1, *IMAGE_SHAPE).copy()),
        targets=torch.from_numpy(records[:, 0].astype(np.int64)),
        augment=crop_and_mirror if augment else None,
        **normalisation(PIXEL_MEANS, PIXEL_DEVIATIONS),
    )


def load(
    read: Callable[[str | None], Records], num_validation: Callable[[int], int], data_folder: str | None
) -> Dataset:
    """CIFAR-10 in memory, on the CPU: the last training images are for validation, in the order of the files.

    Args:
        read: `read_published` or `read_part`.
        num_validation: training records in all -> those kept for validation.
        data_folder: as `read` takes it.

    Raises:
        DataError: the files are missing, cut short or not what they should be.
    """
    training, test = read(data_folder)
    num_train = len(training) - num_validation(len(training))
    return Dataset(
        train=build_images(training[:num_train], augment=True),
        validation=build_images(training[num_train:]),
        test=build_images(test),
        info={"num_classes": NUM_CLASSES},
    )


def load_all_50k(data_folder: str | None) -> Dataset:
    """The published data set with all 50,000 training images trained on; validation is the last 5,000 of them.

    So validation is no measure of anything unseen, and nothing may be chosen by it.

    Raises:
        DataError: as `load`.
    """
    training, test = read_published(data_folder)
    return Dataset(
        train=build_images(training, augment=True),
        validation=build_images(training[-NUM_VALIDATION:]),
        test=build_images(test),
        info={"num_classes": NUM_CLASSES},
    )


CIFAR10 = DataSource(
    load=partial(load, read_published, lambda num_images: NUM_VALIDATION),
    num_train=45_000,
    needs_download=needs_download,
    description="CIFAR-10, 45,000 / 5,000 / 10,000 images, from a folder or downloaded (170 MB)",
)
CIFAR10_50K = DataSource(
    load=load_all_50k,
    num_train=50_000,
    holds_out=False,
    needs_download=needs_download,
    description="CIFAR-10, all 50,000 trained on, validation among them: for stated configurations, not for searching",
)
CIFAR10_PART = DataSource(
    load=partial(load, read_part, lambda num_images: num_images // 10),
    num_train=9_000,
    description="data_batch_1.bin and test_batch.bin alone, of any size: nine tenths of the first for training",
)
