"""A small problem for the contract tests of every optimizer, and the marks that name the optimizers."""

from collections.abc import Sequence
from importlib.util import find_spec

import pytest
import torch
from _pytest.mark.structures import ParameterSet
from torch import Tensor, nn
from torch.optim import Optimizer

from zerotune.trainers.optimizers import OPTIMIZERS, build_optimizer
from zerotune.trainers.optimizers.parameter_free import PARAMETER_FREE
from zerotune.trainers.spec import OptimizerSpec, OptionValue


def where_installed(name: str, *others: str) -> ParameterSet:
    """Return the test's arguments, marked to skip where the optimizer's package is absent."""
    package = PARAMETER_FREE[name].package if name in PARAMETER_FREE else "torch"
    absent = pytest.mark.skipif(find_spec(package) is None, reason=f"needs {package}: pip install 'zerotune[rivals]'")
    return pytest.param(name, *others, marks=absent)


EVERY_OPTIMIZER = pytest.mark.parametrize("name", [where_installed(name) for name in OPTIMIZERS])


def build(name: str, params: dict[str, nn.Parameter], lr: float, **options: OptionValue) -> Optimizer:
    """Build an optimizer; one that finds its own learning rate starts where a few steps show an effect."""
    starts = {option: 0.003 for option in ("d0", "reps_rel") if option in OPTIMIZERS[name].defaults}
    return build_optimizer(OptimizerSpec(name=name, options={**starts, **options}), params.items(), lr)


def two_layers(dtype: torch.dtype = torch.float32) -> dict[str, nn.Parameter]:
    """Return a weight (4, 3) and a bias (4,), the same at every call."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 3, generator=generator).to(dtype)
    bias = torch.randn(4, generator=generator).to(dtype)
    return {"weight": nn.Parameter(weight), "bias": nn.Parameter(bias)}


def quadratic(params: dict[str, nn.Parameter]) -> Tensor:
    """Return the sum of (w - 1)^2 over all parameters."""
    losses = [(param.float() - 1).square().sum() for param in params.values()]
    return torch.stack(losses).sum()


def train(optimizer: Optimizer, params: dict[str, nn.Parameter], steps: int, *, direction: float = 1.0) -> None:
    """Step down the quadratic, or up if `direction` is -1."""
    for _ in range(steps):
        optimizer.zero_grad()
        (direction * quadratic(params)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def values(params: dict[str, nn.Parameter]) -> list[Tensor]:
    """Return copies of the parameters."""
    return [param.detach().clone() for param in params.values()]


def equal(left: Sequence[Tensor], right: Sequence[Tensor]) -> bool:
    """Whether all tensors are equal bit for bit."""
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))
