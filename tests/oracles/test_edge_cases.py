"""Zero norms; missing, empty, NaN, infinite and shared gradients; groups: every solver, both ways."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.oracles.layers import assert_equal_to, bits_differ, values
from tests.oracles.reference import Array
from tests.oracles.small_runs import NUM_STEPS, random_step, reference_weights, stepped
from tests.oracles.solvers import EVERY_SOLVER, FOREACH, Solver, lamb, layerwise


@EVERY_SOLVER
@FOREACH
@pytest.mark.parametrize("layerwise", [True, False], ids=["layerwise", "plain"])
def test_layers_of_norm_zero_equal_the_reference(solver: Solver, foreach: bool | None, layerwise: bool) -> None:
    zero = np.zeros((3, 4))
    one, two = np.random.default_rng(1).normal(size=(2, 3, 4))
    cases: dict[str, tuple[Array, list[Array]]] = {
        "weights of zero": (zero, [one, two]),
        "no gradient ever": (one, [zero, zero]),
        "nothing at all": (zero, [zero, zero]),
        "no gradient at first": (one, [zero, two]),
        "no gradient in between": (one, [two, zero]),
        "ordinary": (one, [two, one]),
    }
    weights = [weight for weight, _ in cases.values()]
    steps = [[gradients[i % 2] for _, gradients in cases.values()] for i in range(NUM_STEPS)]
    parameters = [nn.Parameter(torch.tensor(weight)) for weight in weights]
    optimizer = solver.build([{"params": parameters, "layerwise": layerwise}], lr=0.05, foreach=foreach)
    for gradients in steps:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = torch.tensor(gradient)
        optimizer.step()
    assert_equal_to(values(parameters), reference_weights(solver, weights, steps, layerwise=layerwise))


@EVERY_SOLVER
@FOREACH
def test_layers_without_gradient_in_some_steps_equal_the_reference(solver: Solver, foreach: bool | None) -> None:
    weights = random_step(0)
    steps: list[list[Array | None]] = []
    for number in range(NUM_STEPS):
        gradients = random_step(1 + number)
        steps.append([g if (number + i) % (i + 1) == 0 else None for i, g in enumerate(gradients)])
    assert_equal_to(values(stepped(solver, weights, steps, foreach=foreach)), reference_weights(solver, weights, steps))


@EVERY_SOLVER
@FOREACH
def test_a_step_without_any_gradient_changes_nothing(solver: Solver, foreach: bool | None) -> None:
    weights = random_step(0)
    parameters = stepped(solver, weights, [[None] * len(weights)] * 3, foreach=foreach)
    assert all(np.array_equal(actual, weight) for actual, weight in zip(values(parameters), weights, strict=True))


@EVERY_SOLVER
@FOREACH
def test_groups_without_parameters_and_layers_without_numbers_are_stepped_over(
    solver: Solver, foreach: bool | None
) -> None:
    alone = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
    among = nn.Parameter(alone.detach().clone())
    nothing = [nn.Parameter(torch.empty(shape)) for shape in ((0,), (3, 0), (0, 2, 2))]
    optimizers = [
        solver.build([alone], lr=0.1, foreach=foreach),
        solver.build([{"params": []}, {"params": [*nothing, among]}, {"params": []}], lr=0.1, foreach=foreach),
    ]
    for _, optimizer in itertools.product(range(3), optimizers):
        for parameter in (alone, among, *nothing):
            parameter.grad = torch.full_like(parameter, 0.5)
        optimizer.step()
    assert bits_differ([among], [alone]) == []
    assert [tuple(parameter.shape) for parameter in nothing] == [(0,), (3, 0), (0, 2, 2)]


@EVERY_SOLVER
@FOREACH
@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_spoils_its_own_layer_and_no_other(
    solver: Solver, foreach: bool | None, poison: float
) -> None:
    weights = random_step(0)
    steps = [random_step(1 + number) for number in range(4)]
    clean = stepped(solver, weights, steps, foreach=foreach)
    for spoilt in range(len(weights)):
        poisoned = [[gradient.copy() for gradient in gradients] for gradients in steps]
        poisoned[1][spoilt][(0,) * poisoned[1][spoilt].ndim] = poison
        parameters = stepped(solver, weights, poisoned, foreach=foreach)
        assert bits_differ(parameters, clean) == [spoilt]
        assert not torch.isfinite(parameters[spoilt]).all()


@EVERY_SOLVER
@FOREACH
def test_nan_reaches_the_weights_of_a_large_layer_wherever_it_stands(solver: Solver, foreach: bool | None) -> None:
    size = 300_001
    for position in (0, size // 2, size - 1):
        large, small = nn.Parameter(torch.ones(size)), nn.Parameter(torch.ones(3))
        optimizer = solver.build([large, small], lr=0.05, foreach=foreach)
        large.grad, small.grad = torch.ones(size), torch.ones(3)
        large.grad[position] = math.nan
        optimizer.step()
        assert large[position].isnan()
        assert small.isfinite().all()


@EVERY_SOLVER
@FOREACH
def test_a_rate_of_zero_leaves_the_weights_as_they_are(solver: Solver, foreach: bool | None) -> None:
    weights = [*random_step(0), np.zeros(3)]
    steps = [[*random_step(1 + number), np.ones(3)] for number in range(3)]
    parameters = stepped(solver, weights, steps, lr=0.0, foreach=foreach)
    assert all(np.array_equal(actual, weight) for actual, weight in zip(values(parameters), weights, strict=True))


@EVERY_SOLVER
@FOREACH
def test_maximize_is_the_reference_on_the_negative_gradient(solver: Solver, foreach: bool | None) -> None:
    weights = random_step(0)
    steps = [random_step(1 + number) for number in range(NUM_STEPS)]
    negative = [[-gradient for gradient in gradients] for gradients in steps]
    assert_equal_to(
        values(stepped(solver, weights, steps, maximize=True, foreach=foreach)),
        reference_weights(solver, weights, negative),
    )


@EVERY_SOLVER
@FOREACH
def test_gradients_that_share_memory_give_what_their_copies_give(solver: Solver, foreach: bool | None) -> None:
    flat = torch.linspace(-1.0, 2.0, 24, dtype=torch.float64)
    shared = [
        torch.tensor(0.5, dtype=torch.float64).expand(3, 4),  # one number for all
        flat[:12].view(3, 4),  # a bucket, as in torch's DDP
        flat[12:].view(3, 4),
        flat[:12].view(3, 4),  # shared with another layer
        flat.view(4, 6)[::2, ::1].reshape(3, 4),
        flat.view(2, 12)[0].view(4, 3).t(),
    ]
    kept = flat.clone()
    ours = [nn.Parameter(torch.tensor(w)) for w in np.random.default_rng(3).normal(size=(len(shared), 3, 4))]
    theirs = [nn.Parameter(parameter.detach().clone()) for parameter in ours]
    optimizers = [solver.build(parameters, lr=0.05, foreach=foreach) for parameters in (ours, theirs)]
    for parameter, copy, gradient in zip(ours, theirs, shared, strict=True):
        parameter.grad, copy.grad = gradient, gradient.contiguous().clone()
    for _, optimizer in itertools.product(range(4), optimizers):
        optimizer.step()
    assert torch.equal(flat, kept)
    assert_equal_to(values(ours), values(theirs), tolerance=1e-14)


@EVERY_SOLVER
@FOREACH
def test_a_group_added_later_starts_its_own_count(solver: Solver, foreach: bool | None) -> None:
    weights = random_step(0)
    parameters = [nn.Parameter(torch.tensor(weight)) for weight in weights]
    optimizer = solver.build(parameters[:2], lr=0.05, foreach=foreach)
    steps: list[list[Array | None]] = []
    for number in range(NUM_STEPS):
        if number == 5:
            optimizer.add_param_group({"params": parameters[2:]})
        gradients = random_step(1 + number)
        steps.append([*gradients[:2], *(gradients[2:] if number >= 5 else [None] * len(gradients[2:]))])
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = torch.tensor(gradient)
        optimizer.step()
    assert_equal_to(values(parameters), reference_weights(solver, weights, steps))


def test_the_reference_bounds_the_ratio_of_norm_zero() -> None:
    raised, lowered = layerwise("sgd", {}, ratio_low=2.0, ratio_high=3.0), layerwise("sgd", {}, ratio_high=0.5)
    assert raised.reference().step(np.zeros(1), np.ones(1), 1.0).tolist() == [-2.0]
    assert lowered.reference().step(np.zeros(1), np.ones(1), 1.0).tolist() == [-0.5]
    unbounded = lamb(weight_decay=0.0, eps=0.0, phi_low=7.0)
    assert unbounded.reference().step(np.zeros(1), np.ones(1), 1.0).tolist() == [-1.0]
