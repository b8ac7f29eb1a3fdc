"""Short runs over four small layers, ours and the reference's. Some gradients may be missing."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.oracles.reference import Array
from tests.oracles.solvers import Solver

SHAPES = [(3, 4), (5,), (), (2, 2, 3, 3)]
NUM_STEPS = 12

Step = Sequence[Array | None]
"""One step's gradients; None for a layer without one."""


def random_step(seed: int) -> list[Array]:
    generator = np.random.default_rng(seed)
    return [np.asarray(generator.normal(0.2, 1.0, size=shape)) for shape in SHAPES]


def stepped(
    solver: Solver,
    weights: Sequence[Array],
    steps: Sequence[Step],
    dtype: torch.dtype = torch.float64,
    lr: float = 0.05,
    **options: Any,
) -> list[nn.Parameter]:
    """Return the parameters after our steps."""
    parameters = [nn.Parameter(torch.tensor(weight, dtype=dtype)) for weight in weights]
    optimizer = solver.build(parameters, lr=lr, **options)
    for gradients in steps:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else torch.tensor(gradient, dtype=dtype)
        optimizer.step()
    return parameters


def reference_weights(
    solver: Solver, weights: Sequence[Array], steps: Sequence[Step], lr: float = 0.05, **options: Any
) -> list[Array]:
    """Return the weights after the reference's steps; a layer without a gradient takes no step."""
    new = list(weights)
    for layer, layer_solver in enumerate(solver.reference(**options) for _ in weights):
        for gradients in steps:
            gradient = gradients[layer]
            if gradient is not None:
                new[layer] = layer_solver.step(new[layer], gradient, lr)
    return new
