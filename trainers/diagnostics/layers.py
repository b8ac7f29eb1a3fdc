"""Norms of weights and gradients per layer, their ratio, and the ratio that the optimizer applies.

Source: LARS (arXiv 1708.03888), Table 2 and Figure 2; DATE (SC'19), Figure 12.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer

from ..optimizers.multi_tensor import MultiTensorOptimizer


@dataclass(frozen=True, kw_only=True)
class LayerNorms:
    """The norms of a layer (parameter tensor) before an update.

    Attributes:
        name: name of the parameter in the model.
        weight: |w|, Euclidean.
        gradient: |g|, after clipping, as the optimizer sees it.
        applied: factor that multiplies the learning rate of the next step in this layer; None if the optimizer has
            none, or if it depends on the direction (LAMB).
    """

    name: str
    weight: float
    gradient: float
    applied: float | None = None

    @property
    def trust_ratio(self) -> float | None:
        """|w| / |g|; None if either is 0."""
        return self.weight / self.gradient if self.weight > 0 and self.gradient > 0 else None


def layer_norms(model: nn.Module, optimizer: Optimizer | None = None) -> Iterator[LayerNorms]:
    """Yield the norms of every layer that has a gradient, in the model's order.

    Args:
        model: the model, with gradients.
        optimizer: its optimizer, before the step; None to omit the applied factor.

    >>> model = nn.Linear(2, 1, bias=False)
    >>> with torch.no_grad():
    ...     model.weight.copy_(torch.tensor([[3.0, 4.0]]))
    Parameter containing:
    tensor([[3., 4.]], requires_grad=True)
    >>> model.weight.grad = torch.tensor([[0.0, 0.5]])
    >>> next(layer_norms(model)).trust_ratio
    10.0
    """
    layers = [(name, weight) for name, weight in model.named_parameters() if weight.grad is not None]
    weights = _norms([weight.detach() for _, weight in layers])
    gradients = _norms([weight.grad for _, weight in layers if weight.grad is not None])
    groups = {weight: group for group in optimizer.param_groups for weight in group["params"]} if optimizer else {}
    for (name, weight), weight_norm, gradient_norm in zip(layers, weights, gradients, strict=True):
        applied = None
        if isinstance(optimizer, MultiTensorOptimizer):
            applied = optimizer.applied_ratio(weight, groups[weight], weight_norm, gradient_norm)
        yield LayerNorms(name=name, weight=weight_norm, gradient=gradient_norm, applied=applied)


def _norms(tensors: list[torch.Tensor]) -> list[float]:
    norms: list[float] = torch.stack(torch._foreach_norm(tensors, 2, dtype=torch.float64)).tolist()
    return norms
