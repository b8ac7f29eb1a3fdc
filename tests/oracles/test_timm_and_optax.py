"""LARS and LAMB against timm and optax: 100 steps with a changing learning rate in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tests.oracles.layers import (
    LAYERS_WITH_NUMBERS,
    OptimizerSteps,
    assert_equal_to,
    parameters,
    random_weights,
    trained,
    training,
    values,
)
from tests.oracles.reference import Array
from tests.oracles.solvers import FOREACH
from zerotune.trainers.optimizers import LAMB, LARS

NESTEROV = pytest.mark.parametrize("nesterov", [False, True])
WEIGHT_DECAY = pytest.mark.parametrize("weight_decay", [0.0, 0.05])
ETA = 0.02


def optax_weights(build: Callable[[Callable[[Any], Any]], Any], steps: OptimizerSteps) -> list[Array]:
    """Return the values of `random_weights` after the steps of the optimizer that `build` makes from a schedule."""
    import jax
    import jax.numpy as jnp
    import optax

    schedule = jnp.asarray(steps.rates)
    solver = build(lambda count: schedule[count])
    weights = [jnp.asarray(weight) for weight in random_weights(steps.layers)]
    assert all(weight.dtype == jnp.float64 for weight in weights)
    state = solver.init(weights)

    @jax.jit
    def step(weights: Any, state: Any, gradients: Any) -> Any:
        updates, state = solver.update(gradients, state, weights)
        return optax.apply_updates(weights, updates), state

    for layer_gradients in steps.gradients:
        weights, state = step(weights, state, [jnp.asarray(gradient) for gradient in layer_gradients])
    return [np.asarray(weight) for weight in weights]


@FOREACH
@NESTEROV
@WEIGHT_DECAY
def test_the_papers_form_of_lars_is_timms_with_the_rate_in_the_trust_coefficient(
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
@WEIGHT_DECAY
@pytest.mark.parametrize("larc_clip", [False, True])
def test_torchs_form_of_lars_and_larc_are_timms(
    timm_lars: Callable[..., Any], foreach: bool | None, nesterov: bool, larc_clip: bool, weight_decay: float
) -> None:
    theirs, ours = parameters(), parameters()
    common = {"lr": 0.0, "momentum": 0.9, "weight_decay": weight_decay, "nesterov": nesterov}
    oracle = timm_lars(theirs, trust_coeff=ETA, eps=0.0, trust_clip=larc_clip, always_adapt=True, **common)
    optimizer = LARS(ours, trust_coefficient=ETA, lr_in_buffer=False, larc_clip=larc_clip, foreach=foreach, **common)
    assert_equal_to(trained(optimizer, ours, training()), trained(oracle, theirs, training()))


@FOREACH
@NESTEROV
def test_lars_without_decay_is_optaxs(optax: Any, foreach: bool | None, nesterov: bool) -> None:
    theirs = optax_weights(
        lambda rate: optax.lars(rate, trust_coefficient=ETA, momentum=0.9, nesterov=nesterov), training()
    )
    ours = parameters()
    optimizer = LARS(ours, lr=0.0, trust_coefficient=ETA, nesterov=nesterov, foreach=foreach)
    assert_equal_to(trained(optimizer, ours, training()), theirs)


@FOREACH
@WEIGHT_DECAY
@pytest.mark.parametrize("bias_correction", [False, True])
def test_lamb_is_timms(
    timm_lamb: Callable[..., Any], foreach: bool | None, bias_correction: bool, weight_decay: float
) -> None:
    theirs, ours = parameters(), parameters()
    common = {"lr": 0.0, "bias_correction": bias_correction, "weight_decay": weight_decay}
    oracle = timm_lamb(theirs, max_grad_norm=None, always_adapt=True, **common)
    optimizer = LAMB(ours, foreach=foreach, **common)
    assert_equal_to(trained(optimizer, ours, training()), trained(oracle, theirs, training()))


@FOREACH
@WEIGHT_DECAY
def test_lamb_is_optaxs(optax: Any, foreach: bool | None, weight_decay: float) -> None:
    theirs = optax_weights(lambda rate: optax.lamb(rate, weight_decay=weight_decay), training())
    ours = parameters()
    optimizer = LAMB(ours, lr=0.0, weight_decay=weight_decay, foreach=foreach)
    assert_equal_to(trained(optimizer, ours, training()), theirs)
