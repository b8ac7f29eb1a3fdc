"""Steps of an optax optimizer over NumPy weights."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.oracles.layers import OptimizerSteps, random_weights
from tests.oracles.reference import Array


def optax_weights(
    build: Callable[[Callable[[Any], Any]], Any],
    steps: OptimizerSteps,
) -> list[Array]:
    """Return the values of `random_weights` after the steps.

    Args:
        build: makes the optimizer from a schedule, step (from 0) -> learning rate.
        steps: learning rates and gradients.
    """
    import jax
    import jax.numpy as jnp
    import optax

    schedule = jnp.asarray(steps.rates)
    solver = build(lambda count: schedule[count])
    values = [jnp.asarray(weight) for weight in random_weights(steps.layers)]
    assert all(value.dtype == jnp.float64 for value in values)
    state = solver.init(values)

    @jax.jit
    def step(values: Any, state: Any, gradients: Any) -> Any:
        updates, state = solver.update(gradients, state, values)
        return optax.apply_updates(values, updates), state

    for layer_gradients in steps.gradients:
        values, state = step(values, state, [jnp.asarray(gradient) for gradient in layer_gradients])
    return [np.asarray(value) for value in values]
