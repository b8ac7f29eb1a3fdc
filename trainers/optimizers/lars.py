"""LARS: layer-wise adaptive rate scaling over momentum."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from .group_options import BELOW_ONE, POSITIVE, TORCH_RANGES, Check
from .layer_values import LayerValues, add_multiple, multiply_, norm, ratios
from .multi_tensor import Bucket, MultiTensorOptimizer, add_weight_decay

SMALLEST_RATE = 1e-20
"""Rates below this are not divided by."""


class LARS(MultiTensorOptimizer):
    """LARS: layer-wise adaptive rate scaling over momentum.

    local = eta |w| / (|g| + wd |w|), in each layer (parameter tensor); local = 1 if |w| or |g| is 0
    v <- m v + lr local (g + wd w)
    w <- w - v

    The learning rate is inside the momentum buffer, as in the paper: when it falls, the accumulated velocity keeps its
    size. `lr_in_buffer=False` selects torch's form, v <- m v + local (g + wd w), w <- w - lr v, which is the same while
    lr is constant.

    If |w| or |g| is 0, local is 1, without eta. With LARS's large learning rates, biases initialised with zeros then
    take a big first step. Put them in a group with `layerwise=False` for plain momentum steps (local = 1 always), or
    initialise them differently.

    Norms of float32 layers are computed in float32. With gradient elements above 1e19 the norm overflows to infinity,
    and the layer does not move.

    Source: You, Gitman and Ginsburg, arXiv 1708.03888, Algorithm 1 and Equation 6.

    Args:
        params: parameters or parameter groups; a group with `layerwise=False` uses plain momentum.
        lr: learning rate, >= 0; may be left out if every group has its own.
        momentum: m, in [0, 1).
        weight_decay: wd, >= 0.
        trust_coefficient: eta, > 0.
        nesterov: whether to step by m v + lr local (g + wd w) in place of v.
        lr_in_buffer: whether to use the paper's form (True) or torch's (False).
        larc_clip: whether to use min(local / lr, 1) in place of local (LARC), so that an adapted layer's rate is
            min(local, lr).
        maximize: maximise the objective instead of minimising it.
        foreach: step all layers at once (True) or one by one (False); None chooses by device.
        capturable: never read values back from the device, so that a CUDA graph can capture the step; `lr` may then be
            a 0-dimensional tensor.

    Raises:
        ValueError: an argument is out of range.

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
        lr: float | Tensor | None = None,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 0.001,
        nesterov: bool = False,
        lr_in_buffer: bool = True,
        larc_clip: bool = False,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
    ) -> None:
        self._scaled: set[Tensor] = set()
        defaults = {
            **({} if lr is None else {"lr": lr}),
            "momentum": momentum,
            "weight_decay": weight_decay,
            "trust_coefficient": trust_coefficient,
            "nesterov": nesterov,
            "lr_in_buffer": lr_in_buffer,
            "larc_clip": larc_clip,
            "layerwise": True,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def ranges(self, group: Mapping[str, Any]) -> Mapping[str, Check]:
        """Return the allowed values of the group's numbers."""
        return {"momentum": BELOW_ONE, "weight_decay": TORCH_RANGES["weight_decay"], "trust_coefficient": POSITIVE}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle, a copy or a `state_dict`; a state without a rate has the velocity in its buffer."""
        super().__setstate__(state)
        self._scaled = set()
        for param, values in self.state.items():
            if isinstance(values, dict) and "momentum_buffer" in values:
                rate = float(values.get("rate") or 1.0)
                values["rate"] = torch.tensor(rate, dtype=torch.float64, device=param.device)
                if rate != 1.0:
                    self._scaled.add(param)
        for group in self.param_groups:
            if group["capturable"]:  # a graph must not capture what is done once
                for param in group["params"]:
                    self.unscale(param)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a `state_dict`, whatever the step form that it was saved in, as `MultiTensorOptimizer` does."""
        # The rates as numbers: torch would round tensors to the weights' dtype.
        exact = {
            key: {**values, "rate": float(values["rate"] or 1.0)} if "rate" in values else values
            for key, values in state_dict["state"].items()
        }
        super().load_state_dict({**state_dict, "state": exact})

    def state_names(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the velocity's name, that of torch."""
        return ("momentum_buffer",)

    def update(self, bucket: Bucket, group: Mapping[str, Any], lr: LayerValues) -> None:
        """Step every layer with its local rate inside or outside the momentum buffer (Algorithm 1)."""
        inside, outside = (lr, 1.0) if group["lr_in_buffer"] else (1.0, lr)
        local: LayerValues = 1.0
        if group["layerwise"]:
            weights, grads = (bucket.norms(tensors) for tensors in (bucket.params, bucket.grads))
            local = _local_rates(weights, grads, group, lr)
        steps, velocities = add_weight_decay(bucket, group["weight_decay"]), bucket.state_tensors("momentum_buffer")
        multiply_(velocities, group["momentum"])
        add_multiple(velocities, steps, inside * local)
        if group["nesterov"]:
            add_multiple(bucket.params, velocities, -group["momentum"], alpha=outside)
            add_multiple(bucket.params, steps, inside * local, alpha=-outside)
        else:
            add_multiple(bucket.params, velocities, -1.0, alpha=outside)

    def applied_ratio(self, param: Tensor, group: Mapping[str, Any], weight_norm: float, gradient_norm: float) -> float:
        """Return the local learning rate (Equation 6)."""
        return float(_local_rates(weight_norm, gradient_norm, group, group["lr"])) if group["layerwise"] else 1.0

    def has_fused(self, group: Mapping[str, Any]) -> bool:
        """Whether torch's kernel applies: not for Nesterov's momentum, and it ignores the buffer if momentum is 0."""
        return group["momentum"] > 0 and not group["nesterov"]

    def update_fused(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: Mapping[str, Any], lr: float
    ) -> None:
        """Do the same as `update` by torch's fused SGD, whose learning rate is outside the buffer.

        With v = s b, where s is the rate that multiplies the gradient and s' that of the previous step,
        b <- (m s' / s) b + g + wd w; w <- w - s b equals v <- m v + s (g + wd w); w <- w - v. The state `rate` is s.
        Every form of the step keeps it, so that a checkpoint of one can be loaded into another.
        """
        inside, outside = (lr, 1.0) if group["lr_in_buffer"] else (1.0, lr)
        local = _local_rates(norm(param), norm(grad), group, lr) if group["layerwise"] else 1.0
        rate = float(inside * local)
        if not SMALLEST_RATE < rate < 1 / SMALLEST_RATE:
            self.unscale(param)
            self.update(Bucket(params=[param], grads=[grad], states=[state], steps=[], at_once=False), group, lr)
            return
        torch._fused_sgd_(
            [param],
            [grad],
            [state["momentum_buffer"]],
            weight_decay=group["weight_decay"],
            momentum=group["momentum"] * state["rate"].item() / rate,
            lr=rate * outside,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )
        state["rate"].fill_(rate)
        self._scaled.add(param)

    def unscale(self, param: Tensor) -> None:
        """Turn the buffer b of a fused step into the velocity v = s b."""
        if self._scaled and param in self._scaled:
            state = self.state[param]
            state["momentum_buffer"].mul_(state["rate"].item())
            state["rate"].fill_(1.0)
            self._scaled.remove(param)

    def _state_of(self, param: Tensor, names: tuple[str, ...]) -> dict[str, Tensor]:
        state = super()._state_of(param, names)
        if "rate" not in state:
            state["rate"] = torch.ones((), dtype=torch.float64, device=param.device)
        return state


def _local_rates(weights: LayerValues, grads: LayerValues, group: Mapping[str, Any], lr: LayerValues) -> LayerValues:
    """Return Equation 6 of every layer from its norms |w| and |g|; 1 if one is 0."""
    denominators = grads + group["weight_decay"] * weights
    local = ratios(group["trust_coefficient"] * weights, denominators, norms=(weights, grads))
    if not group["larc_clip"]:
        return local
    if isinstance(local, Tensor):  # LARC's min(local / lr, 1), if both norms and the learning rate are positive
        defined_L = (weights > 0) & (grads > 0) & torch.as_tensor(lr > 0, device=local.device)
        return torch.where(defined_L, (local / lr).clamp(max=1.0), local)
    return min(local / lr, 1.0) if weights > 0 and grads > 0 and lr > 0 else local
