"""Every solver at the ends of float32's range, in bfloat16 and float16, and with several dtypes in one group."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from tests.oracles.layers import assert_equal_to, bits_differ, values
from tests.oracles.small_runs import random_step, reference_weights, stepped
from tests.oracles.solvers import EVERY_SOLVER, FOREACH, Solver, lars
from zerotune.trainers.optimizers import LARS


@EVERY_SOLVER
@FOREACH
@pytest.mark.parametrize("size", [1e-18, 1e-9, 1e9, 1e18])
def test_gradients_whose_squares_float32_holds_equal_the_reference(
    solver: Solver, foreach: bool | None, size: float
) -> None:
    weights = random_step(0)
    steps = [[size * gradient for gradient in random_step(1 + number)] for number in range(3)]
    actual = values(stepped(solver, weights, steps, torch.float32, foreach=foreach))
    assert_equal_to(actual, reference_weights(solver, weights, steps), tolerance=1e-5)


@EVERY_SOLVER
@FOREACH
@pytest.mark.parametrize("size", [1e-40, 1e-30, 1e25, 1e38])
def test_gradients_whose_squares_leave_float32_spoil_no_other_layer(
    solver: Solver, foreach: bool | None, size: float
) -> None:
    weights = random_step(0)
    steps = [random_step(1 + number) for number in range(3)]
    clean = stepped(solver, weights, steps, torch.float32, foreach=foreach)
    extreme = [[size * np.sign(gradients[0]), *gradients[1:]] for gradients in steps]
    parameters = stepped(solver, weights, extreme, torch.float32, foreach=foreach)
    assert bits_differ(parameters[1:], clean[1:]) == []
    if size < 1:
        assert parameters[0].isfinite().all()


@FOREACH
def test_a_float32_gradient_whose_norm_is_rounded_to_zero_counts_as_zero(foreach: bool | None) -> None:
    # Documented: local is then 1, so the step is lr times the gradient, negligible against the weights.
    parameters = stepped(lars(weight_decay=0.0), [np.ones(3)], [[np.full(3, 1e-30)]], torch.float32, foreach=foreach)
    assert parameters[0].tolist() == [1.0, 1.0, 1.0]
    exact = stepped(lars(weight_decay=0.0), [np.ones(3)], [[np.full(3, 1e-30)]], torch.float64, foreach=foreach)
    assert exact[0].tolist() == pytest.approx([1 - 0.05 * 0.1] * 3)


@EVERY_SOLVER
@FOREACH
def test_bfloat16_equals_the_reference_to_rounding(solver: Solver, foreach: bool | None) -> None:
    steps = [values([torch.tensor(g, dtype=torch.bfloat16) for g in random_step(1 + number)]) for number in range(5)]
    weights = values([torch.tensor(weight, dtype=torch.bfloat16) for weight in random_step(0)])
    parameters = stepped(solver, weights, steps, torch.bfloat16, foreach=foreach)
    assert {parameter.dtype for parameter in parameters} == {torch.bfloat16}
    # Each of 5 steps rounds the weights, the state and the direction by up to half an eps.
    tolerance = 4 * torch.finfo(torch.bfloat16).eps
    assert_equal_to(values(parameters), reference_weights(solver, weights, steps), tolerance)


@FOREACH
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_norms_of_half_precision_neither_overflow_nor_lose_small_terms(
    foreach: bool | None, dtype: torch.dtype
) -> None:
    # |w| = 64 * 100 and |g| = 64 * 200: their squares exceed float16's range, and a bfloat16 sum of 4096 terms stops at
    # 256.
    weight = nn.Parameter(torch.full((4096,), 100.0, dtype=dtype))
    optimizer = LARS([weight], lr=1.0, momentum=0.0, trust_coefficient=1.0, foreach=foreach)
    weight.grad = torch.full((4096,), 200.0, dtype=dtype)
    optimizer.step()  # local = 1/2
    assert weight.unique().tolist() == [0.0]


@EVERY_SOLVER
@FOREACH
def test_layers_of_several_dtypes_in_one_group_are_stepped_as_if_alone(solver: Solver, foreach: bool | None) -> None:
    dtypes = [torch.float32, torch.bfloat16, torch.float64, torch.float32]
    weights, gradients = random_step(0), random_step(1)
    together = [nn.Parameter(torch.tensor(w, dtype=dtype)) for w, dtype in zip(weights, dtypes, strict=True)]
    alone = [nn.Parameter(parameter.detach().clone()) for parameter in together]
    optimizers = [solver.build(together, lr=0.05, foreach=foreach)]
    optimizers += [solver.build([parameter], lr=0.05, foreach=foreach) for parameter in alone]
    for parameter, gradient in zip([*together, *alone], [*gradients, *gradients], strict=True):
        parameter.grad = torch.tensor(gradient, dtype=parameter.dtype)
    for _, optimizer in itertools.product(range(3), optimizers):
        optimizer.step()
    assert bits_differ(together, alone) == []
