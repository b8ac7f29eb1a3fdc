"""Splits whose samples do not fit in memory: worker processes load them one by one while the model trains.

Any map-style data set works: `len(dataset)` and `dataset[position]` -> (input, target). The loaded samples do not
depend on the number of workers. Random numbers drawn while loading a sample (crops, flips) depend only on the
training's seed and the sample's position in the stream of all samples, not on which process loads it or when. This
module must not know files or types of data.
"""

import copy
import random
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.data import DataLoader, Subset, default_collate

from ..sampling import sample_seeds
from .dataset import Batch, DataError, Split, check_samples

CHUNK_SIZE = 32
"""Samples that a worker loads at once. Batches are concatenated from chunks, so that all workers load every batch, and
2 * workers * 32 samples are in flight at every batch size. Workers that each load a batch of 8,192 images would not fit
in memory."""

SampleKeys = list[list[int]]
"""(position, seed) of each sample."""


class Samples(Protocol):
    """A map-style data set in torch's sense: `dataset[i]` is an (input, target) pair on the CPU."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def __getitem__(self, position: int, /) -> Any:
        """Return the sample at a 0-based position; torch, NumPy and random are seeded before the call."""


class LoadedSplit(Split):
    """Samples that are loaded while training. Keys are (position, seed) pairs, (num_keys, 2).

    Args:
        dataset: the samples.
        collate: samples -> (inputs, targets) of a batch; one worker then loads the whole batch. None stacks samples
            with torch's `default_collate`, and all workers load parts of the batch.
        prepare: inputs of a batch -> inputs, run on the split's device, for work that is cheaper there, such as
            normalising bytes. It must not draw random numbers.
        num_workers: number of loading processes, >= 0; None uses the trial's cores (torch's threads) minus one. They
            are forked at the first batch, live until the process ends, and serve all its trainings. With 0 the training
            process loads the samples and restores its random state afterwards.
        evaluation_batch: samples evaluated at once, >= 1; does not influence scores.

    Raises:
        DataError: while batches are read, if a sample cannot be loaded or has a number that is not finite; its notes
            hold the cause's traceback.

    >>> squares = LoadedSplit([(torch.tensor([float(i)]), i * i) for i in range(5)], num_workers=0)
    >>> _, _, keys = squares.order(0, 1, epochs=1, batch_size=5)
    >>> inputs, targets = next(squares.batches([keys]))
    >>> inputs.shape, sorted(targets.tolist())
    (torch.Size([5, 1]), [0, 1, 4, 9, 16])
    """

    def __init__(
        self,
        dataset: Samples,
        *,
        collate: Callable[[list[Any]], Batch] | None = None,
        prepare: Callable[[Any], Any] | None = None,
        num_workers: int | None = None,
        evaluation_batch: int = 100,
    ) -> None:
        self._reader = _Reader(dataset, collate or default_collate)
        self._workers = _Workers(self._reader, CHUNK_SIZE if collate is None else None)
        self.prepare = prepare
        self._num_workers = num_workers
        self._evaluation_batch = evaluation_batch
        self._device = torch.device("cpu")
        self._is_double = False

    @property
    def samples(self) -> Samples:
        """The underlying data set."""
        return self._reader.dataset

    def __len__(self) -> int:
        return len(self._reader.dataset)

    def batches(self, keys: Iterable[Tensor]) -> Iterator[Batch]:
        """Yield the batch of each key tensor (B, 2), prefetched by the workers. A new call ends the previous one."""
        num_workers = max(0, torch.get_num_threads() - 1) if self._num_workers is None else self._num_workers
        if num_workers == 0:
            loaded: Iterator[list[Batch]] = ([_load_in_process(self._reader, key.tolist())] for key in keys)
        else:
            loaded = self._workers.load(keys, num_workers, pin=self._device.type == "cuda")
        for chunks in loaded:
            yield self._assemble(chunks, self._device)

    def order(self, seed: int, epoch: int, *, epochs: int, batch_size: int) -> tuple[int, int, Tensor]:
        """Return shuffled positions, each paired with the seed of its place in the stream of all samples.

        So a resumed training draws the same numbers as an uninterrupted one, and trainings with one seed draw the same
        numbers at every batch size.
        """
        first, last, positions = super().order(seed, epoch, epochs=epochs, batch_size=batch_size)
        seeds = sample_seeds(seed, (first - 1) * batch_size, len(positions))
        return first, last, torch.stack([positions, seeds], dim=1)

    def evaluation_keys(self) -> Iterable[Tensor]:
        """Return keys of every sample, with the same random numbers in every evaluation."""
        positions = torch.arange(len(self))
        return torch.split(torch.stack([positions, positions], dim=1), self._evaluation_batch)

    def example_batch(self) -> Batch:
        """Return the first two samples, on the CPU, loaded by this process."""
        return self.load_samples([0, 1])

    def load_samples(self, positions: Sequence[int]) -> Batch:
        """Return samples by position, as an evaluation gets them, on the CPU; loaded by this process.

        Raises:
            DataError: a sample cannot be loaded.
        """
        keys = [[position, position] for position in positions]
        return self._assemble([_load_in_process(self._reader, keys)], torch.device("cpu"))

    def select(self, positions: list[int]) -> "LoadedSplit":
        """Return the samples at these positions, one of them perhaps several times, loaded by this process."""
        samples: Samples = Subset(self.samples, positions)  # type: ignore[arg-type]  # any map-style data set
        return LoadedSplit(samples, collate=self._reader.collate, prepare=self.prepare, num_workers=0)

    def to(self, device: torch.device) -> Self:
        """Return the same samples and workers with batches on `device`."""
        moved = copy.copy(self)
        moved._device = device
        return moved

    def double(self) -> Self:
        """Return the same samples and workers with floating-point numbers in float64."""
        doubled = copy.copy(self)
        doubled._is_double = True
        return doubled

    def _assemble(self, chunks: list[Batch], device: torch.device) -> Batch:
        """Concatenate the chunks of a batch on the device, in the split's dtype."""
        moved = [tree_map(lambda tensor: tensor.to(device, non_blocking=True), tuple(chunk)) for chunk in chunks]
        batch = moved[0] if len(moved) == 1 else tree_map(lambda *parts: torch.cat(parts), *moved)
        inputs, targets = batch
        if self.prepare is not None:
            inputs = self.prepare(inputs)
        if self._is_double:
            inputs, targets = tree_map(
                lambda tensor: tensor.double() if tensor.is_floating_point() else tensor, (inputs, targets)
            )
        return inputs, targets


