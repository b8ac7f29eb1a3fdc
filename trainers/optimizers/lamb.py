"""LAMB: layer-wise adaptive moments for batch training."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from trainers.optimizers.multi_tensor import Bucket, MultiTensorOptimizer, norms, ratio_or_one, scaled, shrink

LARGEST_NORM = torch.finfo(torch.float32).max
"""The upper bound of phi that bounds nothing; a plain number, since infinity is none in JSON."""


class LAMB(MultiTensorOptimizer):
    """LAMB (You et al., arXiv 1904.00962), Algorithm 2.

    m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
    u = m' / (sqrt(v') + eps) + wd w, with m' = m / (1 - beta1^t), v' = v / (1 - beta2^t)
    w <- w - lr phi(|w|) / |u| u, in each layer (parameter tensor); the ratio is 1 where |w| or |u| is 0.
    phi(z) = min(max(z, phi_low), phi_high); the defaults make it the identity.

    Args:
        params: parameters, or groups of them; in a group with `layerwise=False` the ratio is 1.
        lr: learning rate, >= 0.
        beta1: decay of the first moment, in [0, 1).
        beta2: decay of the second moment, in [0, 1).
        eps: added to the root of the second moment, > 0.
        weight_decay: wd, >= 0.
        bias_correction: divide the moments as above; False leaves them as they are (version 3 of the paper).
        decay_in_ratio: False takes |u| without wd w and does not multiply the decay by the ratio.
        phi_low: lower bound of the weights' norm, >= 0.
        phi_high: upper bound of the weights' norm, >= phi_low.
        maximize: ascend instead of descend.

    Raises:
        ValueError: a number is out of its range.

    >>> weight = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    >>> optimizer = LAMB([weight], lr=0.1)
    >>> weight.grad = torch.tensor([0.0, 2.0])
    >>> optimizer.step()  # u = (0, 1), the ratio is 5
    >>> weight.data
    tensor([3.0000, 3.5000])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float,
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
    ) -> None:
        for name, value, allowed, range_text in (
            ("lr", lr, lr >= 0, "at least 0"),
            ("beta1", beta1, 0 <= beta1 < 1, "at least 0 and below 1"),
            ("beta2", beta2, 0 <= beta2 < 1, "at least 0 and below 1"),
            ("eps", eps, eps > 0, "above 0"),
            ("weight_decay", weight_decay, weight_decay >= 0, "at least 0"),
            ("phi_low", phi_low, 0 <= phi_low <= phi_high, f"at least 0 and at most phi_high, {phi_high}"),
        ):
            if not allowed:
                raise ValueError(f"LAMB: {name} must be {range_text}, got {value}.")
        defaults = {
            "lr": lr,
            "beta1": beta1,
            "beta2": beta2,
            "eps": eps,
            "weight_decay": weight_decay,
            "bias_correction": bias_correction,
            "decay_in_ratio": decay_in_ratio,
            "phi_low": phi_low,
            "phi_high": phi_high,
            "layerwise": True,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def update(self, bucket: Bucket, group: Mapping[str, Any]) -> None:
        """The bias-corrected Adam direction, times the trust ratio of every layer (arXiv 1904.00962, Algorithm 2)."""
        updates = _adam_direction(bucket, group)
        if group["decay_in_ratio"]:
            torch._foreach_add_(updates, bucket.params, alpha=group["weight_decay"])
        if group["layerwise"]:
            weight_L, update_L = norms(bucket.params), norms(updates)
            phi_L = weight_L.clamp(group["phi_low"], group["phi_high"])
            updates = scaled(updates, ratio_or_one(phi_L, update_L, defined_L=(weight_L > 0) & (update_L > 0)))
        if not group["decay_in_ratio"]:
            torch._foreach_add_(updates, bucket.params, alpha=group["weight_decay"])
        torch._foreach_add_(bucket.params, updates, alpha=-group["lr"])


def _adam_direction(bucket: Bucket, group: Mapping[str, Any]) -> list[Tensor]:
    """m' / (sqrt(v') + eps) of every layer, in new tensors; moves the moments on by one step."""
    beta1, beta2 = group["beta1"], group["beta2"]
    firsts, seconds = bucket.state_tensors("exp_avg"), bucket.state_tensors("exp_avg_sq")
    for state in bucket.states:
        state["step"] = state.get("step", 0) + 1
    torch._foreach_lerp_(firsts, bucket.grads, 1 - beta1)
    shrink(seconds, beta2)
    torch._foreach_addcmul_(seconds, bucket.grads, bucket.grads, value=1 - beta2)
    roots = list(torch._foreach_sqrt(seconds))
    updates = firsts
    if group["bias_correction"]:
        steps = [state["step"] for state in bucket.states]
        torch._foreach_div_(roots, [(1 - beta2**step) ** 0.5 for step in steps])
        updates = list(torch._foreach_div(firsts, [1 - beta1**step for step in steps]))
    torch._foreach_add_(roots, group["eps"])
    return list(torch._foreach_div(updates, roots))
