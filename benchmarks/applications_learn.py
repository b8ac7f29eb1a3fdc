"""Does every application learn? Train a small version of each for a few epochs on local data.

For each application, print the validation metric before and after training, and the CPU seconds. The number to look at
is the gain: the fraction of the way from the untrained score to a perfect one (for perplexity, to 1, on a log scale).
The ImageNet models keep the papers' sizes and learn generated JPEGs of six classes.

    python -m benchmarks.applications_learn --data DIR [NAME ...]

DIR holds a text in PTB's layout, sentence pairs and CIFAR-10 files, in the folders that --help names.
"""

import math
import resource
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import typer

import tests.conftest  # noqa: F401  # lets torchvision be imported on a CPU-only torch
from tests.generated_images import write_image_folder
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.evaluation import evaluate
from zerotune.trainers.loop import Training
from zerotune.trainers.spec import DecaySpec, OptimizerSpec, OptionValue, Placement, Recipe, ScheduleSpec, TrainConfig

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Small:
    """An application in a size that learns within a minute or two on one core."""

    lr: float
    epochs: int
    batch_size: int
    optimizer: str = "momentum"
    source: str = "mnist5k"
    folder: str | None = None
    data_options: Mapping[str, OptionValue] = field(default_factory=dict)
    model_options: Mapping[str, OptionValue] = field(default_factory=dict)
    clip_norm: float | None = None


def images(lr: float, *, optimizer: str = "momentum", size: int = 48, epochs: int = 8) -> Small:
    """Return an ImageNet application on the generated images."""
    return Small(
        lr=lr,
        epochs=epochs,
        batch_size=12,
        optimizer=optimizer,
        source="imagenet",
        folder="IMAGES",
        data_options={"image_size": size, "validation_per_class": 4},
    )


def text(lr: float, optimizer: str) -> Small:
    """Return a language model of 64 units on 2,000 words."""
    return Small(
        lr=lr,
        epochs=2,
        batch_size=20,
        optimizer=optimizer,
        source="text",
        folder="text-ptb-layout",
        data_options={"vocabulary": 2_000},
        model_options={"num_hidden": 64, "dropout": 0.0},
        clip_norm=5.0,
    )


SMALL: dict[str, Small] = {
    "lenet_mnist": Small(lr=0.02, epochs=3, batch_size=32),
    "lstm_mnist": Small(lr=0.05, epochs=3, batch_size=32),
    "ptb_small": text(0.2, "momentum"),
    "ptb_large": text(16.0, "lars"),
    "gnmt_wmt16": Small(
        lr=0.003,
        epochs=2,
        batch_size=64,
        optimizer="adam",
        source="multi30k",
        folder="multi30k",
        data_options={"vocabulary": 2_000},
        model_options={"num_hidden": 64, "num_layers": 2, "dropout": 0.0, "beam_size": 2},
        clip_norm=5.0,
    ),
    "resnet50_cifar10": Small(
        lr=0.05,
        epochs=2,
        batch_size=64,
        source="cifar10-part",
        folder="cifar10-sample",
        model_options={"num_blocks": (1, 1, 1), "num_filters": 8, "bottleneck": False},
    ),
    "resnet50_imagenet": images(0.02),
    "resnet50_v1_imagenet": images(0.02),
    "alexnet_imagenet": images(0.0003, optimizer="adam", size=64, epochs=12),
    "alexnet_bn_imagenet": images(0.01, size=64),
    "squeezenet_imagenet": images(0.0005, optimizer="adam", size=64, epochs=40),
    "mobilenet_imagenet": images(0.05),
    "mnasnet_imagenet": images(0.05),
    "inception_v4_imagenet": images(0.0003, optimizer="adam", size=96),
}


def gain(before: float, after: float, metric: str) -> float:
    """Return the fraction of the way from the untrained score to a perfect one."""
    if metric == "perplexity":
        return 1 - math.log(after) / math.log(before)
    best = 100.0 if metric == "BLEU" else 1.0
    return (after - before) / (best - before)


def measure(name: str, small: Small, folder: str | None) -> str:
    """Train one application, and return its row of the table."""
    recipe = Recipe(clip_norm=small.clip_norm)
    config = TrainConfig(
        application=name,
        data=small.source,
        data_options=small.data_options,
        model_options=small.model_options,
        batch_size=small.batch_size,
        epochs=small.epochs,
        schedule=ScheduleSpec(
            peak_lr=small.lr, warmup_epochs=0.5, decay=DecaySpec(name="poly", options={"power": 1.0})
        ),
        optimizer=OptimizerSpec(name=small.optimizer),
        recipe=recipe,
        seed=1,
    )
    begin = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    training = Training(config, Placement(data_folder=folder))
    application = APPLICATIONS[name]
    untrained = evaluate(training.model.eval(), training.model, application, training.data.validation, CPU).score
    while not training.finished:
        training.run_epoch()
    result = training.result()
    seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime - begin
    share = gain(untrained, result.validation_score, application.metric)
    return (
        f"{name:22} {application.metric:10} {untrained:9.4g} {result.validation_score:9.4g} {share:7.0%} "
        f"{result.num_parameters:12,} {seconds:7.0f}"
    )


def main(
    data: Annotated[Path, typer.Option(help="Folder with text-ptb-layout/, multi30k/ and cifar10-sample/.")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Applications; all by default.")
    ] = None,
) -> None:
    """Train a small version of every application, and print its gain."""
    torch.set_num_threads(1)
    print(
        f"{'application':22} {'metric':10} {'untrained':>9} {'trained':>9} {'gain':>7} {'parameters':>12} {'CPU s':>7}"
    )
    with tempfile.TemporaryDirectory() as made:
        generated = write_image_folder(Path(made) / "images")
        for name in names or SMALL:
            small = SMALL[name]
            folder = generated if small.folder == "IMAGES" else small.folder and data / small.folder
            print(measure(name, small, None if folder is None else str(folder)), flush=True)


if __name__ == "__main__":
    typer.run(main)
