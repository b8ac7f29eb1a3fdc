"""A bounded layer-wise ratio over any base solver: the general form of which the DATE solver is one case.

This module must not know which bounds are good, nor any base solver by name.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from trainers.optimizers.base_solvers import BASE_SOLVERS
from trainers.optimizers.multi_tensor import Bucket, MultiTensorOptimizer, norms, ratio_or_one, scaled
from trainers.tables import lookup


def gradient_ratio(bucket: Bucket) -> Tensor:
    """r = |w| / |g| of every layer, 1 where either norm is 0; shape `_L`; weight decay is no part of g (DATE 3.5)."""
    weight_L, grad_L = norms(bucket.params), norms(bucket.grads)
    return ratio_or_one(weight_L, grad_L, defined_L=(weight_L > 0) & (grad_L > 0))


class Layerwise(MultiTensorOptimizer):
    """A base solver whose step in each layer is multiplied by r = min(max(|w| / |g|, low), high).

    w <- w - lr r u with u the base solver's direction; where |w| or |g| is 0, r = min(max(1, low), high). With
    low = high = 1 it is the base solver, bit for bit torch's own on a CPU.

    Args:
        params: parameters, or groups of them; a group with `layerwise=False` is stepped by the base solver alone.
        lr: learning rate, >= 0.
        base: a name in `BASE_SOLVERS`.
        base_options: options of the base solver; those left out have torch's defaults.
        ratio_low: smallest ratio, >= 0.
        ratio_high: largest ratio, >= ratio_low; infinity for none.
        maximize: ascend instead of descend.

    Raises:
        UnknownName: there is no such base solver, or it has no such option.
        ValueError: lr or the bounds are out of range.

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
        lr: float,
        *,
        base: str,
        ratio_low: float,
        ratio_high: float,
        base_options: Mapping[str, float] | None = None,
        maximize: bool = False,
    ) -> None:
        solver = lookup("base solver", BASE_SOLVERS, base)
        for name in base_options or {}:
            lookup(f"option of base solver {base!r}", solver.defaults, name)
        if not lr >= 0:
            raise ValueError(f"lr must be at least 0, got {lr}.")
        if not 0 <= ratio_low <= ratio_high:
            raise ValueError(
                "ratio_low must be at least 0 and at most ratio_high,"
                f" got ratio_low={ratio_low}, ratio_high={ratio_high}."
            )
        self._base = solver
        bounds = {"ratio_low": ratio_low, "ratio_high": ratio_high}
        options = {**solver.defaults, **(base_options or {}), **bounds}
        super().__init__(params, {"lr": lr, **options, "layerwise": True, "maximize": maximize})

    def update(self, bucket: Bucket, group: Mapping[str, Any]) -> None:
        """The base solver's direction, times the bounded ratio of every layer (DATE, Algorithm 1, lines 10-17)."""
        direction = self._base.direction(bucket, group)
        numerators = direction.numerators
        if group["layerwise"]:
            ratio_L = gradient_ratio(bucket).clamp(group["ratio_low"], group["ratio_high"])
            numerators = scaled(numerators, ratio_L)
        if direction.denominators is None:
            torch._foreach_add_(bucket.params, numerators, alpha=-group["lr"])
        else:
            torch._foreach_addcdiv_(bucket.params, numerators, direction.denominators, value=-group["lr"])
