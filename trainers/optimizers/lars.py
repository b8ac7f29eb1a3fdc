"""LARS: layer-wise adaptive rate scaling over momentum."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from trainers.optimizers.multi_tensor import (
    Bucket,
    MultiTensorOptimizer,
    norms,
    ratio_or_one,
    scaled,
    shrink,
    with_decay,
)


class LARS(MultiTensorOptimizer):
    """LARS (You, Gitman and Ginsburg, arXiv 1708.03888), Algorithm 1 and Equation 6.

    local = eta |w| / (|g| + wd |w|), in each layer (parameter tensor); the denominator is the sum of the two norms.
    v <- m v + lr local (g + wd w);  w <- w - v

    The learning rate is inside the momentum buffer, as in the paper: when it falls, the velocity gathered before keeps
    its old size. `lr_in_buffer=False` gives torch's form, v <- m v + local (g + wd w), w <- w - lr v, the same while lr
    is constant.
    Where |w| or |g| is 0, local is 1, without eta: with LARS's large learning rates that is a big first step for
    biases initialised with zeros. Put them in a group with `layerwise=False` to keep them at a plain momentum step
    (local = 1 always), or initialise them otherwise.

    Args:
        params: parameters, or groups of them; a group with `layerwise=False` is stepped by plain momentum.
        lr: learning rate, >= 0.
        momentum: m, in [0, 1).
        weight_decay: wd, >= 0.
        trust_coefficient: eta, > 0.
        nesterov: step by m v + lr local (g + wd w) in place of v.
        lr_in_buffer: the paper's form (True) or torch's (False).
        larc_clip: use min(local / lr, 1) for local (LARC), so that the rate of an adapted layer is min(local, lr).
        maximize: ascend instead of descend.

    Raises:
        ValueError: a number is out of its range.

    >>> weight = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    >>> optimizer = LARS([weight], lr=10.0, trust_coefficient=0.01)
    >>> weight.grad = torch.tensor([0.0, 0.5])
    >>> optimizer.step()  # local = 0.01 * 5 / 0.5 = 0.1
    >>> weight.data
    tensor([3.0000, 3.5000])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 0.001,
        nesterov: bool = False,
        lr_in_buffer: bool = True,
        larc_clip: bool = False,
        maximize: bool = False,
    ) -> None:
        for name, value, allowed, range_text in (
            ("lr", lr, lr >= 0, "at least 0"),
            ("momentum", momentum, 0 <= momentum < 1, "at least 0 and below 1"),
            ("weight_decay", weight_decay, weight_decay >= 0, "at least 0"),
            ("trust_coefficient", trust_coefficient, trust_coefficient > 0, "above 0"),
        ):
            if not allowed:
                raise ValueError(f"LARS: {name} must be {range_text}, got {value}.")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "trust_coefficient": trust_coefficient,
            "nesterov": nesterov,
            "lr_in_buffer": lr_in_buffer,
            "larc_clip": larc_clip,
            "layerwise": True,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def update(self, bucket: Bucket, group: Mapping[str, Any]) -> None:
        """LARS, Algorithm 1: the local rate of every layer inside the momentum buffer, or outside it."""
        inside, outside = (group["lr"], 1.0) if group["lr_in_buffer"] else (1.0, group["lr"])
        steps = scaled(with_decay(bucket, group["weight_decay"]), _local_rates(bucket, group) * inside)
        velocities = bucket.state_tensors("momentum_buffer")
        shrink(velocities, group["momentum"])
        torch._foreach_add_(velocities, steps)
        if group["nesterov"]:
            torch._foreach_add_(steps, velocities, alpha=group["momentum"])
        else:
            steps = velocities
        torch._foreach_add_(bucket.params, steps, alpha=-outside)


def _local_rates(bucket: Bucket, group: Mapping[str, Any]) -> Tensor:
    """Equation 6 of every layer, shape `_L`; 1 where a norm is 0 or the group is not layer-wise."""
    weight_L, grad_L = norms(bucket.params), norms(bucket.grads)
    if not group["layerwise"]:
        return torch.ones_like(weight_L)
    numerator_L = group["trust_coefficient"] * weight_L
    denominator_L = grad_L + group["weight_decay"] * weight_L
    defined_L = (weight_L > 0) & (grad_L > 0)
    local_L = ratio_or_one(numerator_L, denominator_L, defined_L=defined_L)
    if group["larc_clip"] and group["lr"] > 0:
        local_L = torch.where(defined_L, (local_L / group["lr"]).clamp(max=1.0), local_L)
    return local_L
