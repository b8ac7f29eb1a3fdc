"""The layer-wise wrapper with both bounds at 1 equals torch.optim: bitwise in float32, within 1e-12 in float64."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import Optimizer

from tests.oracles.layers import assert_equal_to, bits_differ, parameters, trained, training
from tests.oracles.reference import BASE_SOLVERS
from zerotune.trainers.optimizers import DATE, Layerwise

BuildTorch = Callable[..., Optimizer]

TORCH: dict[str, tuple[BuildTorch, dict[str, Any]]] = {
    "sgd": (torch.optim.SGD, {}),
    "momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adagrad": (torch.optim.Adagrad, {}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
    "adadelta": (torch.optim.Adadelta, {}),
}
"""base solver: (torch's optimizer, its arguments beyond the defaults)."""

OPTIONS: dict[str, dict[str, float]] = {
    "sgd": {"weight_decay": 0.05},
    "momentum": {"momentum": 0.7, "weight_decay": 0.05},
    "nesterov": {"momentum": 0.7, "weight_decay": 0.05},
    "adagrad": {"eps": 1e-4, "weight_decay": 0.05},
    "rmsprop": {"alpha": 0.8, "eps": 1e-4, "weight_decay": 0.05},
    "adam": {"beta1": 0.8, "beta2": 0.95, "eps": 1e-4, "weight_decay": 0.05},
    "adamw": {"beta1": 0.8, "beta2": 0.95, "eps": 1e-4, "weight_decay": 0.05},
    "adadelta": {"rho": 0.8, "eps": 1e-4, "weight_decay": 0.05},
}
"""base solver: options that differ from its defaults."""

BASE = pytest.mark.parametrize("base", TORCH)
FOREACH = pytest.mark.parametrize("foreach", [None, False, True], ids=["fused", "loop", "foreach"])
CHANGED = pytest.mark.parametrize("changed", [False, True], ids=["defaults", "options"])


def torch_optimizer(base: str, ours: dict[str, float], parameters: Any, **keywords: Any) -> Optimizer:
    build, needed = TORCH[base]
    options: dict[str, Any] = {**needed, **ours}
    if "beta1" in options:
        options["betas"] = (options.pop("beta1"), options.pop("beta2"))
    return build(parameters, lr=0.0, **options, **keywords)


def test_every_base_solver_has_a_torch_optimizer_and_a_reference() -> None:
    from zerotune.trainers.optimizers.layerwise import BASE_SOLVERS as OURS

    assert set(OURS) == set(TORCH) == set(BASE_SOLVERS) == set(OPTIONS)


@BASE
@CHANGED
@pytest.mark.parametrize("layerwise", [False, True])
def test_bounds_of_one_are_torchs_solver_bit_for_bit_in_float32(base: str, changed: bool, layerwise: bool) -> None:
    options = OPTIONS[base] if changed else {}
    theirs = parameters(torch.float32)
    ours = parameters(torch.float32)
    oracle = torch_optimizer(base, options, theirs)
    optimizer = Layerwise(
        [{"params": ours, "layerwise": layerwise}],
        lr=0.0,
        base=base,
        base_options=options,
        ratio="gradient",
        bounds="fixed",
        ratio_low=1.0,
        ratio_high=1.0,
        foreach=False,
    )
    trained(oracle, theirs, training())
    trained(optimizer, ours, training())
    assert bits_differ(ours, theirs) == []


@BASE
@CHANGED
@FOREACH
@pytest.mark.parametrize("ratio", ["gradient", "update"])
def test_bounds_of_one_are_torchs_solver_in_float64(base: str, changed: bool, foreach: bool | None, ratio: str) -> None:
    options = OPTIONS[base] if changed else {}
    theirs, ours = parameters(), parameters()
    oracle = torch_optimizer(base, options, theirs)
    optimizer = Layerwise(
        ours,
        lr=0.0,
        base=base,
        base_options=options,
        ratio=ratio,
        bounds="fixed",
        ratio_low=1.0,
        ratio_high=1.0,
        foreach=foreach,
    )
    assert_equal_to(trained(optimizer, ours, training()), trained(oracle, theirs, training()))


@BASE
@FOREACH
def test_a_group_that_is_not_layerwise_is_torchs_solver_in_float64(base: str, foreach: bool | None) -> None:
    theirs, ours = parameters(), parameters()
    oracle = torch_optimizer(base, OPTIONS[base], theirs)
    optimizer = Layerwise(
        [{"params": ours, "layerwise": False}],
        lr=0.0,
        base=base,
        base_options=OPTIONS[base],
        ratio="update",
        bounds="fixed",
        ratio_low=0.2,
        ratio_high=0.5,
        foreach=foreach,
    )
    assert_equal_to(trained(optimizer, ours, training()), trained(oracle, theirs, training()))


@BASE
@FOREACH
def test_maximize_is_torchs_maximize(base: str, foreach: bool | None) -> None:
    theirs, ours = parameters(), parameters()
    oracle = torch_optimizer(base, OPTIONS[base], theirs, maximize=True)
    optimizer = Layerwise(
        ours,
        lr=0.0,
        base=base,
        base_options=OPTIONS[base],
        ratio="gradient",
        bounds="fixed",
        ratio_low=1.0,
        ratio_high=1.0,
        maximize=True,
        foreach=foreach,
    )
    assert_equal_to(trained(optimizer, ours, training()), trained(oracle, theirs, training()))


@pytest.mark.parametrize("base", ["sgd", "momentum", "adagrad", "rmsprop"])
@FOREACH
def test_date_with_bounds_of_one_is_its_base_solver(base: str, foreach: bool | None) -> None:
    theirs, ours = parameters(), parameters()
    oracle = torch_optimizer(base, OPTIONS[base], theirs)
    optimizer = DATE(
        ours, lr=0.0, base=base, base_options=OPTIONS[base], ratio_low=1.0, ratio_high=1.0, foreach=foreach
    )
    assert_equal_to(trained(optimizer, ours, training()), trained(oracle, theirs, training()))
