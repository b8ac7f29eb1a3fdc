"""A step that a CUDA graph or a compiled function can capture: no value is read back, the learning rate is a tensor."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.optim.lr_scheduler import LambdaLR
from torch.utils._python_dispatch import TorchDispatchMode

from tests.oracles.layers import LAYERS_WITH_NUMBERS, assert_equal_to, parameters, train, training, values
from tests.oracles.solvers import EVERY_SOLVER, FOREACH, SOLVERS, Solver

READS_BACK = {"aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal", "aten::allclose", "aten::nonzero"}
"""Operators that make the host wait for the device."""

COPIES = {"aten::_to_copy", "aten::copy_"}
"""Operators that may copy values between the host and the device."""


class NothingReadBack(TorchDispatchMode):
    """Raise where the host reads a tensor's value, and count the other operators."""

    def __init__(self) -> None:
        super().__init__()
        self.num_operators = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.name().split(".")[0]
        if name in READS_BACK:
            raise AssertionError(f"{name} reads a value back")
        result = func(*args, **(kwargs or {}))
        if name in COPIES and len({value.device for value in (*args, result) if torch.is_tensor(value)}) > 1:
            raise AssertionError(f"{name} copies between the host and the device")
        self.num_operators += 1
        return result


@EVERY_SOLVER
@FOREACH
@pytest.mark.parametrize("tensor_rate", [False, True], ids=["float rate", "tensor rate"])
def test_a_capturable_step_reads_nothing_back(solver: Solver, foreach: bool | None, tensor_rate: bool) -> None:
    weights = [nn.Parameter(torch.ones(3, 2)), nn.Parameter(torch.zeros(4)), nn.Parameter(torch.tensor(2.0))]
    lr = torch.tensor(0.1) if tensor_rate else 0.1
    optimizer = solver.build(weights, lr=lr, foreach=foreach, capturable=True)
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    with NothingReadBack() as mode:
        for _ in range(3):
            optimizer.step()
    assert mode.num_operators > 0


def test_the_watch_sees_a_value_read_back_or_carried_over() -> None:
    with pytest.raises(AssertionError, match="reads a value back"), NothingReadBack():
        torch.ones(1).item()
    with pytest.raises(AssertionError, match="copies between"), NothingReadBack():
        torch.ones(1, device="meta").copy_(torch.ones(1))


@EVERY_SOLVER
def test_a_capturable_step_runs_on_a_device_whose_values_no_host_can_read(solver: Solver) -> None:
    with FakeTensorMode():
        weights = [nn.Parameter(torch.ones(3, 2, device="cuda")), nn.Parameter(torch.ones((), device="cuda"))]
        optimizer = solver.build(weights, lr=0.1, foreach=True, capturable=True)
        optimizer.param_groups[0]["lr"] = torch.tensor(0.1, device="cuda")  # the constructor would read it once
        for weight in weights:
            weight.grad = torch.ones_like(weight)
        with NothingReadBack():
            for _ in range(3):
                optimizer.step()
    kept = [value for state in optimizer.state.values() for value in state.values() if torch.is_tensor(value)]
    assert {value.device.type for value in [*weights, *kept]} == {"cuda"}


@EVERY_SOLVER
@FOREACH
def test_the_rate_as_a_tensor_gives_what_the_number_gives(solver: Solver, foreach: bool | None) -> None:
    steps = training(LAYERS_WITH_NUMBERS, num_steps=20)
    theirs, ours = parameters(layers=LAYERS_WITH_NUMBERS), parameters(layers=LAYERS_WITH_NUMBERS)
    plain = solver.build(theirs, lr=0.0, foreach=foreach)
    train(plain, theirs, steps)

    rate = torch.zeros((), dtype=torch.float64)
    capturable = solver.build(ours, lr=rate, foreach=foreach, capturable=True)
    for number, gradients in zip(steps.rates, steps.fresh_tensors(torch.float64), strict=True):
        rate.fill_(number)
        for parameter, gradient in zip(ours, gradients, strict=True):
            parameter.grad = gradient
        capturable.step()
    assert_equal_to(values(ours), values(theirs))


@EVERY_SOLVER
@FOREACH
def test_capturable_changes_nothing_in_float32(solver: Solver, foreach: bool | None) -> None:
    steps = training(LAYERS_WITH_NUMBERS, num_steps=20, calm=True)
    results = []
    for capturable in (False, True):
        ours = parameters(torch.float32, LAYERS_WITH_NUMBERS)
        train(solver.build(ours, lr=0.0, foreach=foreach, capturable=capturable), ours, steps)
        results.append(values(ours))
    assert_equal_to(results[1], results[0], tolerance=1e-5)


