"""Functions that every worker of a test calls, in a module that the other workers can import."""

import os
import signal

import torch

from zerotune.trainers.distributed.data_parallel import ProcessGroup
from zerotune.trainers.loop import Training
from zerotune.trainers.spec import Placement, TrainConfig


def same_bits(process_group: ProcessGroup, device: str, config: TrainConfig) -> bool:
    """Train, and return whether all workers have rank 0's weights bit for bit."""
    training = Training(config, Placement(device=device), process_group)
    while not training.finished and (process_group.is_rank_zero or training.wait_for_rank_zero()):
        training.run_epoch()
    weights = torch.cat([parameter.detach().reshape(-1) for parameter in training.model.parameters()])
    return process_group.all_equal(weights.double().tolist(), torch.device(device))


def fails(process_group: ProcessGroup, device: str, *arguments: object) -> None:
    """Raise an error."""
    raise OSError("no room is left on this disk")


def is_killed(process_group: ProcessGroup, device: str, *arguments: object) -> None:
    """End this process without a report."""
    os.kill(os.getpid(), signal.SIGKILL)


def one_fails(process_group: ProcessGroup, device: str, rank: int) -> None:
    """Raise an error on one worker while the others wait for it."""
    if process_group.rank == rank:
        raise ValueError("its own fault")
    process_group.all_reduce_sum(torch.zeros((), device=device))
