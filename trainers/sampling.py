"""The random streams of a training: one each for weights, sample order and noise, from the seed and a purpose alone.

Python's and NumPy's global generators, which a user's code may draw from, follow the same streams. So two
configurations with the same seed start alike, and a resumed training need not replay what it has done. All
batches come from one continuous stream of samples, the permutations of epochs 1, 2, ... E one after another: update t
takes its samples [(t-1) B, t B). A text is not shuffled but read in streams. This module must not know what is trained.
"""

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


@contextmanager
def random_stream(seed: int, purpose: str, device: torch.device) -> Iterator[None]:
    """Have torch, Python and NumPy draw from the stream of a purpose in this block, torch on the CPU and on `device`.

    Their random states are restored after the block.

    >>> with random_stream(0, "weights", torch.device("cpu")):
    ...     first = torch.rand(3)
    >>> with random_stream(0, "weights", torch.device("cpu")):
    ...     print(torch.equal(torch.rand(3), first))
    True
    """
    states, derived = (random.getstate(), np.random.get_state()), _derived_seed(seed, purpose)
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(derived)
            random.seed(derived)
            np.random.seed(derived % 2**32)
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def sample_order(seed: int, epoch: int, *, epochs: int, num_samples: int, batch_size: int) -> tuple[int, int, Tensor]:
    """Return the updates of one epoch and their samples.

    An epoch ends with the update that completes it, and has at least one update, since B <= n. The last update of a
    training takes the remaining samples, so that T = ceil(E n / B) updates see exactly E n samples at every batch size.

    Args:
        seed: the training's seed.
        epoch: 1 .. `epochs`.
        epochs: E.
        num_samples: n.
        batch_size: B, 1 .. n.

    Returns:
        The first and the last update, both 1-based, and the positions of the samples (num_samples_of_epoch,).

    >>> [sample_order(0, epoch, epochs=2, num_samples=5, batch_size=3)[:2] for epoch in (1, 2)]
    [(1, 2), (3, 4)]
    """
    return _select(lambda each: _permutation(seed, each, num_samples), epoch, epochs, num_samples, batch_size)


def sample_draws(seed: int, epoch: int, *, epochs: int, num_samples: int, batch_size: int) -> Tensor:
    """Return a random number in 0 .. 2^31-1 for each sample of `sample_order`, (num_samples_of_epoch,).

    Augmentations are drawn from it. It depends on the sample's place in the stream of all samples alone, not on the
    worker, batch or micro-batch that computes the sample. Arguments as for `sample_order`.

    >>> each = sample_draws(3, 1, epochs=1, num_samples=5, batch_size=1)
    >>> torch.equal(each, sample_draws(3, 1, epochs=1, num_samples=5, batch_size=4))
    True
    """

    def draw_pass(each: int) -> Tensor:
        generator = torch.Generator().manual_seed(_derived_seed(seed, f"draws {each}"))
        return torch.randint(2**31, (num_samples,), generator=generator)

    _, _, draws = _select(draw_pass, epoch, epochs, num_samples, batch_size)
    return draws


def sample_seeds(seed: int, start: int, count: int) -> Tensor:
    """Return seeds (count,) in 0 .. 2^32-1 for the random numbers that loading each sample draws.

    A seed depends on the sample's place in the stream of all samples. No two samples of a training share one.

    Args:
        seed: the training's seed.
        start: place of the first sample, 0-based: (t - 1) B for update t.
        count: number of samples.

    >>> torch.equal(sample_seeds(0, 0, 9)[4:6], sample_seeds(0, 4, 2))
    True
    """
    return (_derived_seed(seed, "samples") + torch.arange(start, start + count)) % 2**32


