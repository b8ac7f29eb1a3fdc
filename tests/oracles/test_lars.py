"""LARS against timm, optax and the slow reference: 100 steps with a changing learning rate in float64."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.oracles.layers import (
    LARGE_LAYERS,
    LAYERS,
    LAYERS_WITH_NUMBERS,
    assert_equal_to,
    expected,
    parameters,
    trained,
    training,
    values,
)
from tests.oracles.optax_steps import optax_weights
from tests.oracles.reference import Lars
from zerotune.trainers.optimizers import LARS

FOREACH = pytest.mark.parametrize("foreach", [None, False, True], ids=["fused", "loop", "foreach"])
NESTEROV = pytest.mark.parametrize("nesterov", [False, True])
ETA = 0.02


@FOREACH
@NESTEROV
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_the_papers_form_equals_timm_with_the_rate_in_the_trust_coefficient(
    timm_lars: Callable[..., Any], foreach: bool | None, nesterov: bool, weight_decay: float
) -> None:
    steps = training(LAYERS_WITH_NUMBERS)  # where a norm is 0, timm with lr=1 ignores the rate
    theirs = parameters(layers=LAYERS_WITH_NUMBERS)
    oracle = timm_lars(
        theirs, lr=1.0, momentum=0.9, weight_decay=weight_decay, nesterov=nesterov, eps=0.0, always_adapt=True
    )
    for rate, gradients in zip(steps.rates, steps.fresh_tensors(torch.float64), strict=True):
        oracle.param_groups[0]["trust_coeff"] = ETA * rate
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient
        oracle.step()

    ours = parameters(layers=LAYERS_WITH_NUMBERS)
    optimizer = LARS(ours, lr=0.0, trust_coefficient=ETA, weight_decay=weight_decay, nesterov=nesterov, foreach=foreach)
    assert_equal_to(trained(optimizer, ours, steps), values(theirs))


@FOREACH
@NESTEROV
@pytest.mark.parametrize("larc_clip", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_torchs_form_and_larc_equal_timm_as_it_comes(
    timm_lars: Callable[..., Any], foreach: bool | None, nesterov: bool, larc_clip: bool, weight_decay: float
) -> None:
    theirs = parameters()
    oracle = timm_lars(
        theirs,
        lr=0.0,
        momentum=0.9,
        weight_decay=weight_decay,
        nesterov=nesterov,
        trust_coeff=ETA,
        eps=0.0,
        trust_clip=larc_clip,
        always_adapt=True,
    )
    ours = parameters()
    optimizer = LARS(
        ours,
        lr=0.0,
        trust_coefficient=ETA,
        weight_decay=weight_decay,
        nesterov=nesterov,
        lr_in_buffer=False,
        larc_clip=larc_clip,
        foreach=foreach,
    )
    assert_equal_to(trained(optimizer, ours, training()), trained(oracle, theirs, training()))


@FOREACH
@NESTEROV
def test_without_decay_it_equals_optax(optax: Any, foreach: bool | None, nesterov: bool) -> None:
    theirs = optax_weights(
        lambda rate: optax.lars(rate, trust_coefficient=ETA, momentum=0.9, nesterov=nesterov), training()
    )
    ours = parameters()
    optimizer = LARS(ours, lr=0.0, trust_coefficient=ETA, nesterov=nesterov, foreach=foreach)
    assert_equal_to(trained(optimizer, ours, training()), theirs)


@FOREACH
@NESTEROV
@pytest.mark.parametrize("lr_in_buffer", [False, True])
@pytest.mark.parametrize("larc_clip", [False, True])
@pytest.mark.parametrize("layerwise", [False, True])
def test_every_option_equals_the_slow_reference(
    foreach: bool | None, nesterov: bool, lr_in_buffer: bool, larc_clip: bool, layerwise: bool
) -> None:
    options: dict[str, Any] = {
        "momentum": 0.8,
        "weight_decay": 0.03,
        "trust_coefficient": ETA,
        "nesterov": nesterov,
        "lr_in_buffer": lr_in_buffer,
        "larc_clip": larc_clip,
    }
    ours = parameters()
    optimizer = LARS([{"params": ours, "layerwise": layerwise}], lr=0.0, foreach=foreach, **options)
    solvers = [Lars(**options, layerwise=layerwise) for _ in LAYERS]
    assert_equal_to(trained(optimizer, ours, training()), expected(solvers, training()))


@FOREACH
def test_groups_keep_their_own_options(foreach: bool | None) -> None:
    choices: list[dict[str, Any]] = [
        {"momentum": 0.0},
        {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True},
        {"trust_coefficient": 0.3, "lr_in_buffer": False},
        {"trust_coefficient": 0.3, "larc_clip": True, "weight_decay": 1e-3},
        {"layerwise": False, "weight_decay": 0.02},
    ]
    factors = [1.0, 2.0, 0.1, 3.0, 0.5]
    ours = parameters()
    groups = [
        {"params": ours[index :: len(choices)], "rate_factor": factor, **choice}
        for index, (choice, factor) in enumerate(zip(choices, factors, strict=True))
    ]
    solvers = [Lars(**choices[layer % len(choices)]) for layer in range(len(LAYERS))]
    rate_factors = [factors[layer % len(choices)] for layer in range(len(LAYERS))]
    assert_equal_to(
        trained(LARS(groups, lr=0.0, foreach=foreach), ours, training()),
        expected(solvers, training(), rate_factors),
    )


@FOREACH
def test_large_layers_between_small_ones_equal_the_slow_reference(foreach: bool | None) -> None:
    steps = training(LARGE_LAYERS, num_steps=5)
    ours = parameters(layers=LARGE_LAYERS)
    optimizer = LARS(ours, lr=0.0, trust_coefficient=ETA, weight_decay=0.05, foreach=foreach)
    solvers = [Lars(trust_coefficient=ETA, weight_decay=0.05) for _ in LARGE_LAYERS]
    assert_equal_to(trained(optimizer, ours, steps), expected(solvers, steps))


@FOREACH
def test_the_first_momentum_step_is_undamped_by_hand(foreach: bool | None) -> None:
    # |w| = 5, |g| = 2, local = 0.1 * 5 / (2 + 0.2 * 5) = 1/6; d = g + 0.2 w = (0.6, 2.8); v = 3 / 6 d = (0.3, 1.4).
    weight = torch.nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))
    optimizer = LARS([weight], lr=3.0, trust_coefficient=0.1, weight_decay=0.2, foreach=foreach)
    weight.grad = torch.tensor([0.0, 2.0], dtype=torch.float64)
    optimizer.step()
    assert weight.tolist() == pytest.approx([2.7, 2.6], rel=1e-14)

    # The rate falls to 0: the velocity (0.3, 1.4) stays and moves the weights by 0.9 times itself.
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.step()
    assert weight.tolist() == pytest.approx([2.43, 1.34], rel=1e-14)
