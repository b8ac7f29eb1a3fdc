"""The energy that a device draws, by the machine's own counters: RAPL for processors, NVML for NVIDIA GPUs.

Energy is the difference of two readings:

- CPU: the sum of the processor packages in Linux's powercap tree (`/sys/class/powercap`, Intel and AMD), which covers
  cores, caches and memory controllers. It excludes memory, disks, fans and the power supply's losses.
- CUDA: the board of the GPU with its memory (`nvmlDeviceGetTotalEnergyConsumption`), if the package nvidia-ml-py is
  installed. It excludes the host's processor.

A counter belongs to a device, not to a process: it includes all users of the device, and idle cores. Dividing it among
the trainings that share the device is an estimate for each of them; the sum of their parts is measured. What cannot be
read is None, never zero. This module must not know what a training does.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

POWERCAP = Path("/sys/class/powercap")
MAX_PACKAGE_WATTS = 1000
"""More power than a processor package draws. If it could wrap a counter around between two readings, the counter may
have wrapped more than once, and their difference is meaningless."""


class MeterMissingError(Exception):
    """A device's energy cannot be read; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Counter:
    """One reading of an energy counter.

    Attributes:
        name: name of the counter on its machine.
        microjoules: energy since an unknown time, >= 0.
        range_microjoules: largest value, after which the counter restarts at 0; None if that takes years.
    """

    name: str
    microjoules: int
    range_microjoules: int | None = None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A reading of all counters of a device at the same time.

    Attributes:
        seconds: time of the reading, by a monotonic clock.
        counters: one or more.
    """

    seconds: float
    counters: tuple[Counter, ...]


def read_energy(device: torch.device) -> Reading | None:
    """Read the energy counters of a device; None if there are none to read (`describe_meter` says why)."""
    try:
        return Reading(seconds=time.perf_counter(), counters=tuple(_counters(device)))
    except MeterMissingError:
        return None


def describe_meter(device: str) -> str:
    """Name the energy counters of a device ("cpu", "cuda:0"), or say why there are none: "none: ... cannot be read"."""
    try:
        return ", ".join(counter.name for counter in _counters(torch.device(device)))
    except MeterMissingError as reason:
        return f"none: {reason}"


def joules_between(begin: Reading | None, end: Reading | None) -> float | None:
    """Return the energy that a device drew between two readings, in joules.

    A counter may have wrapped around once.

    Returns:
        The joules; None if a reading or a counter is missing, or if a counter may have wrapped around more than once.

    >>> begin = Reading(seconds=0.0, counters=(Counter(name="package-0", microjoules=900, range_microjoules=1_000),))
    >>> end = Reading(seconds=1e-9, counters=(Counter(name="package-0", microjoules=400, range_microjoules=1_000),))
    >>> joules_between(begin, end)
    0.0005
    """
    if begin is None or end is None or _names(begin) != _names(end):
        return None
    seconds = end.seconds - begin.seconds
    microjoules = 0
    for first, last in zip(begin.counters, end.counters, strict=True):
        wrap = last.range_microjoules
        if wrap is not None and seconds * MAX_PACKAGE_WATTS * 1e6 >= wrap:
            return None
        difference = last.microjoules - first.microjoules
        if difference < 0 and wrap is None:
            return None
        microjoules += difference if difference >= 0 else difference + (wrap or 0)
    return 1e-6 * microjoules


def package_counters(powercap: Path = POWERCAP) -> list[Counter]:
    """Read the energy counter of every processor package of the machine.

    The tree also holds parts of packages (cores, memory) and the whole board (psys), which would count twice. On some
    machines it holds the same package twice (`intel-rapl` and `intel-rapl-mmio`), of which one is read.

    Args:
        powercap: folder of the tree.

    Raises:
        MeterMissingError: there is no package, or one of them cannot be read.
    """
    zones: dict[str, Path] = {}
    try:
        folders = sorted(powercap.iterdir(), key=lambda folder: (len(folder.name), folder.name))
    except OSError as error:
        raise MeterMissingError(f"{powercap}: {error.strerror}") from None
    for folder in folders:
        name = _text(folder / "name") if re.fullmatch(r"[a-z-]+:\d+", folder.name) else ""
        if name.startswith("package"):
            zones.setdefault(name, folder)
    if not zones:
        raise MeterMissingError(f"{powercap} holds no processor package")
    return [
        Counter(
            name=name,
            microjoules=_number(folder / "energy_uj"),
            range_microjoules=_number(folder / "max_energy_range_uj"),
        )
        for name, folder in sorted(zones.items())
    ]


def _counters(device: torch.device) -> Sequence[Counter]:
    if device.type == "cpu":
        return package_counters()
    if device.type == "cuda":
        return [_gpu_counter(torch.cuda.current_device() if device.index is None else device.index)]
    raise MeterMissingError(f"no energy meter of a device of kind {device.type!r} is known")


def _gpu_counter(index: int) -> Counter:
    nvml, handle, name = _gpu(index)
    try:
        return Counter(name=name, microjoules=1000 * int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)))
    except nvml.NVMLError as error:
        raise MeterMissingError(f"NVML cannot read the energy of {name}: {error}") from None


@lru_cache
def _gpu(index: int) -> tuple[Any, Any, str]:
    """Return NVML, its handle of one of torch's GPUs, and that GPU's name; torch's indices are not NVML's."""
    try:
        import pynvml
    except ImportError:
        raise MeterMissingError("the package nvidia-ml-py is not installed") from None
    try:
        pynvml.nvmlInit()
        properties = torch.cuda.get_device_properties(index)
        return pynvml, pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{properties.uuid}"), properties.name
    except pynvml.NVMLError as error:
        raise MeterMissingError(f"NVML does not answer: {error}") from None


def _names(reading: Reading) -> tuple[str, ...]:
    return tuple(counter.name for counter in reading.counters)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise MeterMissingError(f"{file} cannot be read ({reason})") from None


def _number(file: Path) -> int:
    text = _text(file)
    if not text.isdigit():
        raise MeterMissingError(f"{file} holds no number")
    return int(text)
