"""LARS and LAMB against timm and optax: 100 steps with a changing learning rate in float64."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from tests.oracles.layers import (
    LAYERS_WITH_NUMBERS,
    OptimizerSteps,
    parameters,
    random_weights,
    trained,
    training,
    values,
)
from tests.oracles.reference import Array
from tests.oracles.solvers import assert_every_form_equals
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


@NESTEROV
@WEIGHT_DECAY
def test_the_papers_form_of_lars_is_timms_with_the_rate_in_the_trust_coefficient(
    timm_lars: Callable[..., Any], nesterov: bool, weight_decay: float
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

    options = {"trust_coefficient": ETA, "weight_decay": weight_decay, "nesterov": nesterov}
    assert_every_form_equals(values(theirs), steps, partial(LARS, lr=0.0, **options))


@NESTEROV
@WEIGHT_DECAY
@pytest.mark.parametrize("larc_clip", [False, True])
def test_torchs_form_of_lars_and_larc_are_timms(
    timm_lars: Callable[..., Any], nesterov: bool, larc_clip: bool, weight_decay: float
) -> None:
    theirs = parameters()
    common = {"lr": 0.0, "momentum": 0.9, "weight_decay": weight_decay, "nesterov": nesterov}
    oracle = timm_lars(theirs, trust_coeff=ETA, eps=0.0, trust_clip=larc_clip, always_adapt=True, **common)
    build = partial(LARS, trust_coefficient=ETA, lr_in_buffer=False, larc_clip=larc_clip, **common)
    assert_every_form_equals(trained(oracle, theirs, training()), training(), build)


@NESTEROV
def test_lars_without_decay_is_optaxs(optax: Any, nesterov: bool) -> None:
    theirs = optax_weights(
        lambda rate: optax.lars(rate, trust_coefficient=ETA, momentum=0.9, nesterov=nesterov), training()
    )
    assert_every_form_equals(theirs, training(), partial(LARS, lr=0.0, trust_coefficient=ETA, nesterov=nesterov))


@WEIGHT_DECAY
@pytest.mark.parametrize("bias_correction", [False, True])
def test_lamb_is_timms(timm_lamb: Callable[..., Any], bias_correction: bool, weight_decay: float) -> None:
    theirs = parameters()
    common = {"lr": 0.0, "bias_correction": bias_correction, "weight_decay": weight_decay}
    oracle = timm_lamb(theirs, max_grad_norm=None, always_adapt=True, **common)
    assert_every_form_equals(trained(oracle, theirs, training()), training(), partial(LAMB, **common))


@WEIGHT_DECAY
def test_lamb_is_optaxs(optax: Any, weight_decay: float) -> None:
    theirs = optax_weights(lambda rate: optax.lamb(rate, weight_decay=weight_decay), training())
    assert_every_form_equals(theirs, training(), partial(LAMB, lr=0.0, weight_decay=weight_decay))
