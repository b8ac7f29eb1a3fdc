"""Layers that every oracle runs over: weights, gradients, learning rates, and the training loops of both sides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tests.oracles.reference import Array, LayerSolver

NUM_STEPS = 100


def ordinary(values: Tensor) -> Tensor:
    return values.clone()


def channels_last(values: Tensor) -> Tensor:
    return values.to(memory_format=torch.channels_last)


def transposed(values: Tensor) -> Tensor:
    """Return the same values in column-major layout."""
    return values.t().contiguous().t()


def strided(values: Tensor) -> Tensor:
    """Return the same values as every second column of a wider matrix."""
    wide = torch.full((values.shape[0], 2 * values.shape[1]), torch.nan, dtype=values.dtype)
    wide[:, ::2] = values
    return wide[:, ::2]


@dataclass(frozen=True)
class Layer:
    """Shape of a parameter tensor, and the memory layout of its weights and its gradient."""

    name: str
    shape: tuple[int, ...]
    layout: Callable[[Tensor], Tensor] = ordinary
    gradient_layout: Callable[[Tensor], Tensor] = ordinary


LAYERS = (
    Layer("conv", (4, 3, 3, 3)),
    Layer("conv channels last", (4, 3, 3, 3), channels_last, channels_last),
    Layer("conv with channels-last gradient", (4, 3, 3, 3), ordinary, channels_last),
    Layer("matrix", (7, 5)),
    Layer("transposed matrix", (5, 7), transposed, transposed),
    Layer("matrix with transposed gradient", (5, 7), ordinary, transposed),
    Layer("strided matrix with strided gradient", (3, 4), strided, strided),
    Layer("vector", (6,)),
    Layer("one number", (1,)),
    Layer("scalar", ()),
    Layer("nothing", (0, 3)),
)

LAYERS_WITH_NUMBERS = tuple(layer for layer in LAYERS if 0 not in layer.shape)

LARGE_LAYERS = (Layer("vector", (3,)), Layer("large", (601, 503)), Layer("matrix", (2, 2)), Layer("scalar", ()))
"""One layer of 302,303 numbers, an odd count, between small layers."""


def random_weights(layers: Sequence[Layer] = LAYERS) -> list[Array]:
    generator = np.random.default_rng(1)
    return [np.asarray(generator.normal(size=layer.shape)) for layer in layers]


def parameters(dtype: torch.dtype = torch.float64, layers: Sequence[Layer] = LAYERS) -> list[nn.Parameter]:
    """Return `random_weights` as parameters."""
    arrays = random_weights(layers)
    return [nn.Parameter(layer.layout(torch.tensor(w, dtype=dtype))) for layer, w in zip(layers, arrays, strict=True)]


@dataclass(frozen=True)
class OptimizerSteps:
    """The learning rate and the layers' gradients of every step."""

    layers: Sequence[Layer]
    rates: list[float]
    gradients: list[list[Array]]
    made: dict[tuple[torch.dtype, str], list[list[Tensor]]] = field(default_factory=dict)

    def tensors(self, dtype: torch.dtype, use: str = "steps") -> list[list[Tensor]]:
        """Return the gradients in their memory layouts; every call for the same use returns the same objects."""
        if (dtype, use) not in self.made:
            self.made[dtype, use] = self.fresh_tensors(dtype)
        return self.made[dtype, use]

    def fresh_tensors(self, dtype: torch.dtype) -> list[list[Tensor]]:
        return [
            [layer.gradient_layout(torch.tensor(g, dtype=dtype)) for layer, g in zip(self.layers, step, strict=True)]
            for step in self.gradients
        ]


@cache
def training(layers: tuple[Layer, ...] = LAYERS, num_steps: int = NUM_STEPS, calm: bool = False) -> OptimizerSteps:
    """Return learning rates over two decades and gradients over four; `calm`: one decade each and smaller rates."""
    generator = np.random.default_rng(2)
    rates, gradients = [], []
    for _ in range(num_steps):
        rates.append(10 ** (generator.uniform(-4, -3) if calm else generator.uniform(-3, -1)))
        size = 10 ** (generator.uniform(-0.5, 0.5) if calm else generator.uniform(-2, 2))
        gradients.append([np.asarray(size * generator.normal(0.3, 1.0, size=layer.shape)) for layer in layers])
    return OptimizerSteps(layers, rates, gradients)


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Set every group's learning rate to `rate` times the group's own `rate_factor` (1 where it has none)."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("rate_factor", 1.0)


def train(optimizer: Optimizer, parameters: Sequence[nn.Parameter], steps: OptimizerSteps, from_step: int = 0) -> None:
    """Take the steps from `from_step` on, and check that they leave the gradients unchanged."""
    dtype = parameters[0].dtype
    for rate, tensors in list(zip(steps.rates, steps.tensors(dtype), strict=True))[from_step:]:
        set_rate(optimizer, rate)
        for parameter, gradient in zip(parameters, tensors, strict=True):
            parameter.grad = gradient
        optimizer.step()
    for used, fresh in zip(steps.tensors(dtype), steps.tensors(dtype, "comparison"), strict=True):
        if bits_differ(used, fresh):
            steps.made.clear()
            raise AssertionError("a step changed a gradient")


def trained(optimizer: Optimizer, parameters: Sequence[nn.Parameter], steps: OptimizerSteps) -> list[Array]:
    """Return the parameters' values after the steps."""
    train(optimizer, parameters, steps)
    return values(parameters)


def expected(
    solvers: Sequence[LayerSolver], steps: OptimizerSteps, rate_factors: Sequence[float] | None = None
) -> list[Array]:
    """Return the reference's values of `random_weights` after the same steps."""
    weights = random_weights(steps.layers)
    factors = rate_factors or [1.0] * len(weights)
    for rate, gradients in zip(steps.rates, steps.gradients, strict=True):
        for layer, solver in enumerate(solvers):
            weights[layer] = solver.step(weights[layer], gradients[layer], rate * factors[layer])
    return weights


def values(tensors: Sequence[Tensor]) -> list[Array]:
    return [np.array(tensor.detach().to(torch.float64).numpy()) for tensor in tensors]


def assert_equal_to(
    actual: Sequence[Array], wanted: Sequence[Array], tolerance: float = 1e-12, name: str = "weights"
) -> None:
    """Assert that every layer equals the wanted one within `tolerance` times the layer's largest entry."""
    for index, (ours, theirs) in enumerate(zip(actual, wanted, strict=True)):
        where = f"{name}, layer {index}"
        assert ours.shape == theirs.shape, where
        assert np.all(np.isfinite(theirs)), f"{where}: the oracle itself is not finite"
        scale = float(np.max(np.abs(theirs), initial=0.0))
        distance = float(np.max(np.abs(ours - theirs), initial=0.0))
        assert distance <= tolerance * scale, f"{where}: {distance} apart, entries up to {scale}"


def bits_differ(actual: Sequence[Tensor], wanted: Sequence[Tensor]) -> list[int]:
    """Return the indices of the layers whose values are not bitwise equal."""
    return [i for i, (ours, theirs) in enumerate(zip(actual, wanted, strict=True)) if not torch.equal(ours, theirs)]
