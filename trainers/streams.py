"""The random streams of a training, each of the seed and a purpose alone: weights, the order of samples, noise.

So two configurations with one seed start alike, and a resumed training need not replay what it has done. All batches
come from one continuous stream of samples, the permutations of epoch 1, 2, ... E laid end to end: update t takes the
samples [(t-1) B, t B) of it. This module must not know what is trained.
"""

import hashlib
from collections.abc import Iterator
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
    n = num_samples
    before, last = -(-(epoch - 1) * n // batch_size), -(-epoch * n // batch_size)
    already_taken = before * batch_size - (epoch - 1) * n
    beyond = 0 if epoch == epochs else last * batch_size - epoch * n
    order = _permutation(seed, epoch, n)[already_taken:]
    if beyond:
        order = torch.cat([order, _permutation(seed, epoch + 1, n)[:beyond]])
    return before + 1, last, order


def _permutation(seed: int, epoch: int, num_samples: int) -> Tensor:
    """The order (n,) of one pass, from the seed and the epoch alone: a resumed training need not replay others."""
    generator = torch.Generator().manual_seed(_derived_seed(seed, f"order {epoch}"))
    return torch.randperm(num_samples, generator=generator)


def _derived_seed(seed: int, purpose: str) -> int:
    """A seed of its own for each purpose, so that no two random streams of a training are related."""
    return int.from_bytes(hashlib.sha256(f"{seed} {purpose}".encode()).digest()[:4], "big")
