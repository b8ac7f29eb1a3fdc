"""What every worker of a gang does in a test; in a module of its own, which the other workers import too."""

import os
import signal

import torch

from zerotune.trainers.distributed.data_parallel import Gang
from zerotune.trainers.loop import Training
from zerotune.trainers.spec import Placement, TrainConfig


def same_bits(gang: Gang, device: str, config: TrainConfig) -> bool:
    """Trains, and says whether all workers have the leader's weights, to the bit."""
    training = Training(config, Placement(device=device), gang)
    while not training.finished and (gang.leads or training.hears_to_go_on()):
        training.run_epoch()
    weights = torch.cat([parameter.detach().reshape(-1) for parameter in training.model.parameters()])
    return gang.agrees(weights.double().tolist(), torch.device(device))


def fails(gang: Gang, device: str, *arguments: object) -> None:
    """A part that raises."""
    raise OSError("no room is left on this disk")


def is_killed(gang: Gang, device: str, *arguments: object) -> None:
    """A part that ends without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def one_fails(gang: Gang, device: str, rank: int) -> None:
    """One worker raises, and the others wait for it."""
    if gang.rank == rank:
        raise ValueError("its own fault")
    gang.total(torch.zeros((), device=device))
