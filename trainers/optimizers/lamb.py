"""LAMB: layer-wise adaptive moments for batch training."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from .base_solvers import adam_direction
from .fused_kernels import take_adam_step
from .group_options import POSITIVE, TORCH_RANGES, Check
from .layer_values import LayerValues, add_multiple, clamp_to_dtype, clamp_values, multiply_, norm, ratios
from .multi_tensor import Bucket, MultiTensorOptimizer

LARGEST_NORM = torch.finfo(torch.float32).max
"""The default upper bound of phi, which has no effect; finite, since JSON has no infinity."""


class LAMB(MultiTensorOptimizer):
    """LAMB: layer-wise adaptive moments.

    m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
    u = m' / (sqrt(v') + eps) + wd w, with m' = m / (1 - beta1^t), v' = v / (1 - beta2^t)
    w <- w - lr phi(|w|) / |u| u, in each layer (parameter tensor); the trust ratio phi(|w|) / |u| is 1 if |w| or |u|
    is 0
    phi(z) = min(max(z, phi_low), phi_high); the identity with the defaults

    Moments of float32 layers are computed in float32. With gradients above 1e19 the second moment overflows to
    infinity, and the layer does not move.

    Source: You et al., arXiv 1904.00962, Algorithm 2.

    Args:
        params: parameters or parameter groups; in a group with `layerwise=False` the trust ratio is 1.
        lr: learning rate, >= 0; may be left out if every group has its own.
        beta1: decay rate of the first moment, in [0, 1). Groups hold the pair `betas`, as torch's Adam.
        beta2: decay rate of the second moment, in [0, 1).
        eps: added to the square root of the second moment, > 0.
        weight_decay: wd, >= 0.
        bias_correction: whether to divide the moments as above; False as in version 3 of the paper.
        decay_in_ratio: if False, |u| excludes wd w, and the trust ratio does not multiply the decay.
        phi_low: lower bound of the weights' norm, >= 0.
        phi_high: upper bound of the weights' norm, >= phi_low.
        maximize: maximise the objective instead of minimising it.
        foreach: step all layers at once (True) or one by one (False); None chooses by device.
        capturable: never read values back from the device, so that a CUDA graph can capture the step; `lr` may then be
            a 0-dimensional tensor.

    Raises:
        ValueError: an argument is out of range.

    >>> weight = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    >>> optimizer = LAMB([weight], lr=0.1)
    >>> weight.grad = torch.tensor([0.0, 2.0])
    >>> optimizer.step()  # u = (0, 1), trust ratio 5
    >>> weight.data
    tensor([3.0000, 3.5000])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor | None = None,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        bias_correction: bool = True,
        decay_in_ratio: bool = True,
        phi_low: float = 0.0,
        phi_high: float = LARGEST_NORM,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
    ) -> None:
        defaults = {
            **({} if lr is None else {"lr": lr}),
            "betas": (beta1, beta2),
            "eps": eps,
            "weight_decay": weight_decay,
            "bias_correction": bias_correction,
            "decay_in_ratio": decay_in_ratio,
            "phi_low": phi_low,
            "phi_high": phi_high,
            "layerwise": True,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def ranges(self, group: Mapping[str, Any]) -> Mapping[str, Check]:
        """Return the allowed values of the group's numbers."""
        high = group["phi_high"]
        bounds: Check = (lambda low: bool(0 <= low <= high), f"at least 0 and at most phi_high, {high}")
        return {**TORCH_RANGES, "eps": POSITIVE, "phi_low": bounds}

    def state_names(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the moments' names, those of torch."""
        return ("exp_avg", "exp_avg_sq")

    def counts_steps(self, group: Mapping[str, Any]) -> bool:
        """Whether the bias correction needs the step count."""
        return bool(group["bias_correction"])

    def update(self, bucket: Bucket, group: Mapping[str, Any], lr: LayerValues) -> None:
        """Step every layer along Adam's direction times its trust ratio (Algorithm 2)."""
        inside, outside = _decays(group)
        direction = adam_direction(bucket, bucket.grads, group, decay=inside, bias_correction=group["bias_correction"])
        updates = direction.materialize(bucket.params)
        rates: LayerValues = 1.0
        if group["layerwise"]:
            weights, changes = (bucket.norms(tensors) for tensors in (bucket.params, updates))
            rates = _trust_ratios(weights, changes, group)
        if outside:
            multiply_(bucket.params, 1 - lr * outside)
        add_multiple(bucket.params, updates, rates, alpha=-lr)

    def has_fused(self, group: Mapping[str, Any]) -> bool:
        """Whether torch's kernel applies: it always corrects the bias."""
        return bool(group["bias_correction"])

    def update_fused(
        self, param: Tensor, grad: Tensor, state: dict[str, Tensor], group: Mapping[str, Any], lr: float
    ) -> None:
        """Do the same as `update`: torch's fused Adam, with step size 1 from -wd w, yields -u."""
        inside, outside = _decays(group)
        update = param * -inside if inside else torch.zeros_like(param)
        take_adam_step(update, grad, state, group, 1.0, weight_decay=0.0)
        rate = _trust_ratios(norm(param), norm(update), group) if group["layerwise"] else 1.0
        if outside:
            param.mul_(1 - lr * outside)
        param.add_(update, alpha=clamp_to_dtype(float(lr * rate), param.dtype))


def _decays(group: Mapping[str, Any]) -> tuple[float, float]:
    """Return the weight decay inside the trust ratio and the one outside."""
    decay = group["weight_decay"]
    return (decay, 0.0) if group["decay_in_ratio"] else (0.0, decay)


def _trust_ratios(weights: LayerValues, changes: LayerValues, group: Mapping[str, Any]) -> LayerValues:
    """Return phi(|w|) / |u| of every layer; 1 if a norm is 0."""
    return ratios(clamp_values(weights, group["phi_low"], group["phi_high"]), changes, norms=(weights, changes))
