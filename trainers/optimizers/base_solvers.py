"""The solvers that a layer-wise ratio can be put over: each says where to go, never how far.

A base solver turns gradients into a direction and keeps its own state; `Layerwise` multiplies the direction by each
layer's ratio and takes the step. The arithmetic, down to the order of operations, is that of torch.optim, so that a
ratio of 1 gives torch's own solver bit for bit (on a CPU). This module must not know of ratios or learning rates.

Adding one: a function and a line in `BASE_SOLVERS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainers.optimizers.multi_tensor import Bucket, shrink, with_decay


@dataclass(frozen=True, kw_only=True)
class Direction:
    """Where to go: the step is w <- w - lr r numerator / denominator, with r the layer's ratio.

    Attributes:
        numerators: one tensor a layer; may be the solver's own state, so not to be changed in place.
        denominators: one tensor a layer, or None for ones.
    """

    numerators: list[Tensor]
    denominators: list[Tensor] | None = None


@dataclass(frozen=True, kw_only=True)
class BaseSolver:
    """A solver without its step.

    Attributes:
        direction: (layers, options of the parameter group) -> direction; updates the layers' states.
        defaults: its options with their defaults, torch's own.
    """

    direction: Callable[[Bucket, Mapping[str, Any]], Direction]
    defaults: Mapping[str, float]


def _sgd(bucket: Bucket, group: Mapping[str, Any]) -> Direction:
    """u = g + wd w."""
    return Direction(numerators=with_decay(bucket, group["weight_decay"]))


def _momentum(bucket: Bucket, group: Mapping[str, Any]) -> Direction:
    """u = m u + (g + wd w), as torch.optim.SGD has it: the learning rate, and so the ratio, is outside the buffer."""
    buffers = bucket.state_tensors("momentum_buffer")
    shrink(buffers, group["momentum"])
    torch._foreach_add_(buffers, with_decay(bucket, group["weight_decay"]))
    return Direction(numerators=buffers)


def _adagrad(bucket: Bucket, group: Mapping[str, Any]) -> Direction:
    """u = g / (sqrt(sum of g^2) + eps), with g + wd w for g."""
    grads = with_decay(bucket, group["weight_decay"])
    sums = bucket.state_tensors("sum")
    torch._foreach_addcmul_(sums, grads, grads, value=1)
    roots = list(torch._foreach_sqrt(sums))
    torch._foreach_add_(roots, group["eps"])
    return Direction(numerators=grads, denominators=roots)


def _rmsprop(bucket: Bucket, group: Mapping[str, Any]) -> Direction:
    """u = g / (sqrt(moving average of g^2) + eps), with g + wd w for g."""
    grads = with_decay(bucket, group["weight_decay"])
    averages = bucket.state_tensors("square_avg")
    shrink(averages, group["alpha"])
    torch._foreach_addcmul_(averages, grads, grads, value=1 - group["alpha"])
    roots = list(torch._foreach_sqrt(averages))
    torch._foreach_add_(roots, group["eps"])
    return Direction(numerators=grads, denominators=roots)


BASE_SOLVERS: dict[str, BaseSolver] = {
    "sgd": BaseSolver(direction=_sgd, defaults={"weight_decay": 0.0}),
    "momentum": BaseSolver(direction=_momentum, defaults={"momentum": 0.9, "weight_decay": 0.0}),
    "adagrad": BaseSolver(direction=_adagrad, defaults={"eps": 1e-10, "weight_decay": 0.0}),
    "rmsprop": BaseSolver(direction=_rmsprop, defaults={"alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0}),
}
"""The base solvers by name (DATE, Algorithm 1, line 17, names these four)."""
