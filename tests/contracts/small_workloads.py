"""Real data on which every application can be trained in seconds, for the tests over the table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from trainers.applications import APPLICATIONS
from trainers.data import Dataset, load_on_device
from trainers.spec import OptionValue


@dataclass(frozen=True, kw_only=True)
class SmallWorkload:
    """An application in a size for tests.

    Attributes:
        source: name of the data source.
        folder: of the data, inside the folder of real data sets; None where the source needs no files.
        data_options: of the source.
        model_options: of the model.
        packages: packages without which its tests are skipped.
    """

    source: str = "mnist5k"
    folder: str | None = None
    data_options: Mapping[str, OptionValue] = field(default_factory=dict)
    model_options: Mapping[str, OptionValue] = field(default_factory=dict)
    packages: tuple[str, ...] = ()


SMALL_WORKLOADS: dict[str, SmallWorkload] = {
    "lenet_mnist": SmallWorkload(),
    "lstm_mnist": SmallWorkload(),
}


def small_dataset(name: str, data_folder: Path) -> Dataset:
    """The data of an application's small workload; skips where its packages are absent."""
    small = SMALL_WORKLOADS[name]
    for package in small.packages:
        pytest.importorskip(package, reason=f"{package} is not installed")
    folder = None if small.folder is None else str(data_folder / small.folder)
    return load_on_device(
        APPLICATIONS[name].data_sources[small.source], folder, torch.device("cpu"), small.data_options
    )
