"""ImageNet, or any images in one folder per class: train/CLASS/*.JPEG for training, val/CLASS/*.JPEG for testing.

Loading the data scans the folders; images are decoded while training (`trainers.data.loaded`).

ImageNet's val/ is the test set. Validation images are held out of train/: the same few of each class in every study.
Differs from the papers, which choose and report on val/ and train on all of train/. With ten images per class held out,
ImageNet trains on 1,271,167 of its 1,281,167 images.

Training images: a random crop of 8 to 100% of the area, resized, with a random horizontal flip (Szegedy et al., arXiv
1409.4842, Section 6). Evaluation images: a centre crop after resizing the shorter side to 8/7 of the size (256 for
224). Differs from LARS, whose random crops are of an image resized to 256 x 256 (its footnote 7).

Shape suffixes: B batch, H height, W width, C the three colours.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..options import Options
from .data_folder import find_folder, resolve_data_folder
from .dataset import DataError, Dataset, DataSource
from .loaded import LoadedSplit

IMAGENET_TRAIN, IMAGENET_CLASSES, HELD_OUT = 1_281_167, 1_000, 10
"""ImageNet's training images (ILSVRC 2012), its classes, and the default number held out per class."""

COLOUR_MEAN, COLOUR_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Per channel (red, green, blue), of ImageNet's training pixels in [0, 1]; torchvision's values."""

SUFFIXES = (".jpeg", ".jpg", ".png")
NUM_DECODED = 32
"""Images that a check decodes in each of train/ and val/, one per class; decoding all would take hours."""

LAYOUT = "train/CLASS/*.JPEG and val/CLASS/*.JPEG"

NamesByClass = dict[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class Images:
    """Labelled images in files. Names and labels are arrays, which forked worker processes share without copying.

    Attributes:
        folder: holds one folder per class.
        classes: class names; a label is a position in it.
        names: file names, (n,).
        labels: (n,).
        transform: PIL image -> PIL image of the model's size.
    """

    folder: Path
    classes: tuple[str, ...]
    names: NDArray[np.bytes_]
    labels: NDArray[np.int64]
    transform: Callable[[Any], Any]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, position: int, /) -> tuple[Tensor, int]:
        """Return the image as bytes (H, W, C), and its label.

        Raises:
            DataError: the file cannot be decoded.
        """
        label = int(self.labels[position])
        path = self.folder / self.classes[label] / os.fsdecode(self.names[position])
        return torch.from_numpy(np.array(self.transform(decode_image(path)))), label


def decode_image(path: Path) -> Any:
    """Decode a file to a PIL image in RGB.

    Raises:
        DataError: the file is missing or cannot be decoded.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except Exception as error:  # Pillow raises a dozen types for damaged files
        raise DataError(f"{path}: cannot be read as an image ({error}): replace the file, or remove it.") from error


def load(data_folder: str | None, *, image_size: int, validation_per_class: int) -> Dataset:
    """Scan the image folders; images are decoded while training.

    Args:
        data_folder: holds train/ and val/, directly or in a folder imagenet; None uses $ZEROTUNE_DATA.
        image_size: height and width of the model's images, in pixels.
        validation_per_class: images held out of each class of train/, evenly spaced in the order of their names.

    Returns:
        A data set with inputs (B, C, H, W), float32, of mean about 0 and standard deviation about 1, and targets (B,),
        int64: positions in the sorted class names.

    Raises:
        DataError: a folder is missing, a class has too few images, or train/ and val/ differ in their classes.
    """
    from_random_part, from_middle = _transforms(image_size)
    root = _locate(data_folder)
    train, test = _scan_parts(root, sizes=False)
    kept, held_out = _hold_out(root / "train", train, validation_per_class)
    return Dataset(
        train=_split(root / "train", kept, from_random_part),
        validation=_split(root / "train", held_out, from_middle),
        test=_split(root / "val", test, from_middle),
        info={"num_classes": len(train)},
    )


def check(data_folder: str | None, *, image_size: int, validation_per_class: int) -> int:
    """Check names and sizes of all files, and decode a few.

    Returns:
        Number of training samples.

    Raises:
        DataError: a file is missing, empty or no image, or torchvision cannot be used.
    """
    _transforms(image_size)
    root = _locate(data_folder)
    found = _scan_parts(root, sizes=True)
    for part, names in zip(("train", "val"), found, strict=True):
        classes = list(names)
        for label in np.unique(np.linspace(0, len(classes) - 1, NUM_DECODED, dtype=int)):
            decode_image(root / part / classes[label] / names[classes[label]][0])
    kept, _ = _hold_out(root / "train", found[0], validation_per_class)
    return sum(map(len, kept.values()))


