"""The whole step of one layer on a CPU in one pass over the memory, by torch's fused kernels.

Each takes (weights, gradient, state, options of the group, size) and does w <- w - size u in place, u being the base
solver's direction; the state's step is counted already. This module must not know ratios.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


def fused_sgd(
    param: Tensor, grad: Tensor, state: dict[str, Tensor], group: Mapping[str, Any], size: float, nesterov: bool = False
) -> None:
    """SGD; with the state `momentum_buffer`, momentum, or Nesterov's."""
    torch._fused_sgd_(
        [param],
        [grad],
        [state["momentum_buffer"]] if "momentum_buffer" in state else [],
        weight_decay=group["weight_decay"],
        momentum=group["momentum"] if "momentum_buffer" in state else 0.0,
        lr=size,
        dampening=0.0,
        nesterov=nesterov,
        maximize=False,
        is_first_step=False,
    )


def fused_adagrad(param: Tensor, grad: Tensor, state: dict[str, Tensor], group: Mapping[str, Any], size: float) -> None:
    """AdaGrad."""
    torch._fused_adagrad_(
        [param],
        [grad],
        [state["sum"]],
        [torch.ones(())],  # the step, which matters only with a decay of the learning rate
        lr=size,
        lr_decay=0.0,
        weight_decay=group["weight_decay"],
        eps=group["eps"],
        maximize=False,
    )


def take_adam_step(
    param: Tensor,
    grad: Tensor,
    state: dict[str, Tensor],
    group: Mapping[str, Any],
    size: float,
    *,
    weight_decay: float,
    kernel: Callable[..., None] = torch._fused_adam_,
) -> None:
    """w <- w - size m' / (sqrt(v') + eps), in place, in one pass; `_fused_adamw_` as kernel decouples the decay."""
    kernel(
        [param],
        [grad],
        [state["exp_avg"]],
        [state["exp_avg_sq"]],
        [],
        [state["step"]],
        lr=size,
        beta1=group["beta1"],
        beta2=group["beta2"],
        weight_decay=weight_decay,
        eps=group["eps"],
        amsgrad=False,
        maximize=False,
    )


def fused_adam(param: Tensor, grad: Tensor, state: dict[str, Tensor], group: Mapping[str, Any], size: float) -> None:
    """Adam, the weight decay in the gradient."""
    take_adam_step(param, grad, state, group, size, weight_decay=group["weight_decay"])


def fused_adamw(param: Tensor, grad: Tensor, state: dict[str, Tensor], group: Mapping[str, Any], size: float) -> None:
    """AdamW, the weight decay beside it."""
    take_adam_step(param, grad, state, group, size, weight_decay=group["weight_decay"], kernel=torch._fused_adamw_)
