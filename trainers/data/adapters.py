"""From what people have their data in to a split: arrays, tensors, torch's data sets and loaders, Hugging Face's.

A study chooses batch size and order itself, and its trainings must see the same samples as each other: whatever would
choose samples (a sampler, an endless stream) is refused, not ignored. This module must not import `datasets` or pandas:
what they give is known by its shape.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
)

from .dataset import DataError, Split, TensorSplit
from .loaded import LoadedSplit, Samples
from .rows import Collate, CollatedRows, Columns, PairsOfRows, RowColumns

MAX_BYTES_IN_MEMORY = 2**30
"""A table of numbers up to this size is read whole; beyond it, row by row while training."""


def as_split(
    data: object,
    *,
    inputs: Columns | None = None,
    target: str | None = None,
    collate: Collate | None = None,
    num_workers: int | None = None,
) -> Split:
    """A split of whatever holds the samples.

    Args:
        data: one of

            - a pair (inputs, targets) of tensors, arrays or anything that NumPy makes an array of numbers, or a
              `TensorDataset` of two: held in memory, real numbers as float32, whole targets as int64;
            - a map-style data set, `len(data)` and `data[i]` -> (input, target), or a row by column name: loaded while
              training;
            - a torch `DataLoader`: its data set, `collate_fn` and `num_workers`. Batch size and order are the
              study's; a sampler that chooses samples is refused;
            - a Hugging Face `datasets.Dataset`: in memory where both columns hold numbers of one shape and the table is
              below 1 GiB, else loaded while training.
        inputs: where samples are rows, the column that the model gets. Several are given to it as one named tuple.
        target: where samples are rows, the column of the targets.
        collate: samples -> a batch, such as padded texts; where samples are rows, it takes whole rows, and `inputs` and
            `target` are columns of the batch. None stacks the samples.
        num_workers: processes that load samples, as `LoadedSplit` has it.

    Raises:
        DataError: the data are of another kind, or a column is not there; says what to give instead.

    >>> split = as_split(([[0.0, 1.0], [2.0, 3.0]], [0, 1]))
    >>> split.inputs.dtype, split.targets.dtype, len(split)
    (torch.float32, torch.int64, 2)
    """
    return _read_samples(data, inputs, target, collate, num_workers).split()


def divide(
    data: object,
    shares: Sequence[float],
    *,
    seed: int = 0,
    inputs: Columns | None = None,
    target: str | None = None,
    collate: Collate | None = None,
    num_workers: int | None = None,
) -> tuple[Split, ...]:
    """Disjoint random parts of data that nobody has split yet: the same ones at the same seed, everywhere.

    Args:
        data: as for `as_split`, like all that is not named here.
        shares: of each part, > 0, together 1.
        seed: of the shuffle before.
        inputs: the column, or columns, that the model gets.
        target: the column of the targets.
        collate: samples -> a batch.
        num_workers: processes that load samples.

    Raises:
        DataError: the data are of another kind, the shares do not sum to 1, or a part would be empty.

    >>> train, validation, test = divide((torch.arange(10.0), torch.arange(10)), (0.6, 0.2, 0.2))
    >>> len(train), sorted(torch.cat([part.targets for part in (train, validation, test)]).tolist())
    (6, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    whole = _read_samples(data, inputs, target, collate, num_workers)
    if not shares or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise DataError(f"shares must be above 0 and sum to 1, got {tuple(shares)}")
    # RandomState, since NumPy promises that its stream never changes.
    order = np.random.RandomState(seed).permutation(len(whole))
    parts = np.split(order, np.round(np.cumsum(shares)[:-1] * len(whole)).astype(int))
    if min(len(part) for part in parts) == 0:
        raise DataError(f"{len(whole)} samples in parts of {tuple(shares)} leave one part empty: give other shares")
    return tuple(whole.split(part.tolist()) for part in parts)


@dataclass(frozen=True, kw_only=True)
class _SamplesInMemory:
    """Samples in memory, (n, ...) each."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def split(self, positions: list[int] | None = None) -> Split:
        """All of them, or those at the positions."""
        if positions is None:
            return TensorSplit(inputs=self.inputs, targets=self.targets)
        return TensorSplit(inputs=self.inputs[positions], targets=self.targets[positions])


@dataclass(frozen=True, kw_only=True)
class _SamplesOnDemand:
    """Samples that are loaded when they are asked for."""

    samples: Any
    collate: Collate | None
    num_workers: int | None

    def __len__(self) -> int:
        return len(self.samples)

    def split(self, positions: list[int] | None = None) -> Split:
        """All of them, or those at the positions."""
        samples: Samples = self.samples if positions is None else Subset(self.samples, positions)
        return LoadedSplit(samples, collate=self.collate, num_workers=self.num_workers)


def _read_samples(
    data: object, inputs: Columns | None, target: str | None, collate: Collate | None, num_workers: int | None
) -> _SamplesInMemory | _SamplesOnDemand:
    """The data in one of two forms."""
    if isinstance(data, DataLoader):
        if collate is not None or num_workers is not None:
            raise DataError("a DataLoader brings its own collate_fn and num_workers: leave collate and num_workers out")
        _check_sampler(data)
        in_memory = isinstance(data.dataset, TensorDataset) and data.collate_fn is default_collate
        collate = None if data.collate_fn is default_collate else data.collate_fn
        return _read_samples(data.dataset, inputs, target, collate, None if in_memory else data.num_workers)
    pair = data.tensors if isinstance(data, TensorDataset) and collate is None else data
    if isinstance(pair, tuple | list) and len(pair) == 2 and not isinstance(pair[0], tuple | dict | str):
        if (inputs, target, collate, num_workers) != (None,) * 4:
            raise DataError("inputs, target, collate and num_workers have no effect on data in memory: leave them out")
        return _in_memory(*pair)
    _check_kind(data)
    return _on_demand(data, inputs, target, collate, num_workers)


def _on_demand(
    data: Any, inputs: Columns | None, target: str | None, collate: Collate | None, num_workers: int | None
) -> _SamplesInMemory | _SamplesOnDemand:
    """A map-style data set of pairs or of rows; a small table of numbers is read at once."""
    if inputs is None or target is None:
        if (inputs is None) != (target is None):
            raise DataError("inputs and target name columns together: give both, or neither where samples are pairs")
        if _is_table(data):
            known = ", ".join(data.column_names)
            raise DataError(f"its samples are rows: name the columns, inputs=... and target=...; there are {known}")
        return _SamplesOnDemand(samples=data, collate=collate, num_workers=num_workers)
    columns = RowColumns(inputs, target)
    if _is_table(data):
        columns.check(data.column_names)
        data = data.with_format("torch")
        if collate is None and (held := _table_in_memory(data, columns)) is not None:
            return held
    if collate is None:
        return _SamplesOnDemand(samples=PairsOfRows(data, columns), collate=None, num_workers=num_workers)
    return _SamplesOnDemand(samples=data, collate=CollatedRows(collate, columns), num_workers=num_workers)


def _check_sampler(loader: "DataLoader[Any]") -> None:
    """A loader whose sampler decides which samples are trained on, or which forms batches itself."""
    if isinstance(loader.dataset, IterableDataset):
        _check_kind(loader.dataset)
    if loader.batch_size is None:
        raise DataError(
            "the DataLoader's batches are formed by a batch_sampler or by its data set, but the study chooses the "
            "batch size: give a loader with batch_size, or a data set of single samples"
        )
    sampler = loader.sampler
    if isinstance(sampler, RandomSampler):
        visits_each_once = not sampler.replacement and sampler.num_samples == len(cast(Any, loader.dataset))
    else:
        visits_each_once = isinstance(sampler, SequentialSampler)
    if not visits_each_once:
        raise DataError(
            f"the DataLoader's {type(sampler).__name__} chooses samples, which the study does itself: give the samples "
            "as a data set, such as torch.utils.data.Subset(dataset, positions)"
        )


def _check_kind(data: object) -> None:
    """Whatever is no map-style data set with samples."""
    kind = type(data).__name__
    is_indexed = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    if isinstance(data, IterableDataset) or (hasattr(data, "__iter__") and not is_indexed):
        raise DataError(
            f"a stream ({kind}) has no samples to count and to shuffle, which trainings of equal epochs need: give a "
            "map-style data set (__len__ and __getitem__), or read the stream into tensors"
        )
    if isinstance(data, Mapping):
        names = ", ".join(map(str, data))
        raise DataError(f"a {kind} holds several things ({names}): give one split of it, or a pair (inputs, targets)")
    if isinstance(data, Tensor | np.ndarray | str) or not is_indexed:
        raise DataError(
            f"got a value of type {kind}: give a pair (inputs, targets), a map-style data set or a DataLoader"
        )
    if isinstance(data, TensorDataset) and len(data.tensors) != 2:
        raise DataError(f"a TensorDataset must hold inputs and targets, two tensors, got {len(data.tensors)}")
    if len(cast(Any, data)) == 0:
        raise DataError(f"the data ({kind}) hold no samples")


def _in_memory(inputs: Any, targets: Any) -> _SamplesInMemory:
    held = _SamplesInMemory(inputs=_tensor(inputs, "inputs"), targets=_labels(_tensor(targets, "targets")))
    if len(held.inputs) != len(held.targets):
        shapes = f"{tuple(held.inputs.shape)} and {tuple(held.targets.shape)}"
        raise DataError(f"there must be as many inputs as targets, got shapes {shapes}")
    if len(held) == 0:
        raise DataError("the data hold no samples")
    return held


def _tensor(values: Any, name: str) -> Tensor:
    """Values as a tensor, real numbers in float32."""
    if not isinstance(values, Tensor):
        try:
            array = np.asarray(values)
        except ValueError as error:  # rows of unequal length
            raise DataError(f"{name} cannot be made an array of numbers: {error}") from None
        if array.dtype.kind not in "biuf":
            raise DataError(
                f"{name} must be numbers, got an array of {array.dtype}: turn texts and categories into numbers first"
            )
        values = torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))  # a copy: the array may be read-only
    tensor: Tensor = values.detach()
    if tensor.dim() == 0:
        raise DataError(f"{name} must hold samples, got one number")
    return tensor.float() if tensor.is_floating_point() else tensor


def _labels(targets: Tensor) -> Tensor:
    """Whole targets in int64, which torch's losses ask for; booleans and real numbers stay."""
    return targets if targets.is_floating_point() or targets.dtype == torch.bool else targets.to(torch.int64)


def _is_table(data: object) -> bool:
    """Whether it is a Hugging Face data set."""
    return hasattr(data, "column_names") and hasattr(data, "with_format") and hasattr(data, "features")


def _table_in_memory(table: Any, columns: RowColumns) -> _SamplesInMemory | None:
    """The columns as tensors, where they are numbers of one shape and fit; None where not."""
    if not isinstance(columns.inputs, str) or table.data.nbytes > MAX_BYTES_IN_MEMORY:
        return None
    if any(type(table.features[name]).__name__ in ("Image", "Audio", "Video") for name in columns.names):
        return None  # compressed in the table, and far larger in memory
    inputs, targets = (table[name][:] for name in (columns.inputs, columns.target))
    if not isinstance(inputs, Tensor) or not isinstance(targets, Tensor):
        return None
    return _in_memory(inputs, targets)
