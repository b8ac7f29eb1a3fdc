"""What a data source is, and the one copy of its samples that a process keeps on a device.

This module must not know which data sets exist or what is trained on them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


class DataError(ValueError):
    """Files of a data source that are missing, cut short or not what they should be; the text names the file."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Samples that fit in memory: sample i is `inputs[i]`, its target `targets[i]`."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The three disjoint parts of a data source: train on the first, choose on the second, show the third once."""

    train: Split
    validation: Split
    test: Split


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Where an application's samples can come from.

    Attributes:
        load: folder (or None for the source's default) -> Dataset on the CPU. Raises
            `trainers.data.DataError` with a sentence that names the file and what was expected.
        check: the same test without the work: raises `trainers.data.DataError` where the files are missing or of the
            wrong size; used before any trial is started.
        num_train: number of training samples it gives, so that a plan needs no data.
        description: one line for `zerotune list`.
    """

    load: Callable[[str | None], Dataset]
    check: Callable[[str | None], None]
    num_train: int
    description: str


_resident: dict[tuple[DataSource, str | None, torch.device], Dataset] = {}


def load_on_device(source: DataSource, folder: str | None, device: torch.device) -> Dataset:
    """The source's samples on `device`, read once a process and shared by all its trainings.

    Nobody may write into the tensors. Every (source, folder, device) asked for stays resident until the process ends.

    Args:
        source: where the samples come from.
        folder: the folder that holds the source's files; None for its default.
        device: where the tensors shall lie.

    Raises:
        DataError: the files are missing, cut short or not what they should be.
    """
    key = (source, folder, device)
    if key not in _resident:
        dataset = source.load(folder)
        _resident[key] = Dataset(
            train=_moved(dataset.train, device),
            validation=_moved(dataset.validation, device),
            test=_moved(dataset.test, device),
        )
    return _resident[key]


def _moved(split: Split, device: torch.device) -> Split:
    return Split(inputs=split.inputs.to(device), targets=split.targets.to(device))
