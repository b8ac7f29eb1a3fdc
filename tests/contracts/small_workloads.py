"""Real data that trains every application in seconds, for the tests over the table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.data import Dataset, load_on_device
from zerotune.trainers.spec import OptionValue


@dataclass(frozen=True, kw_only=True)
class SmallWorkload:
    """Test-sized workload of an application.

    Attributes:
        source: name of the data source.
        folder: data folder within the folder of real data sets; None where the source needs no files.
        folder_fixture: name of the fixture that provides a folder of generated or fewer data, instead of `folder`.
        data_options: options of the source.
        model_options: options of the model.
        packages: packages required by its tests, which skip without them.
    """

    source: str = "mnist5k"
    folder: str | None = None
    folder_fixture: str | None = None
    data_options: Mapping[str, OptionValue] = field(default_factory=dict)
    model_options: Mapping[str, OptionValue] = field(default_factory=dict)
    packages: tuple[str, ...] = ()


def _images(size: int, *packages: str) -> SmallWorkload:
    """Return an ImageNet workload on generated images of six classes."""
    return SmallWorkload(
        source="imagenet",
        folder_fixture="image_folder",
        data_options={"image_size": size, "validation_per_class": 2},
        packages=("torchvision", *packages),
    )


SMALL_WORKLOADS: dict[str, SmallWorkload] = {
    "alexnet_bn_imagenet": _images(64),
    "alexnet_imagenet": _images(64),
    "inception_v4_imagenet": _images(80, "timm"),
    "gnmt_wmt16": SmallWorkload(
        source="multi30k",
        folder_fixture="few_pairs",
        data_options={"vocabulary": 300},
        model_options={"num_hidden": 8, "num_layers": 2, "beam_size": 2},
        packages=("sacrebleu", "tokenizers"),
    ),
    "lenet_mnist": SmallWorkload(),
    "lstm_mnist": SmallWorkload(),
    "mnasnet_imagenet": _images(32, "timm"),
    "mobilenet_imagenet": _images(32, "timm"),
    "ptb_large": SmallWorkload(
        source="text",
        folder="text-ptb-layout",
        data_options={"vocabulary": 500},
        model_options={"num_hidden": 16},
    ),
    "ptb_small": SmallWorkload(
        source="text",
        folder="text-ptb-layout",
        data_options={"vocabulary": 500},
        model_options={"num_hidden": 16},
    ),
    "resnet50_cifar10": SmallWorkload(
        source="cifar10-part",
        folder="cifar10-sample",
        model_options={"num_blocks": (1, 1, 1), "num_filters": 8, "bottleneck": False},
    ),
    "resnet50_imagenet": _images(32),
    "resnet50_v1_imagenet": _images(32),
    "squeezenet_imagenet": _images(64),
}


def small_dataset(name: str, request: pytest.FixtureRequest) -> Dataset:
    """Return the data of an application's small workload; skip where its packages are absent."""
    small = SMALL_WORKLOADS[name]
    for package in small.packages:
        pytest.importorskip(package, reason=f"{package} is not installed")
    folder: Path | None = None
    if small.folder is not None:
        folder = request.getfixturevalue("data_folder") / small.folder
    if small.folder_fixture is not None:
        folder = request.getfixturevalue(small.folder_fixture)
    return load_on_device(
        APPLICATIONS[name].data_sources[small.source], folder and str(folder), torch.device("cpu"), small.data_options
    )
