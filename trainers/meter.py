"""What a training costs on this machine: floating-point operations, memory, and the device it held."""

import platform
import resource
import sys
import time
import warnings
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from trainers.applications.application import Application, Split

SAMPLES_COUNTED = 2
"""Batch of the counted step; two, since batch normalisation refuses one."""

_flops_by_workload: dict[tuple[object, ...], int] = {}


def training_flops_per_sample(application: Application, split: Split) -> int:
    """Floating-point operations of one forward and backward pass, a sample; a multiply-add counts as two.

    Matrix products and convolutions count (torch's FlopCounterMode), element-wise operations and the optimizer's step
    do not. The step is run on the CPU, once a process for each application and sample shape, and leaves torch's
    random state as it was.

    Args:
        application: its model and loss.
        split: at least two samples of it.
    """
    workload = (application.build_model, application.loss, split.inputs.shape[1:])
    if workload not in _flops_by_workload:
        inputs, targets = split.inputs[:SAMPLES_COUNTED].cpu(), split.targets[:SAMPLES_COUNTED].cpu()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # switching oneDNN off and on speaks of its TF32
            _flops_by_workload[workload] = _count(application, inputs, targets) // len(targets)
    return _flops_by_workload[workload]


def _count(application: Application, inputs: Tensor, targets: Tensor) -> int:
    """Operations of one step. oneDNN's fused LSTM is one operator, which counts as nothing: it is switched off."""
    with torch.backends.mkldnn.flags(enabled=False), torch.random.fork_rng(devices=[]):
        model = application.build_model()
        with FlopCounterMode(display=False) as counter:
            application.loss(model(inputs), targets).backward()  # type: ignore[no-untyped-call]
    return int(counter.get_total_flops())


def peak_memory_bytes(device: torch.device) -> int:
    """The largest amount of memory held so far: by this process (CPU), or of the device by torch (CUDA)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def device_model(device: str) -> str:
    """The maker's name of a device ("cpu", "cuda:0"), such as "AMD EPYC 7763 64-Core Processor"."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    cpu_facts = Path("/proc/cpuinfo")
    if cpu_facts.is_file():
        for line in cpu_facts.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def seconds_per_sample(application: Application, split: Split, batch_size: int) -> float:
    """Seconds of one CPU thread for a sample's forward and backward pass at this batch size, measured here and now.

    Args:
        application: gives model and loss.
        split: samples to measure with.
        batch_size: samples a step, 1 .. number of samples.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            model = application.build_model()
        inputs, targets = split.inputs[:batch_size], split.targets[:batch_size]
        steps = max(1, 2048 // batch_size)
        seconds = 0.0
        for warm in (False, True):  # the first round pays for memory and for oneDNN's choices
            begin = time.perf_counter()
            for _ in range(steps if warm else 1):
                application.loss(model(inputs), targets).backward()  # type: ignore[no-untyped-call]
            seconds = (time.perf_counter() - begin) / (steps if warm else 1)
        return seconds / len(targets)
    finally:
        torch.set_num_threads(threads)
