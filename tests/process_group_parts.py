"""What every worker of a process group does in a test; in a module of its own, which the other workers import too."""

import os
import signal

import torch

from zerotune.trainers.distributed.data_parallel import ProcessGroup
from zerotune.trainers.loop import Training
from zerotune.trainers.spec import Placement, TrainConfig


def same_bits(process_group: ProcessGroup, device: str, config: TrainConfig) -> bool:
    """Trains, and says whether all workers have the leader's weights, to the bit."""
    training = Training(config, Placement(device=device), process_group)
    while not training.finished and (process_group.is_rank_zero or training.wait_for_rank_zero()):
        training.run_epoch()
    weights = torch.cat([parameter.detach().reshape(-1) for parameter in training.model.parameters()])
    return process_group.all_equal(weights.double().tolist(), torch.device(device))


def fails(process_group: ProcessGroup, device: str, *arguments: object) -> None:
    """A part that raises."""
    raise OSError("no room is left on this disk")


def is_killed(process_group: ProcessGroup, device: str, *arguments: object) -> None:
    """A part that ends without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def one_fails(process_group: ProcessGroup, device: str, rank: int) -> None:
    """One worker raises, and the others wait for it."""
    if process_group.rank == rank:
        raise ValueError("its own fault")
    process_group.all_reduce_sum(torch.zeros((), device=device))
