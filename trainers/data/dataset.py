"""Data sources, the splits that the training loop reads, and the one copy of a data set that a process keeps.

This module must not know which data sets exist or what is trained on them.

Shape suffixes: B batch.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from ..options import NO_OPTIONS, Options
from ..process_state import keep_process_state
from ..sampling import sample_draws, sample_order
from ..spec import OptionValue

Batch = tuple[Any, Tensor]
"""Inputs, as the model's forward takes them (a tensor, or a named tuple of tensors), and targets (B, ...)."""

EVALUATION_BATCH = 1_000
"""Default number of samples evaluated at once; it does not influence scores."""


class DataError(ValueError):
    """A data source's file is missing, truncated or invalid; the message names the file."""


class Split(ABC):
    """The samples of one part of a data set, stored on the device, on the host or in files.

    Samples are read by key. Keys are tensors (num_keys, ...) whose meaning is private to the split; most often they are
    positions.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Number of samples."""

    @abstractmethod
    def batches(self, keys: Iterable[Tensor]) -> Iterator[Batch]:
        """Yield one batch per key tensor, in order, on the split's device.

        Random augmentation of a sample depends on its key alone. So several workers with a local batch each, or
        micro-batches, train on the same samples as one worker.
        """

    @abstractmethod
    def to(self, device: torch.device) -> Self:
        """Return the split with batches on `device`."""

    @abstractmethod
    def double(self) -> Self:
        """Return the split with floating-point numbers in float64."""

    def order(self, seed: int, epoch: int, *, epochs: int, batch_size: int) -> tuple[int, int, Tensor]:
        """Return the first and last update of an epoch, 1-based, and the epoch's keys in training order.

        Every `batch_size` keys form an update; all epochs together hold exactly epochs * n keys. By default every
        epoch is shuffled: `trainers.sampling.sample_order`.
        """
        return sample_order(seed, epoch, epochs=epochs, num_samples=len(self), batch_size=batch_size)

    def evaluation_keys(self) -> Iterable[Tensor]:
        """Return the key tensors of evaluation batches, which together hold every sample once."""
        return torch.split(torch.arange(len(self)), EVALUATION_BATCH)

    def example_batch(self) -> Batch:
        """Return two typical samples on the CPU, not augmented, for counting operations."""
        batch: Batch = tree_map(
            lambda tensor: tensor.cpu(), next(self.batches([next(iter(self.evaluation_keys()))[:2]]))
        )
        return batch


