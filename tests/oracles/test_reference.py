"""Every option against the slow reference: 100 steps with a changing learning rate in float64."""

import math
from typing import Any

import pytest
from torch import nn
from torch.optim import Optimizer

from tests.oracles.layers import LARGE_LAYERS, LAYERS, expected, training
from tests.oracles.reference import BASE_SOLVERS
from tests.oracles.solvers import Solver, assert_equals_reference, assert_every_form_equals, date, lamb, lars, layerwise
from tests.oracles.test_base_solvers import OPTIONS
from zerotune.trainers.optimizers.date import DATE_BASES

BOUNDS: dict[str, dict[str, Any]] = {
    "none": {"bounds": "none"},
    "fixed": {"bounds": "fixed", "ratio_low": 0.3, "ratio_high": 1.7},
    "dynamic": {"bounds": "dynamic", "ratio_final": 0.8, "ratio_gamma": 0.05},
}


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("lr_in_buffer", [False, True])
@pytest.mark.parametrize("larc_clip", [False, True])
@pytest.mark.parametrize("layerwise", [False, True])
def test_every_option_of_lars(nesterov: bool, lr_in_buffer: bool, larc_clip: bool, layerwise: bool) -> None:
    options = {"nesterov": nesterov, "lr_in_buffer": lr_in_buffer, "larc_clip": larc_clip}
    solver = lars(momentum=0.8, weight_decay=0.03, trust_coefficient=0.02, **options)
    assert_equals_reference(solver, layerwise=layerwise)


@pytest.mark.parametrize("bias_correction", [False, True])
@pytest.mark.parametrize("decay_in_ratio", [False, True])
@pytest.mark.parametrize("phi", [{}, {"phi_low": 1.0, "phi_high": 3.0}])
@pytest.mark.parametrize("layerwise", [False, True])
def test_every_option_of_lamb(
    bias_correction: bool, decay_in_ratio: bool, phi: dict[str, float], layerwise: bool
) -> None:
    options = {"bias_correction": bias_correction, "decay_in_ratio": decay_in_ratio, **phi}
    solver = lamb(beta1=0.8, beta2=0.99, eps=1e-3, weight_decay=0.03, **options)
    assert_equals_reference(solver, layerwise=layerwise)


@pytest.mark.parametrize("base", BASE_SOLVERS)
@pytest.mark.parametrize("ratio", ["gradient", "update"])
@pytest.mark.parametrize("bounds", BOUNDS)
def test_every_base_solver_ratio_and_kind_of_bounds(base: str, ratio: str, bounds: str) -> None:
    steps = training(calm=bounds == "none")  # without bounds, momentum diverges on suddenly small gradients
    assert_equals_reference(layerwise(base, OPTIONS[base], ratio=ratio, **BOUNDS[bounds]), steps)


@pytest.mark.parametrize("base", BASE_SOLVERS)
def test_the_defaults_of_a_base_solver_are_torchs(base: str) -> None:
    assert_equals_reference(layerwise(base, {}, ratio_low=0.3, ratio_high=1.7))


@pytest.mark.parametrize("base", DATE_BASES)
def test_date(base: str) -> None:
    assert_equals_reference(date(base, OPTIONS[base], ratio_low=0.2, ratio_high=1.5))


GROUPS: dict[str, tuple[Solver, list[dict[str, Any]]]] = {
    "lars": (
        lars(weight_decay=0.0, trust_coefficient=0.001),
        [
            {"momentum": 0.0},
            {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True},
            {"trust_coefficient": 0.3, "lr_in_buffer": False},
            {"trust_coefficient": 0.3, "larc_clip": True, "weight_decay": 1e-3},
            {"layerwise": False, "weight_decay": 0.02},
        ],
    ),
    "lamb": (
        lamb(weight_decay=0.0),
        [
            {},
            {"beta1": 0.5, "weight_decay": 0.1},
            {"beta2": 0.9, "eps": 1e-2, "phi_high": 0.5},
            {"bias_correction": False, "decay_in_ratio": False, "weight_decay": 0.1},
            {"layerwise": False, "weight_decay": 0.02},
        ],
    ),
    "layerwise": (
        layerwise("momentum", {}, ratio_low=0.1, ratio_high=5.0),
        [
            {"ratio_low": 0.5, "ratio_high": 0.6},
            {"ratio_low": 0.0, "ratio_high": math.inf, "momentum": 0.5},
            {"layerwise": False, "weight_decay": 0.1},
            {"momentum": 0.0},
        ],
    ),
}


@pytest.mark.parametrize("name", GROUPS)
def test_groups_keep_their_own_options(name: str) -> None:
    solver, choices = GROUPS[name]
    factors = [1.0, 2.0, 0.1, 3.0, 0.5][: len(choices)]

    def build(ours: list[nn.Parameter], foreach: bool | None) -> Optimizer:
        groups = [
            {"params": ours[index :: len(choices)], "rate_factor": factor, **choice}
            for index, (choice, factor) in enumerate(zip(choices, factors, strict=True))
        ]
        return solver.build(groups, lr=0.0, foreach=foreach)

    group_of_layer = [layer % len(choices) for layer in range(len(LAYERS))]
    references = [solver.reference(**choices[group]) for group in group_of_layer]
    wanted = expected(references, training(), [factors[group] for group in group_of_layer])
    assert_every_form_equals(wanted, training(), build)


LARGE: dict[str, Solver] = {
    "lars": lars(trust_coefficient=0.02),
    "lamb": lamb(),
    **{
        f"{base}, {ratio}": layerwise(base, {}, ratio=ratio, ratio_low=0.01, ratio_high=10.0)
        for base in ("momentum", "adamw", "adadelta")
        for ratio in ("gradient", "update")
    },
}


@pytest.mark.parametrize("solver", LARGE.values(), ids=list(LARGE))
def test_large_layers_between_small_ones(solver: Solver) -> None:
    assert_equals_reference(solver, training(LARGE_LAYERS, num_steps=5))
