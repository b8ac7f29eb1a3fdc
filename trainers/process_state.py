"""What one training could leave changed in its process, put back before the next training begins.

A user's model, loss or data set may change torch's defaults, the current folder, environment variables and more, and an
exception may leave a `with` block half open. Every training sets the number of threads itself. This module must not
know what is trained.
"""

import gc
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from threading import current_thread, main_thread
from typing import Any, Final

import numpy as np
import torch
from torch import backends

from .interrupts import ENDING_SIGNALS

Setting = tuple[Callable[[], Any], Callable[[Any], object]]
"""Functions that read and set a setting of the process."""


def _attribute(owner: Any, name: str) -> Setting:
    return partial(getattr, owner, name), partial(setattr, owner, name)


def _is_flushing_denormals() -> bool:
    smallest = torch.tensor(5e-324, dtype=torch.float64, device="cpu")
    return bool(smallest * 1.0 == 0.0)


def _current_cuda_device() -> int:
    is_used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # asking further would initialize CUDA
    return torch.cuda.current_device() if is_used else 0


def _signal_handlers() -> dict[int, Any]:
    """Return the handlers of this process's signals; none outside the main thread, which gets the signals.

    Left out are the time limit's, the one that torch's loaders set once, and those that `trainers.interrupts` keeps.
    """
    if current_thread() is not main_thread():
        return {}
    fixed = {signal.SIGKILL, signal.SIGSTOP, signal.SIGALRM, signal.SIGCHLD, *ENDING_SIGNALS}
    return {number: signal.getsignal(number) for number in signal.valid_signals() - fixed}


def _set_signal_handlers(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) != handler:  # None was not set by Python
            signal.signal(number, handler)


def _set_environment(variables: dict[str, str]) -> None:
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)


_PRECISIONS: Final = (
    *((backends, backends.cuda.matmul, backends.cudnn, backends.mkldnn)),
    *(getattr(owner, part) for owner in (backends.cudnn, backends.mkldnn) for part in ("conv", "rnn")),
    getattr(backends.mkldnn, "matmul"),  # noqa: B009  # typed for some versions of torch only
)

_SETTINGS: Final[Sequence[Setting]] = (
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (
        lambda: (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()),
        lambda flags: torch.use_deterministic_algorithms(flags[0], warn_only=flags[1]),
    ),
    _attribute(torch.utils.deterministic, "fill_uninitialized_memory"),
    (
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda flags: torch.autograd.set_detect_anomaly(*flags),
    ),
    (_is_flushing_denormals, torch.set_flush_denormal),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    *(_attribute(backends.cudnn, name) for name in ("allow_tf32", "enabled", "benchmark", "deterministic")),
    *(
        _attribute(backends.cuda.matmul, f"allow_{name}")
        for name in ("tf32", "fp16_reduced_precision_reduction", "bf16_reduced_precision_reduction")
    ),
    (backends.cuda.flash_sdp_enabled, backends.cuda.enable_flash_sdp),
    (backends.cuda.mem_efficient_sdp_enabled, backends.cuda.enable_mem_efficient_sdp),
    (backends.cuda.math_sdp_enabled, backends.cuda.enable_math_sdp),
    (backends.cuda.cudnn_sdp_enabled, backends.cuda.enable_cudnn_sdp),
    *(_attribute(owner, "fp32_precision") for owner in _PRECISIONS),  # after the older names of the same settings
    (_current_cuda_device, torch.cuda.set_device),
    (np.geterr, lambda errors: np.seterr(**errors)),
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (gc.isenabled, lambda enabled: gc.enable() if enabled else gc.disable()),
    *(_attribute(sys, name) for name in ("stdout", "stderr")),
    (os.getcwd, os.chdir),
    (lambda: dict(os.environ), _set_environment),
    (_signal_handlers, _set_signal_handlers),
)


def _read(setting: Setting) -> Any:
    """Return a setting's value; None if it has none, such as a current folder that was removed."""
    with suppress(RuntimeError, OSError):  # torch refuses to read a precision that two of its interfaces have set
        return setting[0]()
    return None


class ProcessState:
    """The state of this process now, which `restore` puts back, once."""

    def __init__(self) -> None:
        _leave_autocast()
        self._device = torch.get_default_device()
        self._values = [_read(setting) for setting in _SETTINGS]
        self._random_states = random.getstate(), np.random.get_state(), torch.get_rng_state()
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()

    def restore(self) -> None:
        """Put back all that has changed since."""
        self._warnings.__exit__(None, None, None)
        _leave_autocast()
        if torch.is_inference_mode_enabled():
            _never_left.append(torch.inference_mode(mode=False))
            _never_left[-1].__enter__()
        if torch.get_default_device() != self._device:
            torch.set_default_device(None if self._device.type == "cpu" else self._device)
        if (entered := torch.get_default_device()) != self._device:
            entered.__exit__(None, None, None)  # a device is a block too, which nobody left
        for setting, value in zip(_SETTINGS, self._values, strict=True):
            if value is not None and _read(setting) != value:
                with suppress(OSError):  # the former folder was removed
                    setting[1](value)
        random.setstate(self._random_states[0])
        np.random.set_state(self._random_states[1])
        torch.set_rng_state(self._random_states[2])


_never_left: list[torch.inference_mode] = []
"""Blocks entered against an inference mode that nobody left."""


def _leave_autocast() -> None:
    """Leave the autocast blocks that nobody left; inside one, torch would keep weights as it cast them first."""
    if _autocast_depth() != 0:
        gc.collect()  # a generator that waits inside a block leaves it when it is freed
    while _autocast_depth() > 0:
        torch.autocast_decrement_nesting()
    while _autocast_depth() < 0:
        torch.autocast_increment_nesting()
    for device in ("cpu", "cuda"):
        if torch.is_autocast_enabled(device):
            torch.set_autocast_enabled(device, False)
            torch.clear_autocast_cache()


def _autocast_depth() -> int:
    depth = torch.autocast_increment_nesting() - 1
    torch.autocast_decrement_nesting()
    return depth


@contextmanager
def keep_process_state() -> Iterator[None]:
    """Put back after the block what it changed in the process."""
    state = ProcessState()
    try:
        yield
    finally:
        state.restore()


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread of torch, so that sums are added in the same order on every machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
