"""Update times on 1, 2 ... workers of this machine with the same number of samples each: weak scaling.

Updates are those of `trainers.loop.Training`, data included, with and without the exchange of gradients. That tells the
cost of the exchange apart from what workers lose by sharing a machine.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.distributed

from .applications.registry import register_application
from .applications.user_file import ApplicationFile
from .distributed.data_parallel import ProcessGroup
from .distributed.local_workers import local_workers
from .loop import Training
from .memory import configure_malloc
from .micro_batch import synchronize
from .process_state import keep_process_state
from .spec import Placement, TrainConfig

MATRIX_SIZE = 1024
LONGEST_SECONDS = 1.0
"""Sums of gradients are timed at least once, and repeated until this time is over."""


@dataclass(frozen=True, kw_only=True)
class ScalingPoint:
    """Measurements with a number of workers; medians over the rounds.

    Attributes:
        num_workers: P.
        samples: samples of an update, of all workers.
        update_seconds: seconds of an update.
        apart_seconds: seconds of an update without the sum of gradients over the workers.
        sum_seconds: seconds of that sum by itself; 0 for one worker.
        small_sum_seconds: seconds of summing one number over the workers; 0 for one worker.
        num_parameters: parameters of the model.
        flops_per_sample: floating-point operations of a sample's forward and backward pass.
    """

    num_workers: int
    samples: int
    update_seconds: float
    apart_seconds: float
    sum_seconds: float
    small_sum_seconds: float
    num_parameters: int
    flops_per_sample: int

    @property
    def exchange_share(self) -> float:
        """Fraction of an update's time that the exchange of gradients takes, beyond what computation hides."""
        return max(0.0, 1.0 - self.apart_seconds / self.update_seconds)


@dataclass(frozen=True, kw_only=True)
class MachineRates:
    """Peak rates of one worker's device.

    Attributes:
        flops: floating-point operations a second in a product of large float32 matrices.
        bytes: bytes a second in a multiplication in place, each number read and written.
    """

    flops: float
    bytes: float


def measure_scaling(
    config: TrainConfig,
    placement: Placement,
    application: ApplicationFile | None = None,
    *,
    num_workers: int,
    updates: int,
    rounds: int,
) -> ScalingPoint:
    """Time updates with a number of workers on this machine.

    Args:
        config: what to train; its batch size covers all workers.
        placement: placement of rank 0.
        application: file of a user application; None for an application of zerotune's.
        num_workers: P, >= 1.
        updates: updates of a round, >= 1; an epoch must have as many.
        rounds: number of rounds, >= 1, after one for warm-up.

    Raises the errors of `trainers.loop.train`.
    """
    arguments = (config, placement, application, updates, rounds)
    with local_workers(num_workers) as workers:
        return measure_worker(workers.call(placement.device, measure_worker, *arguments), placement.device, *arguments)


@keep_process_state()
def measure_worker(
    process_group: ProcessGroup,
    device: str,
    config: TrainConfig,
    placement: Placement,
    application: ApplicationFile | None,
    updates: int,
    rounds: int,
) -> ScalingPoint:
    """Run one worker's part of `measure_scaling`; every worker measures its own seconds."""
    if application is not None:
        register_application(application)
    training = Training(config, replace(placement, device=device), process_group)
    training.time_updates(1)
    together, apart = [], []
    for _ in range(rounds):
        together.append(training.time_updates(updates) / updates)
        apart.append(training.time_updates(updates, sync_gradients=False) / updates)
    num_parameters = training.result().num_parameters
    return ScalingPoint(
        num_workers=process_group.world_size,
        samples=config.batch_size,
        update_seconds=statistics.median(together),
        apart_seconds=statistics.median(apart),
        sum_seconds=_sum_seconds(process_group, torch.device(device), num_parameters),
        small_sum_seconds=_sum_seconds(process_group, torch.device(device), 1),
        num_parameters=num_parameters,
        flops_per_sample=training.flops_per_sample,
    )


def _sum_seconds(process_group: ProcessGroup, device: torch.device, num_words: int) -> float:
    """Time the sum of `num_words` numbers over the workers, in place like the sum of gradients in an update."""
    if process_group.world_size == 1:
        return 0.0
    words = torch.zeros(num_words, device=device)  # zeros stay zeros, however often they are summed
    torch.distributed.all_reduce(words)  # warm-up
    seconds: list[float] = []
    while True:
        process_group.all_reduce_sum(torch.zeros((), device=device)).item()  # all workers begin together
        begin = time.perf_counter()
        torch.distributed.all_reduce(words)
        synchronize(device)
        seconds.append(time.perf_counter() - begin)
        (is_over,) = process_group.broadcast([float(sum(seconds) > LONGEST_SECONDS)], device)
        if is_over:
            return statistics.median(seconds)


def measure_machine_rates(device_name: str, num_threads: int = 1) -> MachineRates:
    """Measure the peak rates of one worker's device."""
    configure_malloc()
    torch.set_num_threads(num_threads)
    device = torch.device(device_name)
    left, right = (torch.ones(MATRIX_SIZE, MATRIX_SIZE, device=device) for _ in range(2))
    words = torch.ones(2**24, device=device)
    return MachineRates(
        flops=2 * MATRIX_SIZE**3 / _seconds_of(lambda: left @ right, device),
        bytes=8 * words.numel() / _seconds_of(lambda: words.mul_(1.0), device),
    )


def _seconds_of(work: Callable[[], object], device: torch.device) -> float:
    seconds = []
    for _ in range(12):
        begin = time.perf_counter()
        work()
        synchronize(device)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[2:])
