"""A bounded layer-wise ratio over any base solver: the general form of which the DATE solver is one case.

This module must not know any base solver by name.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from ..tables import lookup
from .base_solvers import BASE_SOLVERS
from .layer_values import LayerValues, add_multiple, clamp_values, norm, ratios
from .multi_tensor import Bucket, MultiTensorOptimizer

RATIO_LOW = 0.01
"""Default lower bound of the ratio, one for all applications; the paper gives no value."""
RATIO_HIGH = 100.0
"""Default upper bound of the ratio, one for all applications; the paper gives no value."""

RatioKind = Literal["gradient", "update"]
"""What the norm of the weights is divided by."""
BoundsKind = Literal["none", "fixed", "dynamic"]
"""What the ratio is kept within."""

BOUNDS_OPTIONS: Mapping[str, Mapping[str, float]] = {
    "none": {},
    "fixed": {"ratio_low": RATIO_LOW, "ratio_high": RATIO_HIGH},
    "dynamic": {"ratio_final": 1.0, "ratio_gamma": 1e-3},
}
"""The options of each kind of bounds, with their defaults."""


class Layerwise(MultiTensorOptimizer):
    """A base solver whose step in each layer is multiplied by a ratio r of norms, kept within bounds.

    w <- w - lr r u, with u the base solver's direction, its weight decay included, and r = min(max(q, low), high):

    - ratio "gradient": q = |w| / |g| (DATE, Algorithm 1); weight decay is no part of g (DATE 3.5);
    - ratio "update": q = |w| / |u|, as in LAMB.

    q is 1 where either norm is 0. The bounds:

    - "none": low = 0, high = infinity (LIMIT, Table 3, "+ layer-wise");
    - "fixed": `ratio_low` and `ratio_high`; with both 1 it is the base solver, bit for bit torch's own on a CPU;
    - "dynamic": in AdaBound's manner (Luo et al., arXiv 1902.09843, Section 4), low = f (1 - 1 / (c t + 1)) and
      high = f (1 + 1 / (c t)), with f = `ratio_final`, c = `ratio_gamma` and t the layer's own step: from the free
      ratio at the start to the base solver (at learning rate lr f) in the end.

    Norms of layers of float32 are taken in float32: where the square of a norm leaves its range (elements above 1e19 or
    all below 1e-23), the norm is infinity or 0.

    Args:
        params: parameters, or groups of them; a group with `layerwise=False` is stepped by the base solver alone.
        lr: learning rate, >= 0.
        base: a name in `BASE_SOLVERS`.
        base_options: options of the base solver; those left out have torch's defaults.
        ratio: "gradient" or "update".
        bounds: "none", "fixed" or "dynamic".
        ratio_low: smallest ratio, >= 0, for fixed bounds; None for the default.
        ratio_high: largest ratio, >= ratio_low, for fixed bounds; None for the default.
        ratio_final: f > 0, for dynamic bounds; None for 1.
        ratio_gamma: c > 0, for dynamic bounds; None for 1e-3.
        maximize: ascend instead of descend.
        foreach: all layers at once (True) or one by one (False); None for what suits the device.
        capturable: never read a value back from the device, so that a CUDA graph can hold the step; `lr` may then be a
            tensor of no dimensions.

    Raises:
        UnknownName: there is no such base solver, ratio or bounds, or the base solver has no such option.
        ValueError: lr or the bounds are out of range, or a bounds option is without effect.

    Source: DATE, Algorithm 1, lines 10 to 17; LIMIT (arXiv 2006.08517), Table 3.

    >>> weight = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    >>> optimizer = Layerwise([weight], lr=0.1, base="sgd", ratio_low=0.01, ratio_high=2.0)
    >>> weight.grad = torch.tensor([0.0, 1.0])
    >>> optimizer.step()  # |w| / |g| = 5, bounded to 2
    >>> weight.data
    tensor([3.0000, 3.8000])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor,
        *,
        base: str,
        base_options: Mapping[str, float] | None = None,
        ratio: RatioKind = "gradient",
        bounds: BoundsKind = "fixed",
        ratio_low: float | None = None,
        ratio_high: float | None = None,
        ratio_final: float | None = None,
        ratio_gamma: float | None = None,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
    ) -> None:
        solver = lookup("base solver", BASE_SOLVERS, base)
        for name in base_options or {}:
            lookup(f"option of base solver {base!r}", solver.defaults, name)
        lookup("ratio", {"gradient": None, "update": None}, ratio)
        if not lr >= 0:
            raise ValueError(f"lr must be at least 0, got {lr}.")
        given = {
            "ratio_low": ratio_low,
            "ratio_high": ratio_high,
            "ratio_final": ratio_final,
            "ratio_gamma": ratio_gamma,
        }
        defaults = {
            "lr": lr,
            "base": base,
            **solver.defaults,
            **(base_options or {}),
            "ratio": ratio,
            "bounds": bounds,
            **_bounds_options(bounds, {name: value for name, value in given.items() if value is not None}),
            "layerwise": True,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def state_names(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """Those of the base solver."""
        return BASE_SOLVERS[group["base"]].state_names

    def counts_steps(self, group: Mapping[str, Any]) -> bool:
        """Where the base solver does, or the bounds move."""
        return BASE_SOLVERS[group["base"]].counts_steps or group["bounds"] == "dynamic"

    def update(self, bucket: Bucket, group: Mapping[str, Any], lr: LayerValues) -> None:
        """The base solver's direction, times the bounded ratio of every layer (DATE, Algorithm 1, lines 10-17)."""
        direction = BASE_SOLVERS[group["base"]].direction(bucket, group)
        low, high = _bounds(group, bucket.steps)
        if not _is_free(group, low, high):
            rates = low if group["layerwise"] else 1.0
            direction.apply(bucket.params, lr, rates)
            return
        weights = bucket.norms(bucket.params)
        if group["ratio"] == "gradient":
            others = bucket.norms(bucket.grads)
            rates = clamp_values(ratios(weights, others, norms=(weights, others)), low, high)
            direction.apply(bucket.params, lr, rates)
        else:
            updates = direction.materialize(bucket.params)
            others = bucket.norms(updates)
            rates = clamp_values(ratios(weights, others, norms=(weights, others)), low, high)
            add_multiple(bucket.params, updates, rates, alpha=-lr)

    def applied_ratio(
        self, param: Tensor, group: Mapping[str, Any], weight_norm: float, gradient_norm: float
    ) -> float | None:
        """The bounded ratio; None for the ratio "update"."""
        if not group["layerwise"]:
            return 1.0
        if group["ratio"] == "update":
            return None
        low, high = _bounds(group, [float(self.state.get(param, {}).get("step", 0.0)) + 1])
        free = ratios(weight_norm, gradient_norm, norms=(weight_norm, gradient_norm))
        return float(clamp_values(free, low, high))

    def has_fused(self, group: Mapping[str, Any]) -> bool:
        """Where torch has a kernel of the base solver and the ratio is known before the direction is.

        torch's kernel of momentum takes no momentum of 0.
        """
        has_kernel = BASE_SOLVERS[group["base"]].fused is not None and group.get("momentum") != 0
        return has_kernel and (group["ratio"] == "gradient" or not group["layerwise"])

    def update_fused(
        self, param: Tensor, grad: Tensor, state: dict[str, Tensor], group: Mapping[str, Any], lr: float
    ) -> None:
        """The same as `update`, by torch's fused kernel of the base solver with the layer's learning rate."""
        fused = BASE_SOLVERS[group["base"]].fused
        assert fused is not None
        steps = [state["step"].item()] if group["bounds"] == "dynamic" else []
        low, high = _bounds(group, steps)
        rate = low if group["layerwise"] else 1.0
        if _is_free(group, low, high):
            weights, others = norm(param), norm(grad)
            rate = clamp_values(ratios(weights, others, norms=(weights, others)), low, high)
        fused(param, grad, state, group, float(lr * rate))


def _is_free(group: Mapping[str, Any], low: LayerValues, high: LayerValues) -> bool:
    """Whether the norms have a say in the ratio."""
    return group["layerwise"] and (isinstance(low, Tensor) or low != high)


def _bounds(group: Mapping[str, Any], steps: Any) -> tuple[LayerValues, LayerValues]:
    """The lowest and the highest ratio of every layer at this step."""
    if group["bounds"] == "none":
        return 0.0, math.inf
    if group["bounds"] == "fixed":
        return group["ratio_low"], group["ratio_high"]
    if not isinstance(steps, Tensor):
        # Layers that missed a step are rare; only then is a tensor made for them on the host.
        steps = steps[0] if len(set(steps)) == 1 else torch.tensor(steps, dtype=torch.float64)
    final, gamma = group["ratio_final"], group["ratio_gamma"]
    return final * (1 - 1 / (gamma * steps + 1)), final * (1 + 1 / (gamma * steps))


def _bounds_options(bounds: str, given: Mapping[str, float]) -> dict[str, float]:
    """The options of the bounds, complete and checked."""
    options = {**lookup("bounds", BOUNDS_OPTIONS, bounds)}
    for name, value in given.items():
        if name not in options:
            takers = [kind for kind, names in BOUNDS_OPTIONS.items() if name in names]
            raise ValueError(f"{name}={value:g} has no effect with bounds {bounds!r}: it is for {takers[0]!r} bounds.")
        options[name] = value
    if bounds == "fixed" and not 0 <= options["ratio_low"] <= options["ratio_high"]:
        raise ValueError(
            "ratio_low must be at least 0 and at most ratio_high,"
            f" got ratio_low={options['ratio_low']}, ratio_high={options['ratio_high']}."
        )
    for name in ("ratio_final", "ratio_gamma"):
        if name in options and not 0 < options[name] < math.inf:
            raise ValueError(f"{name} must be a finite number above 0, got {options[name]}.")
    return options