class _Reader:
    """Loads the samples of a chunk or batch, in any process; the data set that torch's DataLoader is given."""

    def __init__(self, dataset: Samples, collate: Callable[[list[Any]], Any]) -> None:
        self.dataset = dataset
        self.collate = collate

    def __getitems__(self, keys: SampleKeys) -> "Batch | DataError":
        """Load the samples of the keys as one batch. Errors are returned, since torch would wrap raised ones."""
        where = "the samples cannot be collated"
        try:
            samples = []
            for position, seed in keys:
                where = f"sample {position}"
                _seed(seed)
                samples.append(self.dataset[position])
            where = f"samples {keys[0][0]}, ... cannot be collated"
            batch: Batch = self.collate(samples)
            if not isinstance(batch, tuple | list) or len(batch) != 2:
                return DataError(_describe_no_pair(batch))
            for values in tree_leaves(batch):
                if isinstance(values, Tensor) and values.shape[:1] == (len(keys),):
                    check_samples(values, "the data", [position for position, _ in keys])
            return batch
        except DataError as error:
            return error
        except Exception as error:  # a data set may raise anything
            from ..applications.failure import describe_error  # applications import data

            failure = DataError(f"{where}: {describe_error(error)}")
            failure.add_note(traceback.format_exc())
            return failure


