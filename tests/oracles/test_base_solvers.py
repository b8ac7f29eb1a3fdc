"""The layer-wise wrapper with a ratio of 1 equals torch.optim: bit for bit, fused kernels within 1e-12 in float64."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from tests.oracles.layers import LAYERS, bits_differ, parameters, trained, training
from tests.oracles.reference import BASE_SOLVERS
from tests.oracles.solvers import assert_every_form_equals
from zerotune.trainers.optimizers import Layerwise

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
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("maximize", "group"), [(False, {}), (True, {"layerwise": False, "ratio_high": 0.1})])
def test_bounds_of_one_are_torchs_solver_bit_for_bit(
    base: str, changed: bool, dtype: torch.dtype, maximize: bool, group: dict[str, Any]
) -> None:
    options, layers = OPTIONS[base] if changed else {}, LAYERS
    if dtype == torch.bfloat16:  # torch rounds otherwise where its momentum buffer has the gradient's memory layout
        layers = tuple(layer for layer in LAYERS if layer.layout is layer.gradient_layout)
    steps = training(layers, num_steps=50)
    theirs = parameters(dtype, layers)
    trained(torch_optimizer(base, options, theirs, maximize=maximize), theirs, steps)
    one = {"base": base, "base_options": options, "ratio_low": 1.0, "ratio_high": 1.0}
    for foreach in (False, True):
        ours = parameters(dtype, layers)
        trained(Layerwise([{"params": ours, **group}], lr=0.0, maximize=maximize, foreach=foreach, **one), ours, steps)
        assert (foreach, bits_differ(ours, theirs)) == (foreach, [])


PLAIN: dict[str, dict[str, Any]] = {
    "bounds of one, gradient": {"ratio": "gradient", "ratio_low": 1.0, "ratio_high": 1.0},
    "bounds of one, update": {"ratio": "update", "ratio_low": 1.0, "ratio_high": 1.0},
    "not layerwise": {"ratio": "update", "ratio_low": 0.2, "ratio_high": 0.5},
}


@BASE
@CHANGED
def test_a_ratio_of_one_is_torchs_solver_in_float64(base: str, changed: bool) -> None:
    options = OPTIONS[base] if changed else {}
    theirs = parameters()
    wanted = trained(torch_optimizer(base, options, theirs), theirs, training())
    for name, plain in PLAIN.items():
        common = {"lr": 0.0, "base": base, "base_options": options, **plain}

        def build(ours: list[nn.Parameter], foreach: bool | None, name: str = name, common: Any = common) -> Optimizer:
            groups = [{"params": ours, "layerwise": name != "not layerwise"}]
            return Layerwise(groups, foreach=foreach, **common)

        assert_every_form_equals(wanted, training(), build)
