"""A small folder of JPEGs in ImageNet's layout, with learnable classes."""

from pathlib import Path

import numpy as np

CLASSES = ("n01_red_across", "n02_red_along", "n03_blue_across", "n04_blue_along", "n05_green_slanted", "n06_grey")
NUM_TRAIN, NUM_TEST = 30, 8
"""Images per class."""


def write_image(path: Path, label: int, generator: np.random.Generator) -> None:
    """Write stripes whose colour and direction depend on the class, with random width, phase, size and noise."""
    from PIL import Image

    height, width = generator.integers(72, 110, size=2)
    rows, columns = np.mgrid[0:height, 0:width]
    along = (rows, columns, rows, columns, rows + columns, np.zeros_like(rows))[label]
    stripes = np.sin(along * generator.uniform(0.3, 0.6) + generator.uniform(0, 6))
    colour = np.array(
        [(1, 0.2, 0.2), (1, 0.2, 0.2), (0.2, 0.2, 1), (0.2, 0.2, 1), (0.2, 1, 0.2), (0.6, 0.6, 0.6)][label]
    )
    values = 110 + 80 * stripes[..., None] * colour + 25 * (colour - 0.5) + generator.normal(0, 30, (height, width, 3))
    Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def write_image_folder(folder: Path) -> Path:
    """Write train/CLASS/*.JPEG and val/CLASS/*.JPEG, with the same images every time."""
    generator = np.random.default_rng(7)
    for part, count in (("train", NUM_TRAIN), ("val", NUM_TEST)):
        for label, name in enumerate(CLASSES):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                write_image(folder / part / name / f"{name}_{number}.JPEG", label, generator)
    return folder
