"""An interrupted run resumes bit for bit: state_dict, files, copies and pickles."""

import copy
import io
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from tests.oracles.layers import LAYERS, OptimizerSteps, bits_differ, parameters, train, training
from tests.oracles.solvers import EVERY_SOLVER, FOREACH, Solver

Resume = Callable[[Solver, Optimizer, list[nn.Parameter], bool], tuple[Optimizer, list[nn.Parameter]]]
"""(solver, optimizer, its parameters, foreach) -> the resumed optimizer and its parameters."""

NUM_STEPS = 12


def copied(theirs: list[nn.Parameter]) -> list[nn.Parameter]:
    """Return parameters of the same values and memory layouts."""
    ours = [parameter.detach().clone() for parameter in theirs]
    return [nn.Parameter(values) for values in ours]


def from_state_dict(
    solver: Solver, optimizer: Optimizer, theirs: list[nn.Parameter], foreach: bool | None
) -> tuple[Optimizer, list[nn.Parameter]]:
    ours = copied(theirs)
    resumed = solver.build(ours, lr=123.0, foreach=foreach)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    return resumed, ours


def from_file(
    solver: Solver, optimizer: Optimizer, theirs: list[nn.Parameter], foreach: bool | None
) -> tuple[Optimizer, list[nn.Parameter]]:
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    ours = copied(theirs)
    resumed = solver.build(ours, lr=123.0, foreach=foreach)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    return resumed, ours


def from_deepcopy(
    solver: Solver, optimizer: Optimizer, theirs: list[nn.Parameter], foreach: bool | None
) -> tuple[Optimizer, list[nn.Parameter]]:
    resumed = copy.deepcopy(optimizer)
    return resumed, resumed.param_groups[0]["params"]


def from_pickle(
    solver: Solver, optimizer: Optimizer, theirs: list[nn.Parameter], foreach: bool | None
) -> tuple[Optimizer, list[nn.Parameter]]:
    resumed = pickle.loads(pickle.dumps(optimizer))
    return resumed, resumed.param_groups[0]["params"]


RESUMES: dict[str, Resume] = {
    "state_dict": from_state_dict,
    "file": from_file,
    "deepcopy": from_deepcopy,
    "pickle": from_pickle,
}


@EVERY_SOLVER
@FOREACH
@pytest.mark.parametrize("resume", RESUMES.values(), ids=list(RESUMES))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_resumed_run_goes_on_bit_for_bit(
    solver: Solver, foreach: bool | None, resume: Resume, dtype: torch.dtype
) -> None:
    steps = training(num_steps=NUM_STEPS, calm=True)
    before = OptimizerSteps(LAYERS, steps.rates[:7], steps.gradients[:7])
    theirs = parameters(dtype)
    optimizer = solver.build(theirs, lr=0.0, foreach=foreach)
    train(optimizer, theirs, before)
    resumed, ours = resume(solver, optimizer, theirs, foreach)
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


@EVERY_SOLVER
def test_a_state_dict_is_a_snapshot_of_options_and_state_by_their_names(solver: Solver) -> None:
    weight = nn.Parameter(torch.ones(3))
    optimizer = solver.build([weight], lr=0.25)
    weight.grad = torch.ones(3)
    optimizer.step()
    saved = optimizer.state_dict()
    assert saved["param_groups"][0]["lr"] == 0.25
    assert set(saved["param_groups"][0]) == set(optimizer.param_groups[0])
    assert set(saved["state"].get(0, {})) == set(optimizer.state[weight])
