"""Per-layer numbers: norms, ratios of norms, and products with lists of tensors.

The numbers of several layers are a tensor on their device; that of one layer is a float. If K models are stacked, every
tensor has the model as an additional first dimension, and the numbers are a tensor with one entry per layer and model.
This module must not know what a step is.

Shape suffixes: L layers, K models; either is 1 if all share the number. Lists hold one tensor per layer, of that
layer's shape.
"""

import math
from typing import Any

import torch
from torch import Tensor

SURELY_FINITE = 65_504.0
"""The largest number of float16, which every other dtype exceeds."""

LayerValues = float | Tensor
"""One number per layer: a float if all layers of a bucket share it, else a tensor `_L`; `_LK` for stacked models."""


def norm(tensor: Tensor) -> float:
    """Return the L2 norm of a dense tensor of float32 or float64."""
    flat = tensor.as_strided((tensor.numel(),), (1,)) if tensor.ndim != 1 else tensor
    return math.sqrt(torch.dot(flat, flat))  # takes half the time of vector_norm


def norms(tensors: list[Tensor], *, at_once: bool) -> LayerValues:
    """Return the L2 norm of every tensor, computed in float32 for half precision, else in the tensors' dtype.

    Args:
        tensors: one per layer; a single one unless `at_once`.
        at_once: whether to return a tensor `_L`, else a float.
    """
    dtype = torch.float32 if tensors[0].dtype in (torch.bfloat16, torch.float16) else tensors[0].dtype
    norm_L = torch.stack(torch._foreach_norm(tensors, 2, dtype=dtype))
    return norm_L if at_once else float(norm_L.item())


def stacked_norms(tensors: list[Tensor]) -> Tensor:
    """Return the L2 norms `_LK` of tensors (K, ...) per model, in the precision of `norms`."""
    dtype = torch.float32 if tensors[0].dtype in (torch.bfloat16, torch.float16) else tensors[0].dtype
    return torch.stack([torch.linalg.vector_norm(tensor.flatten(1), dim=1, dtype=dtype) for tensor in tensors])


def ratios(
    numerators: LayerValues, denominators: LayerValues, *, norms: tuple[LayerValues, LayerValues]
) -> LayerValues:
    """Return numerator / denominator of every layer; 1 if one of its two norms is 0 or NaN."""
    first, second = norms
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.where((first > 0) & (second > 0), numerators / denominators, torch.ones_like(first))
    return numerators / denominators if first > 0 and second > 0 else 1.0


def clamp_values(values: LayerValues, low: LayerValues, high: LayerValues) -> LayerValues:
    """Clamp every layer's value to [low, high]."""
    if isinstance(values, Tensor):
        return torch.clamp(values, low, high)  # type: ignore[arg-type]
    return min(max(values, float(low)), float(high))


def multiply(tensors: list[Tensor], factors: LayerValues) -> list[Tensor]:
    """Return every tensor times its layer's factor, of the same dtype; a factor of 1 changes no bit."""
    if isinstance(factors, Tensor):
        return list(torch._foreach_mul(tensors, _by_tensor(factors, tensors)))
    return tensors if factors == 1 else list(torch._foreach_mul(tensors, _exact(factors)))


def add_multiple(
    targets: list[Tensor], sources: list[Tensor], factors: LayerValues, *, alpha: LayerValues = 1.0
) -> None:
    """Compute target += alpha * factor * source for every layer, in place."""
    if isinstance(alpha, Tensor):
        factors, alpha = alpha * factors, 1.0
    if isinstance(factors, Tensor):
        torch._foreach_add_(targets, multiply(sources, factors), alpha=alpha)
    else:
        torch._foreach_add_(targets, sources, alpha=clamp_to_dtype(alpha * factors, targets[0].dtype))


def multiply_(tensors: list[Tensor], factors: LayerValues) -> None:
    """Multiply every tensor by its layer's factor, in place."""
    if isinstance(factors, Tensor):
        torch._foreach_mul_(tensors, _by_tensor(factors, tensors))
    else:
        factor = clamp_to_dtype(factors, tensors[0].dtype)
        torch._foreach_mul_(tensors, _exact(factor) if tensors[0].dtype.itemsize < 4 else factor)


def clamp_to_dtype(factor: float, dtype: torch.dtype) -> float:
    """Clamp a factor to the range of a dtype: torch rejects larger ones, which occur when weights diverge.

    >>> clamp_to_dtype(-1e39, torch.float32)
    -3.4028234663852886e+38
    """
    if -SURELY_FINITE <= factor <= SURELY_FINITE or factor != factor:
        return factor
    largest = torch.finfo(dtype).max
    return max(-largest, min(factor, largest))


def _by_tensor(factors: Tensor, tensors: list[Tensor]) -> Any:
    """Return the factors as torch._foreach_mul takes them: one for all, or one per tensor that broadcasts to it."""
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
    # torch._foreach_mul_ on a CPU rounds a Python number to the tensors' dtype: 0.9 becomes 0.8984 in bfloat16.
    return torch.tensor(factor, dtype=torch.float64, device="cpu")