def _describe_no_pair(batch: Any) -> str:
    """Return what to do about samples that are no (input, target) pairs."""
    if isinstance(batch, Mapping):
        names = ", ".join(map(repr, batch))
        return (
            f"samples must be (input, target) pairs, got rows of {names}: name the columns, "
            "as_split(..., inputs=..., target=...)"
        )
    got = f"{len(batch)} parts" if isinstance(batch, tuple | list) else f"type {type(batch).__name__}"
    return (
        f"samples must be (input, target) pairs, got {got}: return ((input, another input), target) where the model "
        "needs several inputs"
    )


class _Keys:
    """The batch sampler of torch's DataLoader: the keys of the current call, split into chunks."""

    def __init__(self, chunk_size: int | None) -> None:
        self._chunk_size = chunk_size
        self.keys: Iterable[Tensor] = ()
        self.num_chunks: deque[int] = deque()

    def __iter__(self) -> Iterator[SampleKeys]:
        for key in self.keys:
            chunks = torch.split(key, self._chunk_size or len(key))
            self.num_chunks.append(len(chunks))
            for chunk in chunks:
                yield chunk.tolist()  # a tensor would be sent to the worker as a file of its own


class _Workers:
    """The worker processes of one data set, started at the first batch and kept."""

    def __init__(self, reader: _Reader, chunk_size: int | None) -> None:
        self._reader = reader
        self._chunk_size = chunk_size
        self._keys = _Keys(chunk_size)
        self._calls = 0
        self._loaders: list[DataLoader[Any]] = []  # one at most
        # Garbage collection of a cycle would delete the queues before torch ends the workers through them, and torch
        # would wait five seconds for each. A finalizer keeps the loader out of cycles.
        weakref.finalize(self, self._loaders.clear)

    def load(self, keys: Iterable[Tensor], num_workers: int, *, pin: bool) -> Iterator[list[Batch]]:
        """Yield the chunks of each key tensor's batch, in order."""
        self._calls += 1
        call = self._calls
        self._keys.keys, self._keys.num_chunks = keys, deque()
        chunks = iter(self._get_loader(num_workers, pin))
        for chunk in chunks:
            batch = [_unwrap(chunk)]
            batch += [_unwrap(next(chunks)) for _ in range(self._keys.num_chunks.popleft() - 1)]
            yield batch
            if call != self._calls:
                raise RuntimeError("these batches ended because other batches of the same split were requested.")

    def _get_loader(self, num_workers: int, pin: bool) -> "DataLoader[Any]":
        for loader in self._loaders:
            if (loader.num_workers, loader.pin_memory) == (num_workers, pin):
                return loader
        self._loaders.clear()
        self._loaders.append(
            DataLoader(
                self._reader,  # type: ignore[arg-type]  # it has what torch needs for batched loading
                batch_sampler=self._keys,  # torch accepts batches without a length
                collate_fn=_identity,
                num_workers=num_workers,
                pin_memory=pin,
                persistent_workers=True,
                # Otherwise torch draws the workers' seeds from the training's random state.
                generator=torch.Generator(),
                # A user's data set often cannot be pickled, which every other start method requires.
                multiprocessing_context="fork",
            )
        )
        return self._loaders[0]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the processes: a copy in another process starts its own."""
        return _Workers, (self._reader, self._chunk_size)


def _identity(batch: Any) -> Any:
    return batch


def _unwrap(batch: "Batch | DataError") -> Batch:
    if not isinstance(batch, DataError):
        return batch
    try:
        raise batch
    finally:
        del batch  # it holds this frame by its traceback


def _load_in_process(reader: _Reader, keys: SampleKeys) -> Batch:
    """Load a batch in this process and restore its random state."""
    with _preserve_random_state():
        return _unwrap(reader.__getitems__(keys))


def _seed(seed: int) -> None:
    """Seed all generators that a data set may use; NumPy's differently, since torch's is of the same type."""
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed ^ 0x5BD1E995)
    random.seed(seed)


@contextmanager
def _preserve_random_state() -> Iterator[None]:
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
