"""One number a layer: norms, ratios of norms, and lists of tensors multiplied by them.

A number of each of several layers is a tensor on their device; that of one layer is a plain float. Where K models are
stacked, every tensor has a first dimension more, the model, and a number of each layer and model is a tensor of two
dimensions. This module must not know what a step is.

Shapes: `_L` one entry a layer; `_LK` one a layer and model, either 1 where all have the same; lists hold one tensor a
layer, of that layer's own shape.
"""

import math
from typing import Any

import torch
from torch import Tensor

SURELY_FINITE = 65_504.0
"""The largest number of float16, below that of every other dtype."""

LayerValues = float | Tensor
"""A number for each layer: a float where it is the same for all of a bucket's layers, else a tensor of shape `_L`; of
shape `_LK` where models are stacked."""


def norm(tensor: Tensor) -> float:
    """L2 norm of a dense tensor of float32 or float64."""
    flat = tensor.as_strided((tensor.numel(),), (1,)) if tensor.ndim != 1 else tensor
    return math.sqrt(torch.dot(flat, flat))  # half the time of vector_norm


def norms(tensors: list[Tensor], *, at_once: bool) -> LayerValues:
    """L2 norm of every tensor, in float32 where they are of half precision, else in their own precision.

    Args:
        tensors: one a layer; one alone unless `at_once`.
        at_once: whether to return a tensor `_L`, else a float.
    """
    dtype = torch.float32 if tensors[0].dtype in (torch.bfloat16, torch.float16) else tensors[0].dtype
    norm_L = torch.stack(torch._foreach_norm(tensors, 2, dtype=dtype))
    return norm_L if at_once else float(norm_L.item())


def stacked_norms(tensors: list[Tensor]) -> Tensor:
    """L2 norm `_LK` of every tensor (K, ...) for each of its models, in the precision that `norms` takes."""
    dtype = torch.float32 if tensors[0].dtype in (torch.bfloat16, torch.float16) else tensors[0].dtype
    return torch.stack([torch.linalg.vector_norm(tensor.flatten(1), dim=1, dtype=dtype) for tensor in tensors])


def ratios(
    numerators: LayerValues, denominators: LayerValues, *, norms: tuple[LayerValues, LayerValues]
) -> LayerValues:
    """numerator / denominator of every layer; 1 where one of its two norms is 0 or not a number."""
    first, second = norms
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.where((first > 0) & (second > 0), numerators / denominators, torch.ones_like(first))
    return numerators / denominators if first > 0 and second > 0 else 1.0


def clamp_values(values: LayerValues, low: LayerValues, high: LayerValues) -> LayerValues:
    """Every layer's value, at least `low` and at most `high`."""
    if isinstance(values, Tensor):
        return torch.clamp(values, low, high)  # type: ignore[arg-type]
    return min(max(values, float(low)), float(high))


def multiply(tensors: list[Tensor], factors: LayerValues) -> list[Tensor]:
    """Every tensor times its layer's factor, in new tensors of the same dtype; a factor of 1 changes no bit."""
    if isinstance(factors, Tensor):
        return list(torch._foreach_mul(tensors, _by_tensor(factors, tensors)))
    return tensors if factors == 1 else list(torch._foreach_mul(tensors, _exact(factors)))


def add_multiple(
    targets: list[Tensor], sources: list[Tensor], factors: LayerValues, *, alpha: LayerValues = 1.0
) -> None:
    """target += alpha factor source, in place, for every layer."""
    if isinstance(alpha, Tensor):
        factors, alpha = alpha * factors, 1.0
    if isinstance(factors, Tensor):
        torch._foreach_add_(targets, multiply(sources, factors), alpha=alpha)
    else:
        torch._foreach_add_(targets, sources, alpha=clamp_to_dtype(alpha * factors, targets[0].dtype))


def multiply_(tensors: list[Tensor], factors: LayerValues) -> None:
    """Multiplies every tensor by its layer's factor, in place."""
    if isinstance(factors, Tensor):
        torch._foreach_mul_(tensors, _by_tensor(factors, tensors))
    else:
        factor = clamp_to_dtype(factors, tensors[0].dtype)
        torch._foreach_mul_(tensors, _exact(factor) if tensors[0].dtype.itemsize < 4 else factor)


def clamp_to_dtype(factor: float, dtype: torch.dtype) -> float:
    """The factor, or the largest number of the dtype: torch refuses larger ones, which diverging weights need.

    >>> within_range(-1e39, torch.float32)
    -3.4028234663852886e+38
    """
    if -SURELY_FINITE <= factor <= SURELY_FINITE or factor != factor:
        return factor
    largest = torch.finfo(dtype).max
    return max(-largest, min(factor, largest))


def _by_tensor(factors: Tensor, tensors: list[Tensor]) -> Any:
    """The factors as torch._foreach_mul takes them: one for all, or one a tensor that broadcasts over it."""
    if factors.ndim == 0:
        return factors
    if factors.ndim == 1:
        return list(factors.unbind())
    by_layer = factors.expand(len(tensors), -1).unbind()
    return [
        factor.to(tensor.dtype).view(-1, *[1] * (tensor.ndim - 1))
        for factor, tensor in zip(by_layer, tensors, strict=True)
    ]


def _exact(factor: float) -> Any:
    # As a plain number, torch._foreach_mul_ on a CPU would round it to the tensors' dtype: 0.9 to 0.8984 in bfloat16.
    return torch.tensor(factor, dtype=torch.float64, device="cpu")