@EVERY_SOLVER
def test_a_scheduler_sets_the_tensor_in_place(solver: Solver) -> None:
    weight = nn.Parameter(torch.ones(3))
    rate = torch.tensor(0.5)
    optimizer = solver.build([weight], lr=rate, foreach=True, capturable=True)
    scheduler = LambdaLR(optimizer, lambda step: 1 / (1 + step))
    for wanted in (0.5, 0.25):
        assert optimizer.param_groups[0]["lr"].item() == wanted
        weight.grad = torch.ones(3)
        optimizer.step()
        scheduler.step()
    assert torch.is_tensor(optimizer.param_groups[0]["lr"])


COMPILED = ["lars", "lamb", "date", "adamw, limits that move"]
"""A subset, since each takes seconds. Together they have every kind of state and of bounds."""


def train_step(solver: Solver) -> tuple[nn.Module, Tensor, Callable[[Tensor, Tensor], Tensor]]:
    """Return a small model, its learning rate, and a function of one forward, backward and optimizer step."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    rate = torch.tensor(0.05, dtype=torch.float64)
    optimizer = solver.build(model.parameters(), lr=rate, foreach=True, capturable=True)

    def step(inputs: Tensor, targets: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return model, rate, step


@pytest.mark.parametrize("name", ["lars", "adamw, limits that move"])
def test_a_compiled_training_step_is_the_eager_one_to_rounding(name: str) -> None:
    from torch._dynamo.testing import CompileCounterWithBackend  # not at the top: every process of pytest-xdist would

    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    inputs, targets = torch.randn(8, 6, dtype=torch.float64), torch.randn(8, 1, dtype=torch.float64)
    weights, graphs = [], []
    solver = SOLVERS[name]
    for compiled in (False, True):
        model, rate, step = train_step(solver)
        run = torch.compile(step, backend=counter) if compiled else step
        for number in range(8):
            rate.fill_(0.05 / (1 + number))
            run(inputs, targets)
            graphs.append(counter.frame_count)
        weights.append(values(list(model.parameters())))
    assert_equal_to(weights[1], weights[0], tolerance=1e-12)
    assert graphs[-1] > 0
    assert graphs[-1] == graphs[-5], "compiled anew while nothing but the rate changed"


@pytest.mark.parametrize("name", COMPILED)
def test_a_compiled_step_is_one_graph(name: str) -> None:
    torch._dynamo.reset()
    theirs, ours = ([nn.Parameter(torch.ones(4, 3)), nn.Parameter(torch.ones(3))] for _ in range(2))
    eager, compiled = (
        SOLVERS[name].build(weights, lr=torch.tensor(0.1), foreach=True, capturable=True) for weights in (theirs, ours)
    )
    for weight in (*theirs, *ours):
        weight.grad = torch.linspace(-1.0, 2.0, weight.numel()).view_as(weight)
    run = torch.compile(lambda: compiled.step(), fullgraph=True, backend="aot_eager")
    for _ in range(4):
        eager.step()
        run()
    assert_equal_to(values(ours), values(theirs), tolerance=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU: a graph is captured on one")
@EVERY_SOLVER
def test_a_captured_graph_replays_the_eager_steps(solver: Solver) -> None:
    def run(captured: bool) -> list[Any]:
        torch.manual_seed(0)
        weights = [nn.Parameter(torch.randn(64, 32, device="cuda")), nn.Parameter(torch.zeros(32, device="cuda"))]
        rate = torch.tensor(0.0, device="cuda")
        optimizer = solver.build(weights, lr=rate, foreach=True, capturable=True)
        for weight in weights:
            weight.grad = torch.randn_like(weight)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):  # creates the state; the rate is 0
                optimizer.step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        if captured:
            with torch.cuda.graph(graph):
                optimizer.step()
        for number in range(10):
            rate.fill_(0.05 / (1 + number))
            for weight in weights:
                assert weight.grad is not None
                weight.grad.mul_(0.9).add_(0.01)
            if captured:
                graph.replay()
            else:
                optimizer.step()
        torch.cuda.synchronize()
        return values([weight.cpu() for weight in weights])

    assert_equal_to(run(captured=True), run(captured=False), tolerance=1e-5)
