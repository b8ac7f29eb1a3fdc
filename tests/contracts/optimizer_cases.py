"""A small problem for the contract tests of every optimizer, and the marks that name the optimizers."""

import io
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

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


def forms(name: str) -> tuple[bool | None, ...]:
    """Return the values of `foreach` that an optimizer has: None, False and True for ours, two for torch's."""
    foreach = [group["foreach"] for group in build(name, two_layers(), 0.1).param_groups if "foreach" in group]
    if name in PARAMETER_FREE or not foreach:
        return (None,)
    return (None, False, True) if "adapt_vectors" in OPTIMIZERS[name].defaults else (False, True)


def set_form(optimizer: Optimizer, form: bool | None) -> None:
    """Choose the form of the step, where the optimizer has several."""
    for group in optimizer.param_groups:
        if form is not None or "capturable" in group:
            group["foreach"] = form


EVERY_INSTALLED = [name for name in OPTIMIZERS if name not in PARAMETER_FREE or find_spec(PARAMETER_FREE[name].package)]
EVERY_FORM = pytest.mark.parametrize(
    ("name", "form"), [(name, form) for name in EVERY_INSTALLED for form in forms(name)]
)
OWN = [name for name, entry in OPTIMIZERS.items() if "adapt_vectors" in entry.defaults]
EVERY_OWN = pytest.mark.parametrize("name", OWN)


def through_file(state: Any) -> Any:
    """Return a state as it is after being saved and loaded."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)
