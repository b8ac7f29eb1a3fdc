"""LAMB against timm, optax and the slow reference: 100 steps with a changing learning rate in float64."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.oracles.layers import LARGE_LAYERS, LAYERS, assert_equal_to, expected, parameters, trained, training
from tests.oracles.optax_steps import optax_weights
from tests.oracles.reference import Lamb
from zerotune.trainers.optimizers import LAMB

FOREACH = pytest.mark.parametrize("foreach", [None, False, True], ids=["fused", "loop", "foreach"])


@FOREACH
@pytest.mark.parametrize("bias_correction", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_it_equals_timm(
    timm_lamb: Callable[..., Any], foreach: bool | None, bias_correction: bool, weight_decay: float
) -> None:
    theirs = parameters()
    oracle = timm_lamb(
        theirs,
        lr=0.0,
        bias_correction=bias_correction,
        weight_decay=weight_decay,
        max_grad_norm=None,
        always_adapt=True,
    )
    ours = parameters()
    optimizer = LAMB(ours, lr=0.0, bias_correction=bias_correction, weight_decay=weight_decay, foreach=foreach)
    assert_equal_to(trained(optimizer, ours, training()), trained(oracle, theirs, training()))


@FOREACH
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_it_equals_optax(optax: Any, foreach: bool | None, weight_decay: float) -> None:
    theirs = optax_weights(lambda rate: optax.lamb(rate, weight_decay=weight_decay), training())
    ours = parameters()
    optimizer = LAMB(ours, lr=0.0, weight_decay=weight_decay, foreach=foreach)
    assert_equal_to(trained(optimizer, ours, training()), theirs)


@FOREACH
@pytest.mark.parametrize("bias_correction", [False, True])
@pytest.mark.parametrize("decay_in_ratio", [False, True])
@pytest.mark.parametrize("phi", [{}, {"phi_low": 1.0, "phi_high": 3.0}])
@pytest.mark.parametrize("layerwise", [False, True])
def test_every_option_equals_the_slow_reference(
    foreach: bool | None, bias_correction: bool, decay_in_ratio: bool, phi: dict[str, float], layerwise: bool
) -> None:
    options: dict[str, Any] = {
        "beta1": 0.8,
        "beta2": 0.99,
        "eps": 1e-3,
        "weight_decay": 0.03,
        "bias_correction": bias_correction,
        "decay_in_ratio": decay_in_ratio,
        **phi,
    }
    ours = parameters()
    optimizer = LAMB([{"params": ours, "layerwise": layerwise}], lr=0.0, foreach=foreach, **options)
    solvers = [Lamb(**options, layerwise=layerwise) for _ in LAYERS]
    assert_equal_to(trained(optimizer, ours, training()), expected(solvers, training()))


@FOREACH
def test_groups_keep_their_own_options(foreach: bool | None) -> None:
    choices: list[dict[str, Any]] = [
        {},
        {"beta1": 0.5, "weight_decay": 0.1},
        {"beta2": 0.9, "eps": 1e-2, "phi_high": 0.5},
        {"bias_correction": False, "decay_in_ratio": False, "weight_decay": 0.1},
        {"layerwise": False, "weight_decay": 0.02},
    ]
    factors = [1.0, 2.0, 0.1, 3.0, 0.5]
    ours = parameters()
    groups = [
        {"params": ours[index :: len(choices)], "rate_factor": factor, **choice}
        for index, (choice, factor) in enumerate(zip(choices, factors, strict=True))
    ]
    solvers = [Lamb(**choices[layer % len(choices)]) for layer in range(len(LAYERS))]
    rate_factors = [factors[layer % len(choices)] for layer in range(len(LAYERS))]
    assert_equal_to(
        trained(LAMB(groups, lr=0.0, foreach=foreach), ours, training()),
        expected(solvers, training(), rate_factors),
    )


@FOREACH
def test_large_layers_between_small_ones_equal_the_slow_reference(foreach: bool | None) -> None:
    steps = training(LARGE_LAYERS, num_steps=5)
    ours = parameters(layers=LARGE_LAYERS)
    optimizer = LAMB(ours, lr=0.0, weight_decay=0.05, foreach=foreach)
    solvers = [Lamb(weight_decay=0.05) for _ in LARGE_LAYERS]
    assert_equal_to(trained(optimizer, ours, steps), expected(solvers, steps))


@FOREACH
def test_the_first_step_by_hand(foreach: bool | None) -> None:
    # t = 1: m' = g, v' = g^2, so u = sign(g) + wd w = (1 + 0.3, 0 + 0.4); |w| = 5; |u| = sqrt(1.85).
    weight = torch.nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))
    optimizer = LAMB([weight], lr=0.1, weight_decay=0.1, eps=1e-300, foreach=foreach)
    weight.grad = torch.tensor([2.0, 0.0], dtype=torch.float64)
    optimizer.step()
    ratio = 5 / 1.85**0.5
    assert weight.tolist() == pytest.approx([3 - 0.1 * ratio * 1.3, 4 - 0.1 * ratio * 0.4], rel=1e-14)