def _locate(data_folder: str | None) -> Path:
    chosen = resolve_data_folder(data_folder)
    if not chosen:
        raise DataError(
            f"imagenet: no data folder is set: name one with {LAYOUT} by --data or ZEROTUNE_DATA. ImageNet must be "
            "requested at image-net.org and cannot be downloaded here."
        )
    return find_folder(chosen, LAYOUT, "imagenet")


def _scan_parts(root: Path, *, sizes: bool) -> tuple[NamesByClass, NamesByClass]:
    """Scan train/ and val/, which must have the same classes."""
    train, test = (_scan(root / part, sizes=sizes) for part in ("train", "val"))
    for part, name in [("val", name) for name in train if name not in test] + [
        ("train", name) for name in test if name not in train
    ]:
        raise DataError(f"{root / part / name}: no such folder, but the other of train/ and val/ has this class.")
    return train, test


def _scan(part: Path, *, sizes: bool) -> NamesByClass:
    """Return the sorted image names of each class, in sorted order of classes; `sizes` also checks for empty files."""
    if not part.is_dir():
        raise DataError(f"{part}: no such folder: expected {LAYOUT} in {part.parent}.")
    classes = sorted(entry.name for entry in os.scandir(part) if entry.is_dir() and not entry.name.startswith("."))
    if len(classes) < 2:
        raise DataError(f"{part}: contains {len(classes)} folders: expected one per class, with its images.")
    return {name: _scan_class(part / name, sizes=sizes) for name in classes}


def _scan_class(folder: Path, *, sizes: bool) -> list[str]:
    names = []
    for entry in os.scandir(folder):
        if entry.name.startswith("."):
            continue
        if not entry.name.lower().endswith(SUFFIXES):
            raise DataError(f"{entry.path}: not named like an image: expected only {', '.join(SUFFIXES)} files.")
        if sizes and entry.stat().st_size == 0:
            raise DataError(f"{entry.path}: the file is empty: replace it, or remove it.")
        names.append(entry.name)
    if not names:
        raise DataError(f"{folder}: contains no images: expected {', '.join(SUFFIXES)} files of this class.")
    return sorted(names)


def _hold_out(part: Path, names: NamesByClass, held_out: int) -> tuple[NamesByClass, NamesByClass]:
    """Split each class's images into training images and `held_out` evenly spaced validation images."""
    kept: NamesByClass = {}
    held: NamesByClass = {}
    for name, files in names.items():
        if len(files) <= held_out:
            raise DataError(
                f"{part / name}: contains {len(files)} images; holding out {held_out} for validation would leave none "
                "to train on: add images, or lower validation_per_class."
            )
        chosen = {position * len(files) // held_out for position in range(held_out)}
        held[name] = [file for position, file in enumerate(files) if position in chosen]
        kept[name] = [file for position, file in enumerate(files) if position not in chosen]
    return kept, held


def _split(folder: Path, names: NamesByClass, transform: Callable[[Any], Any]) -> LoadedSplit:
    images = Images(
        folder=folder,
        classes=tuple(names),
        names=np.array([os.fsencode(name) for files in names.values() for name in files]),
        labels=np.repeat(np.arange(len(names)), [len(files) for files in names.values()]),
        transform=transform,
    )
    return LoadedSplit(images, prepare=_normalise)


def _transforms(image_size: int) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return the transforms of training and of evaluation images."""
    try:
        from torchvision import transforms
    except (ImportError, RuntimeError) as error:  # a build for another torch fails to register its operators
        raise DataError(
            f"torchvision cannot be imported ({error}): install the build for torch {torch.__version__}."
        ) from error
    return (
        transforms.Compose([transforms.RandomResizedCrop(image_size), transforms.RandomHorizontalFlip()]),
        transforms.Compose([transforms.Resize(round(image_size * 8 / 7)), transforms.CenterCrop(image_size)]),
    )


def _normalise(bytes_BHWC: Tensor) -> Tensor:
    """Normalise bytes to (B, C, H, W), float32, of mean about 0 and deviation about 1, channels last in memory."""
    mean, deviation = _statistics(bytes_BHWC.device)
    return bytes_BHWC.float().div_(255).sub_(mean).div_(deviation).permute(0, 3, 1, 2)


@lru_cache
def _statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return mean and deviation on a device; copied there once."""
    return torch.tensor(COLOUR_MEAN, device=device), torch.tensor(COLOUR_DEVIATION, device=device)


def image_folder(image_size: int) -> DataSource:
    """Return the ImageNet data source with a default image size."""
    return DataSource(
        load=load,
        check=check,
        num_train=IMAGENET_TRAIN - HELD_OUT * IMAGENET_CLASSES,
        options=Options(
            defaults={"image_size": image_size, "validation_per_class": HELD_OUT},
            ranges={"image_size": (8, 4096), "validation_per_class": (1, 1_000_000)},
        ),
        description=f"ImageNet or other images in folders: {LAYOUT}",
    )


IMAGENET_224 = image_folder(224)
IMAGENET_299 = image_folder(299)
