"""Adapters from arrays, tensors, torch data sets and loaders, and Hugging Face data sets to splits.

A study chooses batch size and order, and all its trainings must see the same samples. Samplers and endless streams
would choose samples themselves, so they are rejected, not ignored. This module must not import `datasets` or pandas; it
recognises their objects by their attributes.
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

from .dataset import DataError, Split, TensorSplit, check_samples
from .loaded import LoadedSplit, Samples
from .rows import Collate, CollatedRows, Columns, PairsOfRows, RowColumns

MAX_BYTES_IN_MEMORY = 2**30
"""Largest numeric table, in bytes, that is loaded into memory; larger ones are read row by row while training."""


def as_split(
    data: object,
    *,
    inputs: Columns | None = None,
    target: str | None = None,
    collate: Collate | None = None,
    num_workers: int | None = None,
) -> Split:
    """Convert data to a split.

    Args:
        data: one of

            - a pair (inputs, targets) of tensors, arrays or anything that NumPy converts to a numeric array, or a
              `TensorDataset` of two tensors. Kept in memory, floating-point numbers as float32, integer targets as
              int64;
            - a map-style data set: `len(data)` and `data[i]` -> (input, target), or `data[i]` -> a row by column name.
              Loaded while training;
            - a torch `DataLoader`. Its data set, `collate_fn` and `num_workers` are used; batch size and order are the
              study's. A sampler that chooses samples is rejected;
            - a Hugging Face `datasets.Dataset`. Kept in memory if both columns hold numbers of one shape and the table
              is at most 1 GiB, else loaded while training.
        inputs: if samples are rows, the model's input column. Several columns become one named tuple.
        target: if samples are rows, the target column.
        collate: samples -> batch, for example to pad texts. If samples are rows, it takes whole rows, and `inputs` and
            `target` name columns of the batch. None stacks the samples.
        num_workers: number of loading processes, as in `LoadedSplit`.

    Raises:
        DataError: the data have another type, or a column is missing; the message says what to pass instead.

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
    """Divide data into disjoint random splits, reproducibly: a seed gives the same splits on every machine.

    Args:
        data: as in `as_split`.
        shares: fraction of each split, each > 0, with sum 1.
        seed: seed of the shuffle.
        inputs: as in `as_split`.
        target: as in `as_split`.
        collate: as in `as_split`.
        num_workers: as in `as_split`.

    Returns:
        One split per share.

    Raises:
        DataError: as in `as_split`; the shares do not sum to 1; or a split would be empty.

    >>> train, validation, test = divide((torch.arange(10.0), torch.arange(10)), (0.6, 0.2, 0.2))
    >>> len(train), sorted(torch.cat([part.targets for part in (train, validation, test)]).tolist())
    (6, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    whole = _read_samples(data, inputs, target, collate, num_workers)
    if not shares or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise DataError(f"shares must be above 0 and sum to 1, got {tuple(shares)}")
    # RandomState: NumPy guarantees that its stream never changes.
    order = np.random.RandomState(seed).permutation(len(whole))
    parts = np.split(order, np.round(np.cumsum(shares)[:-1] * len(whole)).astype(int))
    if min(len(part) for part in parts) == 0:
        raise DataError(f"{len(whole)} samples in shares of {tuple(shares)} leave one split empty: pass other shares")
    return tuple(whole.split(part.tolist()) for part in parts)


@dataclass(frozen=True, kw_only=True)
class _SamplesInMemory:
    """Inputs and targets in memory, (n, ...) each."""

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
    """Samples that are loaded while training."""

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
    """Read data of any supported type: into memory, or to be loaded while training."""
    if isinstance(data, DataLoader):
        if collate is not None or num_workers is not None:
            raise DataError("a DataLoader has its own collate_fn and num_workers: remove collate and num_workers")
        _check_sampler(data)
        in_memory = isinstance(data.dataset, TensorDataset) and data.collate_fn is default_collate
        collate = None if data.collate_fn is default_collate else data.collate_fn
        return _read_samples(data.dataset, inputs, target, collate, None if in_memory else data.num_workers)
    pair = data.tensors if isinstance(data, TensorDataset) and collate is None else data
    if isinstance(pair, tuple | list) and len(pair) == 2 and not isinstance(pair[0], tuple | dict | str):
        if (inputs, target, collate, num_workers) != (None,) * 4:
            raise DataError("inputs, target, collate and num_workers have no effect on data in memory: remove them")
        return _in_memory(*pair)
    _check_kind(data)
    return _on_demand(data, inputs, target, collate, num_workers)


def _on_demand(
    data: Any, inputs: Columns | None, target: str | None, collate: Collate | None, num_workers: int | None
) -> _SamplesInMemory | _SamplesOnDemand:
    """Wrap a map-style data set of pairs or rows; read a small numeric table into memory."""
    if inputs is None or target is None:
        if (inputs is None) != (target is None):
            raise DataError("inputs and target must both name columns, or neither if samples are pairs")
        if _is_table(data):
            known = ", ".join(data.column_names)
            raise DataError(f"its samples are rows: name the columns with inputs=... and target=...; known: {known}")
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
    """Raise DataError if the loader chooses samples or forms batches itself."""
    if isinstance(loader.dataset, IterableDataset):
        _check_kind(loader.dataset)
    if loader.batch_size is None:
        raise DataError(
            "a batch_sampler or the data set forms the DataLoader's batches, but the study chooses the batch "
            "size: pass a loader with batch_size, or a data set of single samples"
        )
    sampler = loader.sampler
    if isinstance(sampler, RandomSampler):
        visits_each_once = not sampler.replacement and sampler.num_samples == len(cast(Any, loader.dataset))
    else:
        visits_each_once = isinstance(sampler, SequentialSampler)
    if not visits_each_once:
        raise DataError(
            f"the DataLoader's {type(sampler).__name__} chooses samples, but the study does: pass the samples as a "
            "data set, such as torch.utils.data.Subset(dataset, positions)"
        )


def _check_kind(data: object) -> None:
    """Raise DataError if the data are no map-style data set with samples."""
    kind = type(data).__name__
    is_indexed = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    if isinstance(data, IterableDataset) or (hasattr(data, "__iter__") and not is_indexed):
        raise DataError(
            f"a stream ({kind}) cannot be counted and shuffled, which epochs need: pass a map-style data set "
            "(__len__ and __getitem__), or read the stream into tensors"
        )
    if isinstance(data, Mapping):
        names = ", ".join(map(str, data))
        raise DataError(
            f"a {kind} holds several entries ({names}): pass one of its splits, or a pair (inputs, targets)"
        )
    if isinstance(data, Tensor | np.ndarray | str) or not is_indexed:
        raise DataError(f"got type {kind}: pass a pair (inputs, targets), a map-style data set or a DataLoader")
    if isinstance(data, TensorDataset) and len(data.tensors) != 2:
        raise DataError(f"a TensorDataset must hold two tensors, inputs and targets, got {len(data.tensors)}")
    if len(cast(Any, data)) == 0:
        raise DataError(f"the data ({kind}) contain no samples")


def _in_memory(inputs: Any, targets: Any) -> _SamplesInMemory:
    held = _SamplesInMemory(inputs=_tensor(inputs, "inputs"), targets=_labels(_tensor(targets, "targets")))
    if len(held.inputs) != len(held.targets):
        shapes = f"{tuple(held.inputs.shape)} and {tuple(held.targets.shape)}"
        raise DataError(f"inputs and targets must have the same length, got shapes {shapes}")
    if len(held) == 0:
        raise DataError("the data contain no samples")
    return held


def _tensor(values: Any, name: str) -> Tensor:
    """Convert values to a tensor, floating-point numbers to float32."""
    if not isinstance(values, Tensor):
        try:
            array = np.asarray(values)
        except ValueError as error:  # rows of unequal length
            raise DataError(f"{name} cannot be converted to a numeric array: {error}") from None
        if array.dtype.kind not in "biuf":
            raise DataError(
                f"{name} must be numeric, got an array of {array.dtype}: encode texts and categories as numbers"
            )
        values = torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))  # a copy: the array may be read-only
    tensor: Tensor = values.detach()
    if tensor.dim() == 0:
        raise DataError(f"{name} must have a dimension for samples, got a single number")
    if not tensor.is_floating_point():
        return tensor
    check_samples(tensor, name)
    check_samples(tensor.float(), f"{name} in float32")
    return tensor.float()


def _labels(targets: Tensor) -> Tensor:
    """Convert integer targets to int64, as torch's losses require; booleans and floating-point numbers stay."""
    return targets if targets.is_floating_point() or targets.dtype == torch.bool else targets.to(torch.int64)


def _is_table(data: object) -> bool:
    """Whether the data are a Hugging Face data set."""
    return hasattr(data, "column_names") and hasattr(data, "with_format") and hasattr(data, "features")


def _table_in_memory(table: Any, columns: RowColumns) -> _SamplesInMemory | None:
    """Return the columns as tensors if they are numbers of one shape and small enough, else None."""
    if not isinstance(columns.inputs, str) or table.data.nbytes > MAX_BYTES_IN_MEMORY:
        return None
    if any(type(table.features[name]).__name__ in ("Image", "Audio", "Video") for name in columns.names):
        return None  # compressed in the table, and far larger in memory
    inputs, targets = (table[name][:] for name in (columns.inputs, columns.target))
    if not isinstance(inputs, Tensor) or not isinstance(targets, Tensor):
        return None
    return _in_memory(inputs, targets)
