"""The fastest micro-batch size of a training, measured on its device.

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
"""Smallest size that is tried, unless sizes must be multiples of something else."""
AS_FAST = 1.05
"""A larger size is preferred to one that is faster by less than this factor."""
REPEATS = 2

_found: dict[tuple[str, int, torch.device], int] = {}
"""The fastest sizes found in this process, by workload, number of samples and device."""


def find_micro_batch_size(config: TrainConfig, keys: Tensor, data: Split, model: nn.Module, loss: Loss) -> int:
    """Find the micro-batch size that is fastest for a training; measured once in a process.

    The schedule, seed and epochs of the configuration do not matter. `keys` are those of the samples of an update on
    this worker, (B,). The model is on its device and left as it is.
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
    """Measure which micro-batch size takes the least time a sample, of those that fit into the device's memory.

    Sizes are tried in ascending order, so that memory runs out once at most. On a CPU it must not run out, since the
    system would kill the process, and memory once held is kept. So a size is not tried there if it would need more than
    this process's part of the memory, extrapolated from smaller sizes. Memory kept from earlier trainings is released
    before, so that the extrapolation sees it.

    Args:
        compute: runs the forward and backward pass of so many samples.
        batch_size: B, the largest size.
        multiple_of: sizes below B are multiples of this; None if any size will do.
        device: device whose time is measured.

    Raises:
        Exception: an out-of-memory error (`trainers.memory.is_out_of_memory`): not even the smallest size fits.
    """
    found: dict[int, float] = {}
    budget = math.inf
    if device.type == "cpu":
        release_freed_memory()
        budget = memory_budget_bytes()
    before = resident_bytes()
    bytes_per_sample = 0.0
    for size in _sizes(batch_size, multiple_of):
        if found and before + bytes_per_sample * size > budget:
            break
        try:
            found[size] = _seconds(compute, size, device) / size
        except Exception as error:
            if not found or not is_out_of_memory(error):
                raise
            break
        bytes_per_sample = (resident_bytes() - before) / size
    fastest = min(found.values())
    return max(size for size, seconds in found.items() if seconds <= AS_FAST * fastest)


def _sizes(batch_size: int, multiple_of: int | None) -> Iterator[int]:
    """Yield the sizes to try in ascending order, the whole batch last."""
    size = multiple_of or SMALLEST
    if multiple_of is not None:
        size *= math.ceil(SMALLEST / multiple_of)
    while size < batch_size:
        yield size
        size *= 2
    yield batch_size


def _seconds(compute: Callable[[int], None], size: int, device: torch.device) -> float:
    compute(size)  # warm-up: memory is allocated and kernels are chosen
    synchronize(device)
    begin = time.perf_counter()
    for _ in range(REPEATS):
        compute(size)
    synchronize(device)
    return (time.perf_counter() - begin) / REPEATS


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that it was given; no effect on a CPU, which has done it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