@dataclass(frozen=True, kw_only=True)
class TensorSplit(Split):
    """Samples in memory, on one device: sample i is (`inputs[i]`, `targets[i]`).

    Attributes:
        inputs: (n, ...).
        targets: (n, ...).
        augment: for a training split, (inputs (B, ...), random numbers (B,) in 0 .. 2^31-1) -> augmented inputs; a
            sample may depend only on its own number. Applied only to keys from `order`.
    """

    inputs: Tensor
    targets: Tensor
    augment: Callable[[Tensor, Tensor], Tensor] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def batches(self, keys: Iterable[Tensor]) -> Iterator[Batch]:
        """Yield the samples at positions (B,), unchanged, or of (position, draw) pairs (B, 2), augmented."""
        for key in keys:
            chosen = key.to(self.inputs.device)
            positions = chosen if chosen.dim() == 1 else chosen[:, 0]
            inputs, targets = self.inputs.index_select(0, positions), self.targets.index_select(0, positions)
            if self.augment is not None and chosen.dim() > 1:
                inputs = self.augment(inputs, chosen[:, 1])
            yield inputs, targets

    def order(self, seed: int, epoch: int, *, epochs: int, batch_size: int) -> tuple[int, int, Tensor]:
        """Return the positions in training order, paired with random numbers if the split augments.

        They are moved to the samples' device once per epoch, not once per batch.
        """
        first, last, keys = super().order(seed, epoch, epochs=epochs, batch_size=batch_size)
        if self.augment is not None:
            draws = sample_draws(seed, epoch, epochs=epochs, num_samples=len(self), batch_size=batch_size)
            keys = torch.stack([keys, draws], dim=1)
        return first, last, keys.to(self.inputs.device)

    def select(self, positions: list[int]) -> "TensorSplit":
        """Return the samples at these positions, one of them perhaps several times."""
        return replace(self, inputs=self.inputs[positions], targets=self.targets[positions])

    def to(self, device: torch.device) -> "TensorSplit":
        """Return the samples on `device`."""
        return TensorSplit(inputs=self.inputs.to(device), targets=self.targets.to(device), augment=self.augment)

    def double(self) -> "TensorSplit":
        """Return a copy with floating-point numbers in float64."""
        inputs, targets = (
            tensor.double() if tensor.is_floating_point() else tensor for tensor in (self.inputs, self.targets)
        )
        return TensorSplit(inputs=inputs, targets=targets, augment=self.augment)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The three disjoint splits of a data source.

    Attributes:
        train: to train on.
        validation: to choose configurations by.
        test: to report scores on, once per chosen configuration.
        info: what a model must know of the data, such as {"num_classes": 10}; passed to the application's
            `build_model` as keyword arguments.
    """

    train: Split
    validation: Split
    test: Split
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class DataSource:
    """A source of an application's samples.

    Attributes:
        load: (data folder or None for the source's default, **options) -> Dataset on the CPU. Raises
            `trainers.data.DataError` with a message that names the file and what was expected.
        description: one line for `zerotune list`.
        num_train: number of training samples in the published files, so that planning needs no data; None if only the
            files tell.
        check: (data folder or None, **options) -> number of training samples. A cheap version of `load` that runs
            before any trial and raises `trainers.data.DataError` if files are missing or invalid. None uses `load`.
        options: the options of `load` and `check`, such as the vocabulary size.
        holds_out: whether validation samples are excluded from training. If not, nothing may be chosen by them: a study
            may state configurations, but not search.
        needs_download: data folder or None -> whether `load` and `check` would download files now; planning then uses
            `num_train`.
    """

    load: Callable[..., Dataset]
    description: str = ""
    num_train: int | None = None
    check: Callable[..., int] | None = None
    options: Options = NO_OPTIONS
    holds_out: bool = True
    needs_download: Callable[[str | None], bool] = lambda data_folder: False

    def count(self, data_folder: str | None, options: Mapping[str, OptionValue]) -> int:
        """Check the files and return the number of training samples.

        Raises:
            DataError: the files cannot be used.
        """
        if self.check is None:
            return len(self.load(data_folder, **options).train)
        return self.check(data_folder, **options)


def check_finite(dataset: Dataset) -> None:
    """Check the samples that a data set holds in memory; others are checked while they are loaded.

    Raises:
        DataError: a number is not finite; the message says where the first one is.
    """
    for name, split in (("train", dataset.train), ("validation", dataset.validation), ("test", dataset.test)):
        if isinstance(split, TensorSplit):
            check_samples(split.inputs, f"{name} inputs")
            check_samples(split.targets, f"{name} targets")


def check_samples(values: Tensor, name: str, positions: Sequence[int] | None = None) -> None:
    """Check that the samples (n, ...) are finite; `positions` are their positions in the data, 0 .. n-1 if None.

    Raises:
        DataError: one is not; the message says which.
    """
    if not values.is_floating_point() or values.numel() == 0 or all(torch.stack(values.aminmax()).isfinite()):
        return
    first, *index = values.isfinite().logical_not().nonzero()[0].tolist()
    sample = first if positions is None else positions[first]
    where = f" at index ({', '.join(map(str, index))}{',' if len(index) == 1 else ''})" if index else ""
    raise DataError(
        f"{name}: sample {sample} (counted from 0) is {values[(first, *index)].item()}{where}: remove such samples, or "
        "put finite numbers in their place"
    )


_loaded_datasets: dict[tuple[object, ...], Dataset] = {}


def load_on_device(
    source: DataSource, data_folder: str | None, device: torch.device, options: Mapping[str, OptionValue] | None = None
) -> Dataset:
    """Load a data set onto `device`, once per process; all its trainings share it.

    The tensors are read-only. Every loaded (source, data folder, device, options) stays in memory until the process
    ends.

    Args:
        source: the data source.
        data_folder: holds the source's files; None for its default.
        device: device of the batches.
        options: the source's options; those left out take their defaults.

    Raises:
        DataError: a file is missing, truncated or invalid, or a number is not finite.
    """
    complete = source.options.complete("data", options or {})
    key = (source, data_folder, device, tuple(sorted(complete.items())))
    if key not in _loaded_datasets:
        with keep_process_state():  # only the training that loads first would see a change
            dataset = source.load(data_folder, **complete)
        check_finite(dataset)
        _loaded_datasets[key] = Dataset(
            train=dataset.train.to(device),
            validation=dataset.validation.to(device),
            test=dataset.test.to(device),
            info=dataset.info,
        )
    return _loaded_datasets[key]
