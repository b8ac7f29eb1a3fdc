"""What a training costs on this machine: floating-point operations, memory and time, and the device that it uses."""

import platform
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch.utils import flop_counter
from torch.utils._pytree import tree_leaves

from .applications.application import Application, Dataset
from .compiler import bypass_compiler
from .memory import configure_malloc, peak_bytes
from .process_state import keep_process_state
from .recipe import to_fast_memory_format
from .spec import OptionValue

_COUNTING: Any = getattr(flop_counter, "_FlopCounterMode", flop_counter.FlopCounterMode)
"""The class whose `__torch_dispatch__` torch guards from its compiler; an inner class in newer versions."""


def _convolution_backward_flops(
    gradient: list[int],
    inputs: list[int],
    weight: list[int],
    _bias: object,
    _stride: object,
    _padding: object,
    _dilation: object,
    transposed: bool,
    _output_padding: object,
    _groups: int,
    output_mask: list[bool],
    **_: Any,
) -> int:
    """Count the operations of a convolution's gradients: by inputs and by weight, each as many as forward.

    Replaces torch's formula, which ignores groups in the gradient by the weight: it counts a depthwise convolution of
    C channels C times.
    """
    forward: int = flop_counter.conv_flop_count(inputs, weight, gradient, transposed=transposed)
    return forward * (output_mask[0] + output_mask[1])


_FORMULAS = {torch.ops.aten.convolution_backward: _convolution_backward_flops}

_flops_by_workload: dict[tuple[object, ...], int] = {}


def training_flops_per_sample(
    application: Application, data: Dataset, model_options: Mapping[str, OptionValue] = MappingProxyType({})
) -> int:
    """Count the floating-point operations of a sample's forward and backward pass; a multiply-add counts as two.

    Matrix products and convolutions count (torch's FlopCounterMode, with grouped convolutions counted as such).
    Element-wise operations and the optimizer's step do not. The pass is run on the CPU on two typical samples of the
    training split, once in a process for each application, its options and sample shape. Torch's random state is left
    alone.
    """
    inputs, targets = data.train.example_batch()
    shapes = tuple(tensor.shape for tensor in tree_leaves((inputs, targets)))
    options = tuple(sorted(model_options.items()))
    workload = (application.build_model, application.loss, tuple(sorted(data.info.items())), options, shapes)
    if workload not in _flops_by_workload:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # switching oneDNN off and on warns about TF32
            # oneDNN's fused LSTM is one operator, which is not counted: oneDNN is switched off.
            with keep_process_state(), torch.backends.mkldnn.flags(enabled=False):
                model = application.new_model(data.info, model_options)
                bypass_compiler(_COUNTING.__torch_dispatch__)
                with flop_counter.FlopCounterMode(display=False, custom_mapping=_FORMULAS) as counter:
                    application.loss(model(inputs), targets).backward()  # type: ignore[no-untyped-call]
        _flops_by_workload[workload] = int(counter.get_total_flops()) // len(targets)
    return _flops_by_workload[workload]


def peak_memory_bytes(device: torch.device) -> int:
    """Return the peak memory in bytes: of this process (CPU), or of torch on the device (CUDA)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_bytes()


def device_model(device: str) -> str:
    """Return the model name of a device ("cpu", "cuda:0"), such as "AMD EPYC 7763 64-Core Processor"."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    cpu_facts = Path("/proc/cpuinfo")
    if cpu_facts.is_file():
        for line in cpu_facts.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def seconds_per_sample(
    application: Application,
    data: Dataset,
    batch_size: int,
    model_options: Mapping[str, OptionValue] = MappingProxyType({}),
) -> float:
    """Measure the seconds that one CPU thread takes for a sample's forward and backward pass at a batch size.

    Sets glibc's memory settings for the process, as a training does. The data are on the CPU; the batch size is at most
    the number of training samples.
    """
    configure_malloc()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with keep_process_state():
            _, _, keys = data.train.order(0, 1, epochs=1, batch_size=batch_size)
            inputs, targets = next(data.train.batches([keys[:batch_size]]))
            model = to_fast_memory_format(application.new_model(data.info, model_options), inputs)
        steps = max(1, 2048 // batch_size)
        seconds = 0.0
        for warm in (False, True):  # the first round allocates memory and lets oneDNN choose its kernels
            begin = time.perf_counter()
            for _ in range(steps if warm else 1):
                application.loss(model(inputs), targets).backward()  # type: ignore[no-untyped-call]
            seconds = (time.perf_counter() - begin) / (steps if warm else 1)
        return seconds / len(targets)
    finally:
        torch.set_num_threads(threads)
