"""Ghost batch normalisation: statistics over fixed sub-batches of a large batch (Hoffer et al., arXiv 1705.08741).

A model's batch normalisation is noise of a strength that the batch size sets: at 8,192 samples it is gone. Normalising
every g samples by their own mean and variance keeps that of batch size g, whatever the batch. Works in anyone's torch
model; this module must not know how it is trained.

Shape suffixes: B batch, C channels, `...` the dimensions of a map, if any.
"""

from functools import cache
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def ghost_batch_sizes(num_samples: int, size: int) -> list[int]:
    """Sizes of the consecutive pieces that a batch is cut into: `size` each, and what is left.

    A single sample that is left joins the piece before it, since one sample has no variance. A batch cut first at a
    multiple of `size` and each part then at `size` gives the same pieces as one cut at `size`.

    Args:
        num_samples: samples of the batch, >= 1.
        size: samples of a piece, >= 1.

    >>> ghost_batch_sizes(100, 32), ghost_batch_sizes(97, 32), ghost_batch_sizes(20, 32)
    ([32, 32, 32, 4], [32, 32, 33], [20])
    """
    sizes = [size] * (num_samples // size)
    left = num_samples % size
    if left == 1 and sizes:
        sizes[-1] += 1
    elif left:
        sizes.append(left)
    return sizes


NEEDS_TWO = "must be at least 2, since one sample has no variance"


class _Ghost(_BatchNorm):
    """What all ghost layers share: in training every piece of the batch is normalised by itself."""

    ghost_batch_size: int

    def forward(self, input: Tensor) -> Tensor:
        """Normalised features, of the shape (B, C, ...) of `input`."""
        whole = super().forward
        if not self.training or len(input) <= self.ghost_batch_size:
            return whole(input)
        pieces = torch.split(input, ghost_batch_sizes(len(input), self.ghost_batch_size))
        return torch.cat([whole(piece) for piece in pieces])

    def extra_repr(self) -> str:
        """What `print(model)` shows in the layer's brackets."""
        own: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return f"{own}, ghost_batch_size={self.ghost_batch_size}"


KINDS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
"""The layers that have a ghost, with their subclasses."""


@cache
def _ghost_class(kind: type[_BatchNorm]) -> type[_Ghost] | None:
    """The ghost of a kind of layer, whose own forward pass every piece goes through; None where there is none."""
    return type(f"Ghost{kind.__name__}", (_Ghost, kind), {}) if issubclass(kind, KINDS) else None


def use_ghost_batch_norm(model: nn.Module, ghost_batch_size: int) -> nn.Module:
    """Exchanges every batch normalisation inside a model for its ghost, in place.

    In training, samples [0, g), [g, 2g) ... of a batch are normalised each by its own mean and variance
    (`ghost_batch_sizes` says what the last ones are), and each moves the running statistics in turn, as Hoffer et al.'s
    Algorithm 1 does: exactly what `nn.BatchNorm` would do, called on one piece after the other. In evaluation the
    running statistics are used, as ever. Parameters, buffers and the keys of `state_dict` stay the same.

    Differs from the paper's line for the running statistics only in the weights of its sum, eta (1 - eta)^i for
    i = 0 .. where the paper's index starts at 1, so that they add up to one. Other implementations move them once a
    batch, by the mean over its ghosts; then they would depend on how a batch is split into micro-batches.

    Args:
        model: a model that contains batch normalisation.
        ghost_batch_size: g, samples a piece, >= 2.

    Returns:
        The model itself.

    Raises:
        ValueError: g is below 2; the model has no batch normalisation; or it has one that is none of
            `nn.BatchNorm1d`, `2d`, `3d` and their subclasses (SyncBatchNorm, or one that is not yet initialised).

    >>> model = use_ghost_batch_norm(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), 32)
    >>> type(model[1]).__name__, model[1].ghost_batch_size
    ('GhostBatchNorm2d', 32)
    """
    if ghost_batch_size < 2:
        raise ValueError(f"ghost_batch_size {NEEDS_TWO}, got {ghost_batch_size}.")
    found = [(name, module) for name, module in model.named_modules() if isinstance(module, _BatchNorm)]
    if not found:
        raise ValueError("ghost_batch_size has no effect: the model has no batch normalisation.")
    ghosts = [_ghost_class(type(module)) for _, module in found]  # type: ignore[arg-type]  # classes can be hashed
    for (name, module), ghost in zip(found, ghosts, strict=True):
        if ghost is None:
            raise ValueError(
                f"ghost_batch_size cannot be used: the model's layer {name!r} is a {type(module).__name__}, which has "
                f"no ghost; known: {', '.join(kind.__name__ for kind in KINDS)} and their subclasses."
            )
    for (_, module), ghost in zip(found, ghosts, strict=True):
        module.__class__ = cast(type[_Ghost], ghost)  # the layer itself stays: weights, buffers, hooks, shared uses
        cast(_Ghost, module).ghost_batch_size = ghost_batch_size
    return model
