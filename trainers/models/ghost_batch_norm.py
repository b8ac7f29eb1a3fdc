"""Ghost batch normalisation: statistics over fixed sub-batches of a large batch (Hoffer et al., arXiv 1705.08741).

Batch normalisation adds noise whose strength depends on the batch size; at 8,192 samples it has vanished. Normalising
every g samples by their own mean and variance keeps the noise of batch size g at every batch size. Works in any torch
model; this module must not know how it is trained.

Shape suffixes: B batch, C channels, `...` the dimensions of a map, if any.
"""

from functools import cache
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def ghost_batch_sizes(num_samples: int, size: int) -> list[int]:
    """Return the sizes of the consecutive ghost batches of a batch: `size` each, and the remainder.

    A remainder of one sample joins the previous ghost batch, since one sample has no variance. Splitting a batch at
    multiples of `size` first, as micro-batches do, yields the same ghost batches.

    Args:
        num_samples: samples of the batch, >= 1.
        size: samples per ghost batch, >= 1.

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
    """Base of all ghost layers: in training, every ghost batch is normalised separately."""

    ghost_batch_size: int

    def forward(self, input: Tensor) -> Tensor:
        """Normalise features (B, C, ...)."""
        whole = super().forward
        if not self.training or len(input) <= self.ghost_batch_size:
            return whole(input)
        pieces = torch.split(input, ghost_batch_sizes(len(input), self.ghost_batch_size))
        return torch.cat([whole(piece) for piece in pieces])

    def extra_repr(self) -> str:
        """Return the layer's arguments for `print(model)`."""
        arguments: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return f"{arguments}, ghost_batch_size={self.ghost_batch_size}"


KINDS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
"""The supported layers; subclasses are supported too."""


@cache
def _ghost_class(kind: type[_BatchNorm]) -> type[_Ghost] | None:
    """Return the ghost layer of a layer class, which calls the class's forward per ghost batch; None if unsupported."""
    return type(f"Ghost{kind.__name__}", (_Ghost, kind), {}) if issubclass(kind, KINDS) else None


def use_ghost_batch_norm(model: nn.Module, ghost_batch_size: int) -> nn.Module:
    """Replace every batch normalisation of a model by ghost batch normalisation, in place.

    In training, the samples [0, g), [g, 2g) ... of a batch are normalised by their own mean and variance, and each of
    these ghost batches updates the running statistics in turn (Hoffer et al., Algorithm 1). The result is that of
    `nn.BatchNorm` called on one ghost batch after the other; `ghost_batch_sizes` defines the last ones. In evaluation
    the running statistics are used as usual. Parameters, buffers and `state_dict` keys do not change.

    Differs from the paper's running statistics only in the weights of the sum, eta (1 - eta)^i: i starts at 0, where
    the paper's starts at 1, so that the weights sum to one. Other implementations update once per batch, by the mean
    over its ghost batches; the statistics would then depend on micro-batches.

    Args:
        model: a model with batch normalisation.
        ghost_batch_size: g, samples per ghost batch, >= 2.

    Returns:
        The model itself.

    Raises:
        ValueError: g is below 2; the model has no batch normalisation; or it has a layer other than
            `nn.BatchNorm1d`, `2d`, `3d` and their subclasses, such as SyncBatchNorm or a lazy layer.

    >>> model = use_ghost_batch_norm(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), 32)
    >>> type(model[1]).__name__, model[1].ghost_batch_size
    ('GhostBatchNorm2d', 32)
    """
    if ghost_batch_size < 2:
        raise ValueError(f"ghost_batch_size {NEEDS_TWO}, got {ghost_batch_size}.")
    found = [(name, module) for name, module in model.named_modules() if isinstance(module, _BatchNorm)]
    if not found:
        raise ValueError("ghost_batch_size has no effect: the model has no batch normalisation.")
    ghosts = [_ghost_class(type(module)) for _, module in found]  # type: ignore[arg-type]  # classes are hashable
    for (name, module), ghost in zip(found, ghosts, strict=True):
        if ghost is None:
            raise ValueError(
                f"ghost_batch_size cannot be used: the model's layer {name!r} is a {type(module).__name__}, which is "
                f"not supported; known: {', '.join(kind.__name__ for kind in KINDS)} and their subclasses."
            )
    for (_, module), ghost in zip(found, ghosts, strict=True):
        module.__class__ = cast(type[_Ghost], ghost)  # keeps the layer object: weights, buffers, hooks, sharing
        cast(_Ghost, module).ghost_batch_size = ghost_batch_size
    return model
