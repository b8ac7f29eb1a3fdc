"""LARS, LAMB and DATE step on layers that FSDP2 shards over two processes as on whole layers."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from tests.trainers.distributed.trainings import NEEDS_GLOO
from tests.two_processes import call_in_two_processes
from zerotune.trainers.optimizers import DATE, LAMB, LARS, Layerwise

OPTIMIZERS: dict[str, Callable[[Iterable[nn.Parameter]], Optimizer]] = {
    "lars": lambda params: LARS(params, lr=0.1, weight_decay=1e-2, foreach=True),
    "lars of the older form": lambda params: LARS(params, lr=0.1, lr_in_buffer=False, nesterov=True),
    "lamb": lambda params: LAMB(params, lr=0.1, weight_decay=1e-2),
    "lamb without bias correction": lambda params: LAMB(params, lr=0.1, bias_correction=False),
    "date": lambda params: DATE(params, lr=0.1, base_options={"momentum": 0.8}),
    "dynamic bounds": lambda params: Layerwise(params, lr=0.1, base="adam", ratio="update", bounds="dynamic"),
}
STEPS = 5
pytestmark = NEEDS_GLOO


def model() -> nn.Module:
    """Return layers that two processes cannot split equally, one of them with a single row."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 1), nn.Linear(1, 5)).double()


def whole(tensor: Any) -> Tensor:
    """Return the tensor, gathered if it is sharded."""
    gathered: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return gathered.detach().clone()


def stepped(trained: nn.Module, build: Callable[[Iterable[nn.Parameter]], Optimizer]) -> dict[str, dict[str, Tensor]]:
    """Return a model's weights and optimizer states after some steps."""
    optimizer = build(trained.parameters())
    draw = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        inputs = torch.randn(12, 6, dtype=torch.float64, generator=draw)
        targets = torch.randint(5, (12,), generator=draw)
        optimizer.zero_grad()
        cross_entropy(trained(inputs), targets).backward()
        optimizer.step()
    found = {}
    for name, param in trained.named_parameters():
        states = {key: whole(value) for key, value in optimizer.state[param].items() if isinstance(value, Tensor)}
        found[name] = {"weights": whole(param), **states}
    return found


def process(rank: int, folder: str) -> None:
    """Run one of the two processes: shard every model, train it, and write the results."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    learned = {}
    for name, build in OPTIMIZERS.items():
        cut = model()
        for layer in cut:
            if isinstance(layer, nn.Linear):
                fully_shard(layer, mesh=mesh)
        fully_shard(cut, mesh=mesh)
        learned[name] = stepped(cut, build)
    if rank == 0:
        torch.save(learned, f"{folder}/learned.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, dict[str, Tensor]]]:
    folder: Path = tmp_path_factory.mktemp("sharded")
    call_in_two_processes(process, str(folder))
    found: dict[str, dict[str, dict[str, Tensor]]] = torch.load(folder / "learned.pt")
    return found


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_shards_are_stepped_as_the_whole_layer(name: str, learned: dict[str, dict[str, dict[str, Tensor]]]) -> None:
    expected = stepped(model(), OPTIMIZERS[name])
    for layer, tensors in learned[name].items():
        for key, tensor in tensors.items():
            torch.testing.assert_close(tensor, expected[layer][key], rtol=1e-10, atol=1e-13, msg=f"{layer} {key}")
    first = model().state_dict()["0.weight"]
    assert not torch.equal(learned[name]["0.weight"]["weights"], first)
