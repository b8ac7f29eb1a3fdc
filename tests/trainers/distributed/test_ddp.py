"""`scale_up` under torch's DistributedDataParallel: two processes, each with half of every batch."""

import functools
from typing import Any

import pytest
import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from tests.trainers.distributed.trainings import NEEDS_GLOO
from tests.two_processes import call_in_two_processes
from zerotune.trainers.data.mnist5k import MNIST5K
from zerotune.trainers.models.lenet import LeNet5
from zerotune.trainers.scale_up import scale_up
from zerotune.trainers.spec import Baseline, OptimizerSpec, ScheduleSpec

pytestmark = NEEDS_GLOO
NUM_SAMPLES, GLOBAL_BATCH_SIZE, EPOCHS = 400, 80, 2
OPTIMIZERS = ("momentum", "lars", "date")


@functools.cache
def samples() -> tuple[Tensor, Tensor]:
    """Return float64 images (NUM_SAMPLES, 1, 28, 28) of all digits in mixed order, and their labels."""
    train = MNIST5K.load(None).train
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(1))[:NUM_SAMPLES]
    return train.inputs[chosen].double(), train.targets[chosen]


def weights_after_training(optimizer_name: str, *, rank: int, world_size: int, wrapped: bool) -> dict[str, Tensor]:
    """Train in float64 as one of `world_size` processes, on the samples rank::world_size of each batch.

    Args:
        optimizer_name: the baseline's.
        rank: of this process.
        world_size: number of processes; 1 trains without any communication.
        wrapped: whether `scale_up` is given the DistributedDataParallel module, not the one inside.
    """
    torch.manual_seed(0)
    model: nn.Module = LeNet5().double()
    replica = DistributedDataParallel(model) if world_size > 1 else model
    baseline = Baseline(
        batch_size=20,
        schedule=ScheduleSpec(peak_lr=0.004, warmup_epochs=0.25),
        optimizer=OptimizerSpec(name=optimizer_name, options={"weight_decay": 1e-3}),
    )
    optimizer, scheduler = scale_up(
        replica if wrapped else model,
        baseline,
        rule="date",
        global_batch_size=GLOBAL_BATCH_SIZE,
        num_samples=NUM_SAMPLES,
        epochs=EPOCHS,
    )
    inputs, targets = samples()
    for batch in torch.arange(NUM_SAMPLES).repeat(EPOCHS).split(GLOBAL_BATCH_SIZE):
        share = batch[rank::world_size]
        optimizer.zero_grad()
        cross_entropy(replica(inputs[share]), targets[share]).backward()
        optimizer.step()
        scheduler.step()
    return model.state_dict()


def process(rank: int, world_size: int, folder: str) -> None:
    """Train every case as one of the processes, and write the weights."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world_size
    )
    learned = {
        (name, wrapped): weights_after_training(name, rank=rank, world_size=world_size, wrapped=wrapped)
        for name in OPTIMIZERS
        for wrapped in (True, False)
    }
    torch.save(learned, f"{folder}/learned{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> list[dict[Any, dict[str, Tensor]]]:
    """Return the weights after training by rank, then by optimizer and whether `scale_up` had the wrapped module."""
    folder = tmp_path_factory.mktemp("ddp")
    call_in_two_processes(process, 2, str(folder))
    return [torch.load(folder / f"learned{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("wrapped", [True, False], ids=["wrapped", "inner"])
@pytest.mark.parametrize("optimizer_name", OPTIMIZERS)
def test_two_processes_with_half_of_every_batch_train_what_one_trains(
    learned: list[dict[Any, dict[str, Tensor]]], optimizer_name: str, wrapped: bool
):
    expected = weights_after_training(optimizer_name, rank=0, world_size=1, wrapped=False)
    for rank in range(2):
        torch.testing.assert_close(learned[rank][optimizer_name, wrapped], expected, rtol=1e-9, atol=1e-12)


def test_the_weights_of_all_processes_stay_identical(learned: list[dict[Any, dict[str, Tensor]]]):
    torch.testing.assert_close(learned[0], learned[1], rtol=0, atol=0)
