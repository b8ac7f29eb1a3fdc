"""Base solvers of layer-wise optimizers. They compute the direction of a step, not its length.

A base solver turns gradients into a direction and keeps its own state. `Layerwise` multiplies the direction by each
layer's ratio and takes the step. The arithmetic matches torch.optim down to the order of operations: with ratio 1 the
result is torch's own solver, bit for bit on a CPU. This module must not know ratios or learning rates.

To add a base solver, write a function and add an entry to `BASE_SOLVERS`.

Notation: w weights, g gradient, wd weight decay, u direction. Shapes: lists hold one tensor per layer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .fused_kernels import fused_adagrad, fused_adam, fused_adamw, fused_sgd
from .layer_values import LayerValues, add_multiple, clamp_to_dtype, multiply, multiply_
from .multi_tensor import Bucket, add_weight_decay


@dataclass(frozen=True, kw_only=True)
class Direction:
    """The direction of a step, u = numerator / denominator / divisor + decay w; the step is w <- w - lr r u.

    Attributes:
        numerators: one tensor per layer. They may be the solver's state: never change them in place.
        denominators: one tensor per layer; None for ones.
        divisors: one number per layer, a list of floats or a tensor `_L`; None for ones.
        decay: coefficient of the weights (decoupled weight decay), >= 0.
    """

    numerators: list[Tensor]
    denominators: list[Tensor] | None = None
    divisors: list[float] | Tensor | None = None
    decay: float = 0.0

    def materialize(self, params: list[Tensor]) -> list[Tensor]:
        """Return u of every layer, in new tensors."""
        if self.denominators is None:
            updates = [tensor.clone() for tensor in self.numerators]
        else:
            updates = list(torch._foreach_div(self.numerators, self.denominators))
        if isinstance(self.divisors, Tensor):
            multiply_(updates, 1 / self.divisors)
        elif self.divisors is not None:
            torch._foreach_div_(updates, self.divisors)
        if self.decay:
            torch._foreach_add_(updates, params, alpha=self.decay)
        return updates

    def apply(self, params: list[Tensor], lr: LayerValues, rates: LayerValues) -> None:
        """Take the step w <- w - lr r u, in place.

        Args:
            params: the weights.
            lr: learning rate, a float or a 0-dimensional tensor.
            rates: r, one number for all layers or one per layer.
        """
        if self.decay:
            multiply_(params, 1 - lr * rates * self.decay)
        if isinstance(lr, Tensor) or isinstance(rates, Tensor) or isinstance(self.divisors, Tensor):
            self._apply_by_layer(params, lr, rates)
        elif self.denominators is None:
            torch._foreach_add_(params, self.numerators, alpha=clamp_to_dtype(-(lr * rates), params[0].dtype))
        elif self.divisors is None:
            size = clamp_to_dtype(-(lr * rates), params[0].dtype)
            torch._foreach_addcdiv_(params, self.numerators, self.denominators, value=size)
        else:
            sizes = [clamp_to_dtype(-(lr * rates / divisor), params[0].dtype) for divisor in self.divisors]
            torch._foreach_addcdiv_(params, self.numerators, self.denominators, sizes)

    def _apply_by_layer(self, params: list[Tensor], lr: LayerValues, rates: LayerValues) -> None:
        """Take the step with rates that differ by layer or stay on the device; multiplies by lr last if possible."""
        size, factors = (-lr, rates) if isinstance(lr, float) else (1.0, -lr * rates)
        numerators = self.numerators
        if isinstance(self.divisors, Tensor):
            factors = factors / self.divisors
        elif self.divisors is not None and len(set(self.divisors)) == 1:
            factors = factors / self.divisors[0]
        elif self.divisors is not None:
            numerators = list(torch._foreach_div(numerators, self.divisors))
        if self.denominators is None:
            add_multiple(params, numerators, factors, alpha=size)
        else:
            torch._foreach_addcdiv_(params, multiply(numerators, factors), self.denominators, value=size)


@dataclass(frozen=True, kw_only=True)
class BaseSolver:
    """A solver without its step length.

    Attributes:
        direction: (bucket, options of the parameter group) -> direction; updates the layers' states.
        defaults: options with torch's defaults.
        state_names: names of its state tensors, each of a weight's shape.
        counts_steps: whether it needs `Bucket.steps`.
        source: paper.
        fused: the step of one layer on a CPU in one pass (`trainers.optimizers.fused_kernels`); None if torch has no
            such kernel.
    """

    direction: Callable[[Bucket, Mapping[str, Any]], Direction]
    defaults: Mapping[str, float]
    state_names: tuple[str, ...] = ()
    counts_steps: bool = False
    source: str
    fused: Callable[[Tensor, Tensor, dict[str, Tensor], Mapping[str, Any], float], None] | None = None


def _sgd(bucket: Bucket, group: Mapping[str, Any]) -> Direction:
    """u = g + wd w."""
    return Direction(numerators=add_weight_decay(bucket, group["weight_decay"]))


def _momentum(bucket: Bucket, group: Mapping[str, Any]) -> Direction:
    """u <- m u + (g + wd w), as torch.optim.SGD: learning rate and ratio are outside the momentum buffer."""
    buffers = bucket.state_tensors("momentum_buffer")
    multiply_(buffers, group["momentum"])
    torch._foreach_add_(buffers, add_weight_decay(bucket, group["weight_decay"]))
    return Direction(numerators=buffers)


def _nesterov(bucket: Bucket, group: Mapping[str, Any]) -> Direction:
    """u = (g + wd w) + m b with b <- m b + (g + wd w), torch.optim.SGD's form of Nesterov's momentum."""
    grads, buffers = add_weight_decay(bucket, group["weight_decay"]), bucket.state_tensors("momentum_buffer")
    multiply_(buffers, group["momentum"])
    torch._foreach_add_(buffers, grads)
    return Direction(numerators=list(torch._foreach_add(grads, buffers, alpha=group["momentum"])))


def _adagrad(bucket: Bucket, group: Mapping[str, Any]) -> Direction:
    """u = g / (sqrt(s) + eps) with s <- s + g^2, and g + wd w in place of g."""
    grads = add_weight_decay(bucket, group["weight_decay"])
    sums = bucket.state_tensors("sum")
    torch._foreach_addcmul_(sums, grads, grads, value=1)
    return Direction(numerators=grads, denominators=_roots(sums, group["eps"]))


def _rmsprop(bucket: Bucket, group: Mapping[str, Any]) -> Direction:
    """u = g / (sqrt(v) + eps) with v <- alpha v + (1 - alpha) g^2, and g + wd w in place of g."""
    grads = add_weight_decay(bucket, group["weight_decay"])
    averages = bucket.state_tensors("square_avg")
    multiply_(averages, group["alpha"])
    torch._foreach_addcmul_(averages, grads, grads, value=1 - group["alpha"])
    return Direction(numerators=grads, denominators=_roots(averages, group["eps"]))


def _adadelta(bucket: Bucket, group: Mapping[str, Any]) -> Direction:
    """u = g sqrt(a + eps) / sqrt(s + eps); s and a are moving averages of g^2 and u^2, and g + wd w replaces g."""
    grads, rho = add_weight_decay(bucket, group["weight_decay"]), group["rho"]
    squares, changes = bucket.state_tensors("square_avg"), bucket.state_tensors("acc_delta")
    multiply_(squares, rho)
    torch._foreach_addcmul_(squares, grads, grads, value=1 - rho)
    roots = list(torch._foreach_add(squares, group["eps"]))
    torch._foreach_sqrt_(roots)
    updates = list(torch._foreach_add(changes, group["eps"]))
    torch._foreach_sqrt_(updates)
    torch._foreach_div_(updates, roots)
    torch._foreach_mul_(updates, grads)
    multiply_(changes, rho)
    torch._foreach_addcmul_(changes, updates, updates, value=1 - rho)
    return Direction(numerators=updates)


def _adam(bucket: Bucket, group: Mapping[str, Any]) -> Direction:
    """u = m' / (sqrt(v') + eps), with g + wd w in place of g."""
    return adam_direction(bucket, add_weight_decay(bucket, group["weight_decay"]), group)


def _adamw(bucket: Bucket, group: Mapping[str, Any]) -> Direction:
    """u = m' / (sqrt(v') + eps) + wd w."""
    return adam_direction(bucket, bucket.grads, group, decay=group["weight_decay"])


def adam_direction(
    bucket: Bucket, grads: list[Tensor], group: Mapping[str, Any], *, decay: float = 0.0, bias_correction: bool = True
) -> Direction:
    """Update the moments and return Adam's direction m' / (sqrt(v') + eps) + decay w.

    m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
    m' = m / (1 - beta1^t);  v' = v / (1 - beta2^t), or m and v themselves without bias correction

    Source: Kingma and Ba, arXiv 1412.6980, Algorithm 1.

    Args:
        bucket: layers with the states exp_avg (m) and exp_avg_sq (v).
        grads: g, one tensor per layer.
        group: options betas and eps.
        decay: coefficient of the weights, >= 0.
        bias_correction: whether to divide the moments as above.
    """
    beta1, beta2 = group["betas"]
    firsts, seconds = bucket.state_tensors("exp_avg"), bucket.state_tensors("exp_avg_sq")
    torch._foreach_lerp_(firsts, grads, 1 - beta1)
    multiply_(seconds, beta2)
    torch._foreach_addcmul_(seconds, grads, grads, value=1 - beta2)
    if not bias_correction:
        return Direction(numerators=firsts, denominators=_roots(seconds, group["eps"]), decay=decay)
    roots = list(torch._foreach_sqrt(seconds))
    divisors: list[float] | Tensor
    if isinstance(bucket.steps, Tensor):
        multiply_(roots, (1 - beta2**bucket.steps).rsqrt())
        divisors = 1 - beta1**bucket.steps
    else:
        torch._foreach_div_(roots, [(1 - beta2**step) ** 0.5 for step in bucket.steps])
        divisors = [1 - beta1**step for step in bucket.steps]
    torch._foreach_add_(roots, group["eps"])
    return Direction(numerators=firsts, denominators=roots, divisors=divisors, decay=decay)


def _roots(squares: list[Tensor], eps: float) -> list[Tensor]:
    """Return sqrt(x) + eps of every layer, in new tensors."""
    roots = list(torch._foreach_sqrt(squares))
    torch._foreach_add_(roots, eps)
    return roots


_ADAM_OPTIONS = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
_ADAM_STATE = ("exp_avg", "exp_avg_sq")

BASE_SOLVERS: dict[str, BaseSolver] = {
    "sgd": BaseSolver(direction=_sgd, defaults={"weight_decay": 0.0}, source="Robbins and Monro 1951", fused=fused_sgd),
    "momentum": BaseSolver(
        direction=_momentum,
        fused=fused_sgd,
        defaults={"momentum": 0.9, "weight_decay": 0.0},
        state_names=("momentum_buffer",),
        source="Sutskever et al., ICML 2013",
    ),
    "nesterov": BaseSolver(
        direction=_nesterov,
        fused=partial(fused_sgd, nesterov=True),
        defaults={"momentum": 0.9, "weight_decay": 0.0},
        state_names=("momentum_buffer",),
        source="Sutskever et al., ICML 2013",
    ),
    "adagrad": BaseSolver(
        direction=_adagrad,
        fused=fused_adagrad,
        defaults={"eps": 1e-10, "weight_decay": 0.0},
        state_names=("sum",),
        source="Duchi, Hazan and Singer, JMLR 2011",
    ),
    "rmsprop": BaseSolver(
        direction=_rmsprop,
        defaults={"alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0},
        state_names=("square_avg",),
        source="Tieleman and Hinton 2012",
    ),
    "adam": BaseSolver(
        direction=_adam,
        fused=fused_adam,
        defaults={**_ADAM_OPTIONS, "weight_decay": 0.0},
        state_names=_ADAM_STATE,
        counts_steps=True,
        source="Kingma and Ba, arXiv 1412.6980",
    ),
    "adamw": BaseSolver(
        direction=_adamw,
        fused=fused_adamw,
        defaults={**_ADAM_OPTIONS, "weight_decay": 0.01},
        state_names=_ADAM_STATE,
        counts_steps=True,
        source="Loshchilov and Hutter, arXiv 1711.05101",
    ),
    "adadelta": BaseSolver(
        direction=_adadelta,
        defaults={"rho": 0.9, "eps": 1e-6, "weight_decay": 0.0},
        state_names=("square_avg", "acc_delta"),
        source="Zeiler, arXiv 1212.5701",
    ),
}
"""The base solvers by name: DATE's four (Algorithm 1, line 17), and those of LIMIT's and DATE's comparisons."""