def stream_order(epoch: int, *, epochs: int, num_windows: int, batch_size: int) -> tuple[int, int, Tensor]:
    """Return the updates of one epoch over a text, and their windows: the next one of each of B streams.

    The text is a ring of n windows. Stream s = 0 .. B-1 begins at window floor(s n / B) and advances by one window an
    update through the whole training: update t takes window floor(s n / B) + t - 1, modulo n. In n / B updates every
    stream reaches the beginning of the next one, so an epoch reads the text once. The last update of a training takes
    the first streams only, as many as remain, so that T = ceil(E n / B) updates see exactly E n windows.

    If B does not divide n, an update that spans two epochs belongs to the first of them, and some windows may be read
    once more than others.

    Args:
        epoch: 1 .. `epochs`.
        epochs: E.
        num_windows: n.
        batch_size: B, 1 .. n.

    Returns:
        The first and the last update, both 1-based, and (window, stream) of every sample, (num_windows_of_epoch, 2).

    Differs from TensorFlow's reader.ptb_producer, which cuts the text into B parts of equal length and drops the rest,
    so that each batch size would see other data.

    >>> first, last, keys = stream_order(1, epochs=2, num_windows=7, batch_size=3)
    >>> first, last, keys.tolist()
    (1, 3, [[0, 0], [2, 1], [4, 2], [1, 0], [3, 1], [5, 2], [2, 0], [4, 1], [6, 2]])
    >>> first, last, keys = stream_order(2, epochs=2, num_windows=7, batch_size=3)
    >>> first, last, keys.tolist()
    (4, 5, [[3, 0], [5, 1], [0, 2], [4, 0], [6, 1]])
    """
    n = num_windows
    before, last = _num_updates(epoch - 1, n, batch_size), _num_updates(epoch, n, batch_size)
    taken = torch.arange(before * batch_size, min(last * batch_size, epochs * n))
    streams = taken % batch_size
    windows = (streams * n // batch_size + taken // batch_size) % n
    return before + 1, last, torch.stack([windows, streams], dim=1)


def streams_in_order(num_windows: int, num_streams: int) -> tuple[Tensor, ...]:
    """Return the steps that read a text once in streams of nearly equal length.

    Args:
        num_windows: n, >= 1.
        num_streams: B, >= 1; a text with fewer windows is read in as many streams.

    Returns:
        (window, stream) of the samples of each step, (num_keys, 2).

    >>> [keys.tolist() for keys in streams_in_order(5, 2)]
    [[[0, 0], [2, 1]], [[1, 0], [3, 1]], [[4, 1]]]
    """
    streams = torch.arange(min(num_streams, num_windows))
    begins = streams * num_windows // len(streams)
    lengths = (streams + 1) * num_windows // len(streams) - begins
    keys = torch.stack([begins, streams], dim=1)
    ahead = torch.tensor([1, 0])
    return tuple((keys + step * ahead)[lengths > step] for step in range(int(lengths.max())))


def _select(
    of_pass: Callable[[int], Tensor], epoch: int, epochs: int, num_samples: int, batch_size: int
) -> tuple[int, int, Tensor]:
    """Return the first and last update of an epoch, and their part of passes one after another, each (num_samples,)."""
    n = num_samples
    before, last = _num_updates(epoch - 1, n, batch_size), _num_updates(epoch, n, batch_size)
    already_taken = before * batch_size - (epoch - 1) * n
    beyond = 0 if epoch == epochs else last * batch_size - epoch * n
    taken = of_pass(epoch)[already_taken:]
    if beyond:
        taken = torch.cat([taken, of_pass(epoch + 1)[:beyond]])
    return before + 1, last, taken


def _num_updates(epoch: int, num_samples: int, batch_size: int) -> int:
    """Return the number of updates that complete an epoch, counted from the beginning of the training."""
    return -(-epoch * num_samples // batch_size)


def _permutation(seed: int, epoch: int, num_samples: int) -> Tensor:
    """Return the order (n,) of one pass. It depends on seed and epoch alone: resuming need not replay other passes."""
    generator = torch.Generator().manual_seed(_derived_seed(seed, f"order {epoch}"))
    return torch.randperm(num_samples, generator=generator)


def _derived_seed(seed: int, purpose: str) -> int:
    """Return a seed for each purpose, so that no two random streams of a training are related."""
    return int.from_bytes(hashlib.sha256(f"{seed} {purpose}".encode()).digest()[:4], "big")
