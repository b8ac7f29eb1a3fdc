"""Splits whose samples do not fit in memory: loaded one by one, by worker processes, while the model trains.

Any map-style data set will do: `len(dataset)` and `dataset[position]` -> (input, target). What is loaded is the same
whatever the number of workers: the random numbers that loading a sample draws (crops, flips) depend on the training's
seed and the sample's place in the stream of all samples alone, never on who loads it, when, or what was loaded before.
This module must not know files or kinds of data.
"""

import copy
import random
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map
from torch.utils.data import DataLoader, default_collate

from ..sampling import sample_seeds
from .dataset import Batch, DataError, Split

CHUNK_SIZE = 32
"""Samples that a worker loads at once. A batch is put together from pieces, so that all workers share its loading and
the samples in flight are 2 x workers x 32 at every batch size; workers that made a batch of 8,192 images each would not
fit in memory."""

SampleKeys = list[list[int]]
"""(position, seed of its random numbers) of each sample."""


class Samples(Protocol):
    """A map-style data set, as torch calls it: sample i is `dataset[i]`, an (input, target) pair on the CPU."""

    def __len__(self) -> int:
        """Number of samples."""

    def __getitem__(self, position: int, /) -> Any:
        """The sample at a position, 0-based; what it draws from torch, NumPy or random is seeded for it."""


class LoadedSplit(Split):
    """Samples that are loaded when they are asked for. Its keys are (position, seed) pairs: (num_keys, 2).

    Args:
        dataset: the samples.
        collate: samples -> (inputs, targets) of a batch; one worker then loads the whole batch. None stacks them, as
            torch's `default_collate`, and workers share the batch.
        prepare: inputs of a batch -> inputs, on the split's device: for what is cheaper there, such as turning bytes
            into normalised numbers. It must not draw random numbers.
        num_workers: processes that load, >= 0; None for the trial's cores (torch's threads) but one. They are forked
            when the first batch is asked for, stay until the process ends, and serve all its trainings. With 0 the
            training process loads, and its random state is left as it was.
        evaluation_batch: samples evaluated at once, >= 1; of no influence on any score.

    Raises:
        DataError: while batches are taken, where a sample cannot be loaded; the cause's traceback is in its notes.

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
        """The data set."""
        return self._reader.dataset

    def __len__(self) -> int:
        return len(self._reader.dataset)

    def batches(self, keys: Iterable[Tensor]) -> Iterator[Batch]:
        """The samples of each key tensor (B, 2), loaded ahead by the workers. Only the latest call's batches go on."""
        num_workers = max(0, torch.get_num_threads() - 1) if self._num_workers is None else self._num_workers
        if num_workers == 0:
            loaded: Iterator[list[Batch]] = ([_load_in_process(self._reader, key.tolist())] for key in keys)
        else:
            loaded = self._workers.load(keys, num_workers, pin=self._device.type == "cuda")
        for pieces in loaded:
            yield self._assemble(pieces, self._device)

    def order(self, seed: int, epoch: int, *, epochs: int, batch_size: int) -> tuple[int, int, Tensor]:
        """Shuffled positions, each with a seed that belongs to its place in the stream of all samples.

        So a resumed training draws what the uninterrupted one did, and trainings of one seed draw alike at every
        batch size.
        """
        first, last, positions = super().order(seed, epoch, epochs=epochs, batch_size=batch_size)
        seeds = sample_seeds(seed, (first - 1) * batch_size, len(positions))
        return first, last, torch.stack([positions, seeds], dim=1)

    def evaluation_keys(self) -> Iterable[Tensor]:
        """Every sample once; what it draws is the same in every evaluation."""
        positions = torch.arange(len(self))
        return torch.split(torch.stack([positions, positions], dim=1), self._evaluation_batch)

    def example_batch(self) -> Batch:
        """The first two samples, on the CPU, loaded by this process."""
        return self._assemble([_load_in_process(self._reader, [[0, 0], [1, 1]])], torch.device("cpu"))

    def to(self, device: torch.device) -> Self:
        """The same samples, and the same workers, with batches on `device`."""
        moved = copy.copy(self)
        moved._device = device
        return moved

    def double(self) -> Self:
        """The same samples, and the same workers, with real numbers in float64."""
        doubled = copy.copy(self)
        doubled._is_double = True
        return doubled

    def _assemble(self, pieces: list[Batch], device: torch.device) -> Batch:
        """One batch of its pieces, on the device and in the number format."""
        moved = [tree_map(lambda tensor: tensor.to(device, non_blocking=True), tuple(piece)) for piece in pieces]
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
    """Loads the samples of one piece or batch, in whichever process; also the data set that torch's DataLoader sees."""

    def __init__(self, dataset: Samples, collate: Callable[[list[Any]], Any]) -> None:
        self.dataset = dataset
        self.collate = collate

    def __getitems__(self, keys: SampleKeys) -> "Batch | DataError":
        """The samples of the keys as one batch; an error is returned, since torch would wrap one that is raised."""
        where = "the samples cannot be put into one batch"
        try:
            samples = []
            for position, seed in keys:
                where = f"sample {position}"
                _seed(seed)
                samples.append(self.dataset[position])
            where = f"samples {keys[0][0]}, ... cannot be put into one batch"
            batch: Batch = self.collate(samples)
            return batch
        except DataError as error:
            return error
        except Exception as error:  # whatever a data set raises
            failure = DataError(f"{where}: {type(error).__name__}: {error}")
            failure.add_note(traceback.format_exc())
            return failure


