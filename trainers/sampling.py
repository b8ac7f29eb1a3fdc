"""The random streams of a training, each of the seed and a purpose alone: weights, the order of samples, noise.

So two configurations with one seed start alike, and a resumed training need not replay what it has done. All batches
come from one continuous stream of samples, the permutations of epoch 1, 2, ... E laid end to end: update t takes the
samples [(t-1) B, t B) of it. A text is not shuffled but read in streams. This module must not know what is trained.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def random_stream(seed: int, purpose: str, device: torch.device) -> Iterator[None]:
    """Inside, torch draws from the stream of that purpose, on the CPU and on `device`; outside, nothing is noticed.

    >>> with random_stream(0, "weights", torch.device("cpu")):
    ...     first = torch.rand(3)
    >>> with random_stream(0, "weights", torch.device("cpu")):
    ...     print(torch.equal(torch.rand(3), first))
    True
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(_derived_seed(seed, purpose))
        yield


def sample_order(seed: int, epoch: int, *, epochs: int, num_samples: int, batch_size: int) -> tuple[int, int, Tensor]:
    """The updates of one epoch, and the samples they take.

    An epoch ends with the update that completes it, and each has at least one, since B <= n. The last update of a
    training takes what is left, so that T = ceil(E n / B) updates see exactly E n samples at every batch size.

    Args:
        seed: of the training.
        epoch: 1 .. `epochs`.
        epochs: E.
        num_samples: n.
        batch_size: B, 1 .. n.

    Returns:
        The first and the last update, both 1-based, and the positions of the samples (num_samples_of_epoch,).

    >>> [sample_order(0, epoch, epochs=2, num_samples=5, batch_size=3)[:2] for epoch in (1, 2)]
    [(1, 2), (3, 4)]
    """
    return _taken(lambda each: _permutation(seed, each, num_samples), epoch, epochs, num_samples, batch_size)


def sample_draws(seed: int, epoch: int, *, epochs: int, num_samples: int, batch_size: int) -> Tensor:
    """A random number in 0 .. 2^31-1 for each sample of `sample_order`, (num_samples_of_epoch,): what changes it.

    It belongs to the sample's place in the stream of all samples alone: whoever computes that sample, in whatever batch
    or piece of one, draws the same. Arguments as of `sample_order`.

    >>> each = sample_draws(3, 1, epochs=1, num_samples=5, batch_size=1)
    >>> torch.equal(each, sample_draws(3, 1, epochs=1, num_samples=5, batch_size=4))
    True
    """

    def drawn(each: int) -> Tensor:
        generator = torch.Generator().manual_seed(_derived_seed(seed, f"draws {each}"))
        return torch.randint(2**31, (num_samples,), generator=generator)

    _, _, draws = _taken(drawn, epoch, epochs, num_samples, batch_size)
    return draws


def sample_seeds(seed: int, start: int, count: int) -> Tensor:
    """Seeds (count,) in 0 .. 2^32-1 for what loading each sample draws, by its place in the stream of all samples.

    No two samples of a training have the same.

    Args:
        seed: of the training.
        start: samples of the stream before the first one, 0-based: (t - 1) B for update t.
        count: how many.

    >>> torch.equal(sample_seeds(0, 0, 9)[4:6], sample_seeds(0, 4, 2))
    True
    """
    return (_derived_seed(seed, "samples") + torch.arange(start, start + count)) % 2**32


def stream_order(epoch: int, *, epochs: int, num_windows: int, batch_size: int) -> tuple[int, int, Tensor]:
    """The updates of one epoch over a text, and the windows they take: one of each of B streams, going on where it was.

    The text is a ring of n windows. Stream s = 0 .. B-1 begins at window floor(s n / B) and moves on by one window an
    update, through the whole training: update t takes window floor(s n / B) + t - 1, modulo n. In n / B updates every
    stream reaches the beginning of the next, so an epoch reads the text once. The last update of a training takes the
    first streams only, as many as are left, so that T = ceil(E n / B) updates see exactly E n windows.

    Where B does not divide n, an update at the seam of two epochs belongs to the first of them, and a window may be
    read once more or once less often than another.

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
    before, last = _updates_done(epoch - 1, n, batch_size), _updates_done(epoch, n, batch_size)
    taken = torch.arange(before * batch_size, min(last * batch_size, epochs * n))
    streams = taken % batch_size
    windows = (streams * n // batch_size + taken // batch_size) % n
    return before + 1, last, torch.stack([windows, streams], dim=1)


def streams_in_order(num_windows: int, num_streams: int) -> tuple[Tensor, ...]:
    """A text read once in streams of nearly equal length: (window, stream) of each step's samples, (num_keys, 2).

    Args:
        num_windows: n, >= 1.
        num_streams: B, >= 1; a text with fewer windows is read in as many streams.

    >>> [keys.tolist() for keys in streams_in_order(5, 2)]
    [[[0, 0], [2, 1]], [[1, 0], [3, 1]], [[4, 1]]]
    """
    streams = torch.arange(min(num_streams, num_windows))
    begins = streams * num_windows // len(streams)
    lengths = (streams + 1) * num_windows // len(streams) - begins
    keys = torch.stack([begins, streams], dim=1)
    ahead = torch.tensor([1, 0])
    return tuple((keys + step * ahead)[lengths > step] for step in range(int(lengths.max())))


def _taken(
    of_pass: Callable[[int], Tensor], epoch: int, epochs: int, num_samples: int, batch_size: int
) -> tuple[int, int, Tensor]:
    """First and last update of an epoch, and what they take of passes laid end to end, each (num_samples,)."""
    n = num_samples
    before, last = _updates_done(epoch - 1, n, batch_size), _updates_done(epoch, n, batch_size)
    already_taken = before * batch_size - (epoch - 1) * n
    beyond = 0 if epoch == epochs else last * batch_size - epoch * n
    taken = of_pass(epoch)[already_taken:]
    if beyond:
        taken = torch.cat([taken, of_pass(epoch + 1)[:beyond]])
    return before + 1, last, taken


def _updates_done(epoch: int, num_samples: int, batch_size: int) -> int:
    """Updates that it takes to complete an epoch, counted from the beginning of the training."""
    return -(-epoch * num_samples // batch_size)


def _permutation(seed: int, epoch: int, num_samples: int) -> Tensor:
    """The order (n,) of one pass, from the seed and the epoch alone: a resumed training need not replay others."""
    generator = torch.Generator().manual_seed(_derived_seed(seed, f"order {epoch}"))
    return torch.randperm(num_samples, generator=generator)


def _derived_seed(seed: int, purpose: str) -> int:
    """A seed of its own for each purpose, so that no two random streams of a training are related."""
    return int.from_bytes(hashlib.sha256(f"{seed} {purpose}".encode()).digest()[:4], "big")
