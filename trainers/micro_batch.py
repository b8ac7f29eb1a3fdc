"""How large the pieces should be that a batch is computed in, found by trying them on the device.

This module must not know schedules, optimizers or epochs.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from .checkpoint import config_fingerprint
from .data import Split
from .evaluation import reset_state
from .memory import is_out_of_memory, memory_budget_bytes, release_freed_memory, resident_bytes
from .recipe import Loss, add_gradient, make_forward
from .sampling import random_stream
from .spec import ScheduleSpec, TrainConfig

SMALLEST = 16
"""Samples of the smallest piece that is tried, where nothing else is asked for."""
AS_FAST = 1.05
"""A larger piece is preferred to one that is faster by less than this factor."""
REPEATS = 2

_found: dict[tuple[str, int, torch.device], int] = {}
"""What was found fastest in this process, by workload, samples and device."""


def find_micro_batch_size(config: TrainConfig, keys: Tensor, data: Split, model: nn.Module, loss: Loss) -> int:
    """The micro-batch size that is fastest for a training, found once a process.

    Args:
        config: of the training; schedule, seed and epochs do not matter.
        keys: of the samples that an update takes here, `fastest_micro_batch_size`'s B.
        data: the training samples.
        model: on its device; left as it is.
        loss: that training minimises.
    """
    device = next(model.parameters()).device
    workload = config_fingerprint(replace(config, schedule=ScheduleSpec(peak_lr=1.0), seed=0, epochs=1))
    if (workload, len(keys), device) not in _found:
        copied = copy.deepcopy(model).train()
        forward = make_forward(config.recipe.precision, device, copied)

        def compute(size: int) -> None:
            reset_state(copied)
            copied.zero_grad(set_to_none=True)
            add_gradient(forward, loss, data.batches([keys[:size]]), num_samples=size)

        with random_stream(config.seed, "micro-batch size", device):
            _found[workload, len(keys), device] = fastest_micro_batch_size(
                compute, batch_size=len(keys), multiple_of=config.recipe.ghost_batch_size, device=device
            )
    return _found[workload, len(keys), device]


def fastest_micro_batch_size(
    compute: Callable[[int], None], *, batch_size: int, multiple_of: int | None, device: torch.device
) -> int:
    """The number of samples at once that takes the least time a sample, of those that fit into the device's memory.

    Pieces are tried from small to large, so that memory runs out once at most. On a CPU it must not: the system would
    end the process, and what was held once is kept. So none is tried there that would need more than the process's part
    of the memory, by what smaller ones took; what was kept of earlier trainings is given back before, so that it shows.

    Args:
        compute: forward and backward pass of so many samples.
        batch_size: B, the largest number of interest.
        multiple_of: pieces smaller than the batch are multiples of this; None where any size will do.
        device: what the time is taken of.

    Raises:
        Exception: that memory could not be had (`trainers.memory.is_out_of_memory`): not even the smallest piece fits.
    """
    found: dict[int, float] = {}
    for_one = math.inf
    if device.type == "cpu":
        release_freed_memory()
        for_one = memory_budget_bytes()
    before = resident_bytes()
    a_sample = 0.0
    for size in _sizes(batch_size, multiple_of):
        if found and before + a_sample * size > for_one:
            break
        try:
            found[size] = _seconds(compute, size, device) / size
        except Exception as error:
            if not found or not is_out_of_memory(error):
                raise
            break
        a_sample = (resident_bytes() - before) / size
    fastest = min(found.values())
    return max(size for size, seconds in found.items() if seconds <= AS_FAST * fastest)


def _sizes(batch_size: int, multiple_of: int | None) -> Iterator[int]:
    """Pieces to try, ascending, the whole batch last."""
    size = multiple_of or SMALLEST
    if multiple_of is not None:
        size *= math.ceil(SMALLEST / multiple_of)
    while size < batch_size:
        yield size
        size *= 2
    yield batch_size


def _seconds(compute: Callable[[int], None], size: int, device: torch.device) -> float:
    compute(size)  # pays for memory and for choices of kernels
    _wait(device)
    begin = time.perf_counter()
    for _ in range(REPEATS):
        compute(size)
    _wait(device)
    return (time.perf_counter() - begin) / REPEATS


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