class _Keys:
    """What torch's DataLoader takes its batches from: the keys of the call now going on, cut into pieces."""

    def __init__(self, piece: int | None) -> None:
        self._piece = piece
        self.keys: Iterable[Tensor] = ()
        self.num_pieces: deque[int] = deque()

    def __iter__(self) -> Iterator[SampleKeys]:
        for key in self.keys:
            pieces = torch.split(key, self._piece or len(key))
            self.num_pieces.append(len(pieces))
            for piece in pieces:
                yield piece.tolist()  # a tensor would cross to the worker as a file of its own


class _Workers:
    """The worker processes of one data set, started when first needed and kept."""

    def __init__(self, reader: _Reader, piece: int | None) -> None:
        self._reader = reader
        self._piece = piece
        self._keys = _Keys(piece)
        self._calls = 0
        self._loaders: list[DataLoader[Any]] = []  # one at most
        # Garbage collection of a cycle would take the queues away before torch ends the workers with them, and torch
        # would wait for each for five seconds. A finalizer keeps the loader out of every cycle.
        weakref.finalize(self, self._loaders.clear)

    def load(self, keys: Iterable[Tensor], num_workers: int, *, pin: bool) -> Iterator[list[Batch]]:
        """The pieces of each key tensor's batch, in order."""
        self._calls += 1
        call = self._calls
        self._keys.keys, self._keys.num_pieces = keys, deque()
        pieces = iter(self._get_loader(num_workers, pin))
        for piece in pieces:
            batch = [_raise_error(piece)]
            batch += [_raise_error(next(pieces)) for _ in range(self._keys.num_pieces.popleft() - 1)]
            yield batch
            if call != self._calls:
                raise RuntimeError("these batches ended when other batches of the same split were asked for.")

    def _get_loader(self, num_workers: int, pin: bool) -> "DataLoader[Any]":
        for loader in self._loaders:
            if (loader.num_workers, loader.pin_memory) == (num_workers, pin):
                return loader
        self._loaders.clear()
        self._loaders.append(
            DataLoader(
                self._reader,  # type: ignore[arg-type]  # it has what torch needs where batches are given
                batch_sampler=self._keys,  # batches without a number are fine
                collate_fn=_identity,
                num_workers=num_workers,
                pin_memory=pin,
                persistent_workers=True,
                # torch would draw the workers' seeds from the training's random state.
                generator=torch.Generator(),
                # A user's data set often cannot be pickled, which every other way of starting a process needs.
                multiprocessing_context="fork",
            )
        )
        return self._loaders[0]

    def __reduce__(self) -> tuple[Any, ...]:
        """Processes stay where they are: a copy in another process starts its own."""
        return _Workers, (self._reader, self._piece)


def _identity(batch: Any) -> Any:
    return batch


def _raise_error(batch: "Batch | DataError") -> Batch:
    if not isinstance(batch, DataError):
        return batch
    try:
        raise batch
    finally:
        del batch  # it holds this frame by its traceback


def _load_in_process(reader: _Reader, keys: SampleKeys) -> Batch:
    """A batch loaded here, with this process's random state left as it was."""
    with _preserve_random_state():
        return _raise_error(reader.__getitems__(keys))


def _seed(seed: int) -> None:
    """Seeds everything that a data set may draw from. Another seed for NumPy, whose generator is torch's own kind."""
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
