"""A worker's part in `benchmarks.weak_scaling`, in its own module because every worker's process imports it."""

from typing import Any

import tests.conftest  # noqa: F401  # lets torchvision be imported on a CPU-only torch
from zerotune.trainers.distributed.data_parallel import ProcessGroup
from zerotune.trainers.weak_scaling import ScalingPoint, measure_worker


def part(process_group: ProcessGroup, device: str, *arguments: Any) -> ScalingPoint:
    """Call `trainers.weak_scaling.measure_worker`."""
    return measure_worker(process_group, device, *arguments)
