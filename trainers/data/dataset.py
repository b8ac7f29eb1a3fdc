"""What a data source is, what its samples are asked for by the training loop, and the one copy a process keeps of them.

This module must not know which data sets exist or what is trained on them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from ..options import NO_OPTIONS, Options
from ..sampling import sample_draws, sample_order
from ..spec import OptionValue

Batch = tuple[Any, Tensor]
"""Inputs, as the model's forward takes them (a tensor, or a named tuple of tensors), and targets (B, ...)."""

EVALUATION_BATCH = 1_000
"""Samples evaluated at once, where a split does not say otherwise; of no influence on any score."""


class DataError(ValueError):
    """Files of a data source that are missing, cut short or not what they should be; the text names the file."""


class Split(ABC):
    """The samples of one part of a data set, wherever they lie: on the device, on the host or in files.

    Samples are asked for by key. What a key is, is the split's own affair: a tensor (num_keys, ...) whose first
    dimension counts samples, most often their positions.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Number of samples."""

    @abstractmethod
    def batches(self, keys: Iterable[Tensor]) -> Iterator[Batch]:
        """The samples of each of the key tensors as one batch, in order, on the split's device.

        What a split draws at random for a sample, to augment it, depends on what its key holds alone: so several
        workers with a share of a batch each, or a batch in pieces, train on what one worker would.
        """

    @abstractmethod
    def to(self, device: torch.device) -> Self:
        """The split whose batches lie on `device`."""

    @abstractmethod
    def double(self) -> Self:
        """The split whose real numbers are float64."""

    def order(self, seed: int, epoch: int, *, epochs: int, batch_size: int) -> tuple[int, int, Tensor]:
        """What one epoch of training takes: its first and last update, 1-based, and the keys in order.

        Every `batch_size` keys are an update; all epochs together hold exactly epochs x n keys. By default the
        samples are shuffled anew in every epoch: `trainers.sampling.sample_order`.
        """
        return sample_order(seed, epoch, epochs=epochs, num_samples=len(self), batch_size=batch_size)

    def evaluation_keys(self) -> Iterable[Tensor]:
        """Keys of batches for evaluation, which together hold every sample once."""
        return torch.split(torch.arange(len(self)), EVALUATION_BATCH)

    def example_batch(self) -> Batch:
        """Two typical samples on the CPU, not augmented, to count operations with."""
        batch: Batch = tree_map(
            lambda tensor: tensor.cpu(), next(self.batches([next(iter(self.evaluation_keys()))[:2]]))
        )
        return batch


@dataclass(frozen=True, kw_only=True)
class TensorSplit(Split):
    """Samples that fit in memory, on one device: sample i is `inputs[i]`, its target `targets[i]`.

    Attributes:
        inputs: (n, ...).
        targets: (n, ...).
        augment: (inputs of a batch, a random number in 0 .. 2^31-1 for each, (B,), on their device) -> inputs, each
            changed by its own number alone. Only the samples of `order` are augmented. For a training split.
    """

    inputs: Tensor
    targets: Tensor
    augment: Callable[[Tensor, Tensor], Tensor] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def batches(self, keys: Iterable[Tensor]) -> Iterator[Batch]:
        """The samples at positions (B,), as they are, or of (position, draw) pairs (B, 2), augmented."""
        for key in keys:
            chosen = key.to(self.inputs.device)
            positions = chosen if chosen.dim() == 1 else chosen[:, 0]
            inputs, targets = self.inputs.index_select(0, positions), self.targets.index_select(0, positions)
            if self.augment is not None and chosen.dim() > 1:
                inputs = self.augment(inputs, chosen[:, 1])
            yield inputs, targets

    def order(self, seed: int, epoch: int, *, epochs: int, batch_size: int) -> tuple[int, int, Tensor]:
        """The positions in order, each with its random number where the split augments.

        They are moved to the samples' device once an epoch, not once a batch.
        """
        first, last, keys = super().order(seed, epoch, epochs=epochs, batch_size=batch_size)
        if self.augment is not None:
            draws = sample_draws(seed, epoch, epochs=epochs, num_samples=len(self), batch_size=batch_size)
            keys = torch.stack([keys, draws], dim=1)
        return first, last, keys.to(self.inputs.device)

    def example_batch(self) -> Batch:
        """The first two samples, on the CPU."""
        return self.inputs[:2].cpu(), self.targets[:2].cpu()

    def to(self, device: torch.device) -> "TensorSplit":
        """The samples moved to `device`; themselves where they are there."""
        return TensorSplit(inputs=self.inputs.to(device), targets=self.targets.to(device), augment=self.augment)

    def double(self) -> "TensorSplit":
        """A copy whose real numbers are float64."""
        inputs, targets = (
            tensor.double() if tensor.is_floating_point() else tensor for tensor in (self.inputs, self.targets)
        )
        return TensorSplit(inputs=inputs, targets=targets, augment=self.augment)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The three disjoint parts of a data source: train on the first, choose on the second, show the third once.

    Attributes:
        info: what a model must know of the data, such as {"num_classes": 10}: keyword arguments of the application's
            `build_model`.
    """

    train: Split
    validation: Split
    test: Split
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class DataSource:
    """Where an application's samples can come from.

    Attributes:
        load: (folder or None for the source's default, **options) -> Dataset on the CPU. Raises
            `trainers.data.DataError` with a sentence that names the file and what was expected.
        description: one line for `zerotune list`.
        num_train: number of training samples that the published files give, so that a plan needs no data; None where
            that is known only from the files.
        check: the same test as `load` without the work, for before any trial: (folder, **options) -> number of
            training samples. Raises `trainers.data.DataError` where the files are missing or cannot be right. None
            takes `load` itself.
        options: the options of `load` and `check`, such as the size of a vocabulary.
        holds_out: whether its validation samples are kept apart from those trained on. Where they are not, nothing may
            be chosen by them: a study may state configurations, but not search.
        needs_download: folder -> whether `load` and `check` would fetch files now; a plan takes `num_train` then.
    """

    load: Callable[..., Dataset]
    description: str = ""
    num_train: int | None = None
    check: Callable[..., int] | None = None
    options: Options = NO_OPTIONS
    holds_out: bool = True
    needs_download: Callable[[str | None], bool] = lambda data_folder: False

    def count(self, data_folder: str | None, options: Mapping[str, OptionValue]) -> int:
        """Tests the files and gives their number of training samples.

        Raises:
            DataError: they cannot be used.
        """
        if self.check is None:
            return len(self.load(data_folder, **options).train)
        return self.check(data_folder, **options)


_resident: dict[tuple[object, ...], Dataset] = {}


def load_on_device(
    source: DataSource, data_folder: str | None, device: torch.device, options: Mapping[str, OptionValue] | None = None
) -> Dataset:
    """The source's samples on `device`, read once a process and shared by all its trainings.

    Nobody may write into the tensors. Every (source, folder, device, options) asked for stays resident until the
    process ends.

    Args:
        source: where the samples come from.
        data_folder: the folder that holds the source's files; None for its default.
        device: where the batches shall lie.
        options: the source's options; those left out have its defaults.

    Raises:
        DataError: the files are missing, cut short or not what they should be.
    """
    complete = source.options.complete("data", options or {})
    key = (source, data_folder, device, tuple(sorted(complete.items())))
    if key not in _resident:
        dataset = source.load(data_folder, **complete)
        _resident[key] = Dataset(
            train=dataset.train.to(device),
            validation=dataset.validation.to(device),
            test=dataset.test.to(device),
            info=dataset.info,
        )
    return _resident[key]
