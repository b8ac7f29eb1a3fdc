"""Training images a second: our image folders against torchvision's ImageFolder in a torch DataLoader.

Both decode, crop, flip and normalise the same files with the same number of worker processes, and return float32
batches; no model is trained. They alternate by epoch within each round, so that other load on the machine affects both.
Each figure is the median over the rounds. The first round starts the workers and is not counted.

Command: python benchmarks/image_loading.py [--folder IMAGENET] [--workers 1] [--batch-size 256] [--rounds 7]
Peer: torchvision, of the extra `vision`. Without a folder, 512 JPEGs of ImageNet's typical size are generated.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from zerotune.trainers.data.image_folder import COLOUR_DEVIATION, COLOUR_MEAN, IMAGENET_224
from zerotune.trainers.data.loaded import LoadedSplit
from zerotune.trainers.flops_and_memory import device_model

HEIGHT, WIDTH = 375, 500
"""ImageNet's most frequent image size."""

Epoch = Callable[[], Iterable[Any]]


def generate(folder: Path, num_images: int = 512, num_classes: int = 4) -> Path:
    """Write JPEGs of about 100 KB: smooth shapes with fine noise, like photographs."""
    from PIL import Image

    generator = np.random.default_rng(0)
    for number in range(num_images):
        coarse = generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), dtype=np.float32)
        values = smooth + generator.normal(0, 16, smooth.shape)
        for part in ("train", "val"):
            path = folder / part / f"class{number % num_classes}" / f"{number}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            if part == "train" or number < num_classes:
                Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return folder


def ours(folder: Path, workers: int, batch_size: int) -> tuple[Epoch, int]:
    split = IMAGENET_224.load(str(folder), image_size=224, validation_per_class=1).train
    assert isinstance(split, LoadedSplit)
    split = LoadedSplit(split.samples, prepare=split.prepare, num_workers=workers)
    _, _, keys = split.order(0, 1, epochs=1, batch_size=batch_size)
    return lambda: split.batches(torch.split(keys, batch_size)), len(split)


def peer(folder: Path, workers: int, batch_size: int) -> tuple[Epoch, int]:
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    steps = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    dataset = ImageFolder(
        str(folder / "train"), transforms.Compose([*steps, transforms.Normalize(COLOUR_MEAN, COLOUR_DEVIATION)])
    )
    loader = DataLoader(
        dataset, batch_size=batch_size, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    return lambda: loader, len(dataset)


def seconds(epoch: Epoch) -> float:
    begin = time.perf_counter()
    for _ in epoch():
        pass
    return time.perf_counter() - begin


def main(
    folder: Annotated[Path | None, typer.Option(help="Holds train/CLASS/*.JPEG and val/CLASS/*.JPEG.")] = None,
    workers: Annotated[int, typer.Option(help="Worker processes of each.")] = 1,
    batch_size: Annotated[int, typer.Option(help="Images a batch.")] = 256,
    rounds: Annotated[int, typer.Option(help="Epochs of each, of which the median counts.")] = 7,
) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        root = folder or generate(Path(scratch))
        contestants = {
            "torchvision ImageFolder, DataLoader": peer(root, workers, batch_size),
            "zerotune": ours(root, workers, batch_size),
        }
        rates: dict[str, list[float]] = {name: [] for name in contestants}
        for round_number in range(rounds + 1):
            for name, (epoch, num_images) in contestants.items():
                rate = num_images / seconds(epoch)
                if round_number > 0:
                    rates[name].append(rate)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    table = Table(title=f"{device_model('cpu')}: {workers} worker(s), batch size {batch_size}", title_justify="left")
    for heading in ("loader", "images/s", "ratio"):
        table.add_column(heading, justify="left" if heading == "loader" else "right")
    first = next(iter(medians.values()))
    for name, median in medians.items():
        table.add_row(name, f"{median:.0f}", f"{median / first:.2f}")
    Console(width=None if sys.stdout.isatty() else 110).print(table)


if __name__ == "__main__":
    typer.run(main)
