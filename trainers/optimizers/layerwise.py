"""A bounded layer-wise ratio over any base solver, of which the DATE solver is a special case.

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
from .group_options import TORCH_RANGES, Check, pair_betas
from .layer_values import LayerValues, add_multiple, clamp_values, norm, ratios
from .multi_tensor import Bucket, MultiTensorOptimizer

RATIO_LOW = 0.01
"""Default lower bound of the ratio for all applications; the paper gives no value."""
RATIO_HIGH = 100.0
"""Default upper bound of the ratio for all applications; the paper gives no value."""

RatioKind = Literal["gradient", "update"]
"""The norm that divides the norm of the weights."""
BoundsKind = Literal["none", "fixed", "dynamic"]
"""The bounds of the ratio."""

BOUNDS_OPTIONS: Mapping[str, Mapping[str, float]] = {
    "none": {},
    "fixed": {"ratio_low": RATIO_LOW, "ratio_high": RATIO_HIGH},
    "dynamic": {"ratio_final": 1.0, "ratio_gamma": 1e-3},
}
"""The options of each type of bounds, with defaults."""


class Layerwise(MultiTensorOptimizer):
    """A base solver whose step in each layer is multiplied by a bounded ratio of norms.

    In each layer (parameter tensor):

    r = min(max(q, low), high)
    w <- w - lr r u, with u the base solver's direction, weight decay included

    The ratio q is one of the following, and 1 if either norm is 0:

    - "gradient": q = |w| / |g| (DATE, Algorithm 1); weight decay is not part of g (DATE, Section 3.5);
    - "update": q = |w| / |u|, as in LAMB.

    The bounds are one of:

    - "none": low = 0, high = infinity (LIMIT, Table 3, "+ layer-wise");
    - "fixed": low = `ratio_low`, high = `ratio_high`. With both 1 the result is the base solver, on a CPU bit for bit
      torch's own;
    - "dynamic": low = f (1 - 1 / (c t + 1)), high = f (1 + 1 / (c t)), with f = `ratio_final`, c = `ratio_gamma` and t
      the layer's step count, after AdaBound (Luo et al., arXiv 1902.09843, Section 4). The ratio is unbounded at the
      start and converges to f, that is, to the base solver with learning rate lr f.

    Norms of float32 layers are computed in float32. If the square of a norm leaves its range (elements above 1e19, or
    all below 1e-23), the norm is infinity or 0.

    Source: DATE, Algorithm 1, lines 10 to 17; LIMIT (arXiv 2006.08517), Table 3.

    Args:
        params: parameters or parameter groups; a group with `layerwise=False` uses r = 1.
        lr: learning rate, >= 0; may be left out if every group has its own.
        base: a name in `BASE_SOLVERS`.
        base_options: options of the base solver, in torch's ranges; those left out take torch's defaults.
        ratio: "gradient" or "update".
        bounds: "none", "fixed" or "dynamic".
        ratio_low: lower bound, >= 0, for fixed bounds; None for 0.01.
        ratio_high: upper bound, >= ratio_low, for fixed bounds; None for 100.
        ratio_final: f > 0, for dynamic bounds; None for 1.
        ratio_gamma: c > 0, for dynamic bounds; None for 1e-3.
        maximize: maximise the objective instead of minimising it.
        foreach: step all layers at once (True) or one by one (False); None chooses by device.
        capturable: never read values back from the device, so that a CUDA graph can capture the step; `lr` may then be
            a 0-dimensional tensor.

    Raises:
        UnknownName: the base solver, one of its options, the ratio or the bounds are unknown.
        ValueError: lr, an option or the bounds are out of range, or a bounds option has no effect.

    >>> weight = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    >>> optimizer = Layerwise([weight], lr=0.1, base="sgd", ratio_low=0.01, ratio_high=2.0)
    >>> weight.grad = torch.tensor([0.0, 1.0])
    >>> optimizer.step()  # |w| / |g| = 5, clamped to 2
    >>> weight.data
    tensor([3.0000, 3.8000])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor | None = None,
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
        given = {
            "ratio_low": ratio_low,
            "ratio_high": ratio_high,
            "ratio_final": ratio_final,
            "ratio_gamma": ratio_gamma,
        }
        defaults = {
            **({} if lr is None else {"lr": lr}),
            "base": base,
            **pair_betas({**solver.defaults, **(base_options or {})}),
            "ratio": ratio,
            "bounds": bounds,
            **_bounds_options(bounds, {name: value for name, value in given.items() if value is not None}),
            "layerwise": True,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def ranges(self, group: Mapping[str, Any]) -> Mapping[str, Check]:
        """Return the allowed values of the group's numbers."""
        if group["bounds"] != "fixed" or not group["layerwise"]:
            return TORCH_RANGES
        high = group["ratio_high"]
        return {**TORCH_RANGES, "ratio_low": (lambda low: bool(0 <= low <= high), f"from 0 to ratio_high, {high}")}

    def _complete(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """Return a group with all options, also those of a base solver or bounds of its own."""
        complete = super()._complete(group)
        lookup("ratio", {"gradient": None, "update": None}, complete["ratio"])
        solver = lookup("base solver", BASE_SOLVERS, complete["base"])
        bounds = lookup("bounds", BOUNDS_OPTIONS, complete["bounds"])
        return {**bounds, **pair_betas(solver.defaults), **complete}

    def state_names(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the base solver's state names."""
        return BASE_SOLVERS[group["base"]].state_names

    def counts_steps(self, group: Mapping[str, Any]) -> bool:
        """Whether the base solver or dynamic bounds need the step count."""
        return BASE_SOLVERS[group["base"]].counts_steps or group["bounds"] == "dynamic"

    def update(self, bucket: Bucket, group: Mapping[str, Any], lr: LayerValues) -> None:
        """Step every layer along its direction times its bounded ratio (DATE, Algorithm 1, lines 10 to 17)."""
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
        """Return the bounded ratio; None for the ratio "update"."""
        if not group["layerwise"]:
            return 1.0
        if group["ratio"] == "update":
            return None
        low, high = _bounds(group, [float(self.state.get(param, {}).get("step", 0.0)) + 1])
        free = ratios(weight_norm, gradient_norm, norms=(weight_norm, gradient_norm))
        return float(clamp_values(free, low, high))

    def has_fused(self, group: Mapping[str, Any]) -> bool:
        """Whether torch has a kernel of the base solver, and the ratio is known before the direction.

        torch's kernel of momentum does not accept a momentum of 0.
        """
        has_kernel = BASE_SOLVERS[group["base"]].fused is not None and group.get("momentum") != 0
        return has_kernel and (group["ratio"] == "gradient" or not group["layerwise"])

    def update_fused(
        self, param: Tensor, grad: Tensor, state: dict[str, Tensor], group: Mapping[str, Any], lr: float
    ) -> None:
        """Do the same as `update`, by torch's fused kernel of the base solver with the layer's learning rate."""
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
    """Whether the ratio depends on the norms."""
    return group["layerwise"] and (isinstance(low, Tensor) or low != high)


def _bounds(group: Mapping[str, Any], steps: Any) -> tuple[LayerValues, LayerValues]:
    """Return the lower and upper bounds of every layer's ratio at this step."""
    if group["bounds"] == "none":
        return 0.0, math.inf
    if group["bounds"] == "fixed":
        return group["ratio_low"], group["ratio_high"]
    if not isinstance(steps, Tensor):
        # Step counts rarely differ; only then is a tensor created on the host.
        steps = steps[0] if len(set(steps)) == 1 else torch.tensor(steps, dtype=torch.float64)
    final, gamma = group["ratio_final"], group["ratio_gamma"]
    return final * (1 - 1 / (gamma * steps + 1)), final * (1 + 1 / (gamma * steps))


def _bounds_options(bounds: str, given: Mapping[str, float]) -> dict[str, float]:
    """Complete and check the options of the bounds."""
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
