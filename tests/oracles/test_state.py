"""An interrupted run resumes bit for bit: state_dict, files, copies and pickles."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from tests.contracts.optimizer_cases import through_file
from tests.oracles.layers import LAYERS, OptimizerSteps, bits_differ, parameters, train, training
from tests.oracles.solvers import EVERY_SOLVER, FOREACH, Solver

NUM_STEPS = 12


def copied(theirs: list[nn.Parameter]) -> list[nn.Parameter]:
    """Return parameters of the same values and memory layouts."""
    return [nn.Parameter(parameter.detach().clone()) for parameter in theirs]


STATE_COPIES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "state_dict": copy.deepcopy,
    "file": through_file,
}
OPTIMIZER_COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda optimizer: pickle.loads(pickle.dumps(optimizer)),
}


def resume(
    by: str, solver: Solver, optimizer: Optimizer, theirs: list[nn.Parameter], foreach: bool | None
) -> tuple[Optimizer, list[nn.Parameter]]:
    if by in OPTIMIZER_COPIES:
        resumed = OPTIMIZER_COPIES[by](optimizer)
        return resumed, resumed.param_groups[0]["params"]
    ours = copied(theirs)
    resumed = solver.build(ours, lr=123.0, foreach=foreach)
    resumed.load_state_dict(STATE_COPIES[by](optimizer.state_dict()))
    return resumed, ours


@EVERY_SOLVER
@FOREACH
@pytest.mark.parametrize("by", [*STATE_COPIES, *OPTIMIZER_COPIES])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_resumed_run_goes_on_bit_for_bit(solver: Solver, foreach: bool | None, by: str, dtype: torch.dtype) -> None:
    steps = training(num_steps=NUM_STEPS, calm=True)
    before = OptimizerSteps(LAYERS, steps.rates[:7], steps.gradients[:7])
    theirs = parameters(dtype)
    optimizer = solver.build(theirs, lr=0.0, foreach=foreach)
    train(optimizer, theirs, before)
    resumed, ours = resume(by, solver, optimizer, theirs, foreach)
    assert not {id(parameter) for parameter in ours} & {id(parameter) for parameter in theirs}
    train(resumed, ours, steps, from_step=7)
    train(optimizer, theirs, steps, from_step=7)
    assert bits_differ(ours, theirs) == []


@EVERY_SOLVER
def test_a_run_saved_by_the_loop_goes_on_multi_tensor(solver: Solver) -> None:
    steps = training(num_steps=NUM_STEPS, calm=True)
    theirs = parameters(torch.float64)
    optimizer = solver.build(theirs, lr=0.0, foreach=False)
    train(optimizer, theirs, OptimizerSteps(LAYERS, steps.rates[:7], steps.gradients[:7]))
    saved = copy.deepcopy(optimizer.state_dict())
    for group in saved["param_groups"]:
        group["foreach"] = True
    ours = copied(theirs)
    resumed = solver.build(ours, lr=0.0, foreach=True)
    resumed.load_state_dict(saved)
    train(resumed, ours, steps, from_step=7)
    train(optimizer, theirs, steps, from_step=7)
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=1e-13, atol=1e-13)
