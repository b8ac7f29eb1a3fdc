"""What every layer-wise optimizer here needs of a step: the tensors in lists, their norms, bounded ratios.

Everything is a list of tensors of one device and dtype, for `torch._foreach_*`; nothing reads a value back to the host,
so that a step on a GPU never waits. A layer is a parameter tensor. This module must not know any update rule.

Shapes: `_L` one entry a layer; lists hold one tensor a layer, of that layer's own shape.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """The layers of a parameter group that share a device and a dtype and have a gradient.

    Attributes:
        params: the weights.
        grads: their gradients, negated where the group maximises; not to be changed in place.
        states: the optimizer's state of each, to be changed in place.
    """

    params: list[Tensor]
    grads: list[Tensor]
    states: list[dict[str, Any]]

    def state_tensors(self, name: str) -> list[Tensor]:
        """The state `name` of every layer, made of zeros of the weight's shape and dtype where there is none yet."""
        for param, state in zip(self.params, self.states, strict=True):
            if name not in state:
                state[name] = torch.zeros_like(param, memory_format=torch.preserve_format)
        return [state[name] for state in self.states]


def buckets(optimizer: Optimizer, group: Mapping[str, Any]) -> list[Bucket]:
    """The group's parameters that have a gradient, by device and dtype.

    Raises:
        RuntimeError: a gradient is sparse.
    """
    by_kind: dict[tuple[torch.device, torch.dtype], Bucket] = {}
    for param in group["params"]:
        if param.grad is None:
            continue
        if param.grad.is_sparse:
            raise RuntimeError(
                f"{type(optimizer).__name__} cannot use the sparse gradient of a parameter of shape"
                f" {tuple(param.shape)}: make it dense (sparse=False in nn.Embedding) or use torch.optim.SparseAdam."
            )
        bucket = by_kind.setdefault((param.device, param.dtype), Bucket(params=[], grads=[], states=[]))
        bucket.params.append(param)
        bucket.grads.append(-param.grad if group["maximize"] else param.grad)
        bucket.states.append(optimizer.state[param])
    return list(by_kind.values())


class MultiTensorOptimizer(Optimizer):
    """An optimizer that updates a bucket of layers at a time: what a step is, whatever the update rule."""

    def update(self, bucket: Bucket, group: Mapping[str, Any]) -> None:
        """Changes the bucket's weights and states in place by the rule of the group."""
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Updates every parameter that has a gradient.

        Args:
            closure: evaluates the model again and returns the loss.

        Returns:
            The closure's loss, or None.

        Raises:
            RuntimeError: a gradient is sparse.
        """
        loss = evaluate(closure)
        for group in self.param_groups:
            for bucket in buckets(self, group):
                self.update(bucket, group)
        return loss


def norms(tensors: list[Tensor]) -> Tensor:
    """L2 norm of every tensor, shape `_L`, in float32 where the tensors are of half precision, else in their own."""
    dtype = torch.float32 if tensors[0].dtype in (torch.bfloat16, torch.float16) else tensors[0].dtype
    return torch.stack(torch._foreach_norm(tensors, 2, dtype=dtype))


def ratio_or_one(numerator_L: Tensor, denominator_L: Tensor, *, defined_L: Tensor) -> Tensor:
    """numerator / denominator where `defined_L`, else 1; shape `_L`."""
    return torch.where(defined_L, numerator_L / denominator_L, torch.ones_like(numerator_L))


def scaled(tensors: list[Tensor], factors_L: Tensor) -> list[Tensor]:
    """Every tensor times its own factor, in new tensors of the same dtype; a factor of 1 changes no bit."""
    return list(torch._foreach_mul(tensors, list(factors_L.unbind())))


def shrink(tensors: list[Tensor], factor: float) -> None:
    """Multiplies every tensor by a number, in place."""
    # As a plain number, torch._foreach_mul_ on a CPU would round it to the tensors' dtype: 0.9 to 0.8984 in bfloat16.
    torch._foreach_mul_(tensors, torch.tensor(factor, dtype=torch.float64, device="cpu"))


def with_decay(bucket: Bucket, weight_decay: float) -> list[Tensor]:
    """g + weight_decay w of every layer (L2 regularisation); the gradients themselves where it is 0."""
    if weight_decay == 0:
        return bucket.grads
    return list(torch._foreach_add(bucket.grads, bucket.params, alpha=weight_decay))


def evaluate(closure: Callable[[], float] | None) -> float | None:
    """The loss of a step's closure, with gradients on; None where there is no closure."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def layerwise_groups(
    named_parameters: Iterable[tuple[str, nn.Parameter]], *, adapt_vectors: bool
) -> list[dict[str, Any]]:
    """The usual parameter groups of a layer-wise optimizer.

    Args:
        named_parameters: as `nn.Module.named_parameters` gives them.
        adapt_vectors: whether biases and normalisation weights (at most one dimension) are adapted like all others, as
            in LARS's Table 2; if not, they stand in a group of their own, neither adapted nor decayed.

    Returns:
        One group, or two; an empty one is left out.
    """
    parameters = [parameter for _, parameter in named_parameters]
    if adapt_vectors:
        return [{"params": parameters}]
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1]},
        {
            "params": [parameter for parameter in parameters if parameter.ndim <= 1],
            "layerwise": False,
            "weight_decay": 0.0,
        },
    ]
    return [group for group in groups if group["params"]]
