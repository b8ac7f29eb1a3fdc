"""The step of one layer on a CPU in one pass over memory, by torch's fused kernels.

Each function takes (weights, gradient, state, options of the group, size) and computes w <- w - size u in place, with u
the base solver's direction. The state's step count is already incremented. This module must not know ratios.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


def fused_sgd(
    param: Tensor, grad: Tensor, state: dict[str, Tensor], group: Mapping[str, Any], size: float, nesterov: bool = False
) -> None:
    """Take a step of SGD, with momentum or Nesterov's momentum if the state has a `momentum_buffer`."""
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
    """Take a step of AdaGrad."""
    torch._fused_adagrad_(
        [param],
        [grad],
        [state["sum"]],
        [torch.ones(())],  # the step count, used only with lr_decay
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
    """Compute w <- w - size m' / (sqrt(v') + eps) in place; the kernel `_fused_adamw_` decouples the decay."""
    kernel(
        [param],
        [grad],
        [state["exp_avg"]],
        [state["exp_avg_sq"]],
        [],
        [state["step"]],
        lr=size,
        beta1=group["betas"][0],
        beta2=group["betas"][1],
        weight_decay=weight_decay,
        eps=group["eps"],
        amsgrad=False,
        maximize=False,
    )


def fused_adam(param: Tensor, grad: Tensor, state: dict[str, Tensor], group: Mapping[str, Any], size: float) -> None:
    """Take a step of Adam, with weight decay added to the gradient."""
    take_adam_step(param, grad, state, group, size, weight_decay=group["weight_decay"])


def fused_adamw(param: Tensor, grad: Tensor, state: dict[str, Tensor], group: Mapping[str, Any], size: float) -> None:
    """Take a step of AdamW, with decoupled weight decay."""
    take_adam_step(param, grad, state, group, size, weight_decay=group["weight_decay"], kernel=torch._fused_adamw_)
