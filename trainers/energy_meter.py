"""What a device has drawn, by the machine's own counters: RAPL for processors, NVML for an NVIDIA GPU.

Two readings and what lies between them:

- CPU: the sum of the processor packages in Linux's powercap tree (`/sys/class/powercap`, Intel and AMD): cores, caches
  and memory controllers. Memory, disks, fans and the power supply's losses are not in it.
- CUDA: the board of that GPU, its memory included (`nvmlDeviceGetTotalEnergyConsumption`), where the package
  nvidia-ml-py is installed. The host's processor is not in it.

A counter belongs to a device and not to a process: it counts for everyone who uses the device, and for idle cores.
Whoever shares it out among trainings, by their number, makes an estimate of each; the sum of the shares is no estimate.
What cannot be read is None, never zero. This module must not know what a training does.
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
"""More than a processor package draws. A counter that this much power would have turned round between two readings may
have turned more than once, so that the difference says nothing."""


class MeterMissingError(Exception):
    """Why a device's energy cannot be read, in words."""


@dataclass(frozen=True, kw_only=True)
class Counter:
    """An energy counter, read once.

    Attributes:
        name: of the counter on its machine.
        microjoules: since an unknown moment, >= 0.
        range_microjoules: largest value, after which it starts again at 0; None where that takes years.
    """

    name: str
    microjoules: int
    range_microjoules: int | None = None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """All counters of a device, read at the same moment.

    Attributes:
        seconds: when, by a clock that runs evenly.
        counters: one or more.
    """

    seconds: float
    counters: tuple[Counter, ...]


def read_energy(device: torch.device) -> Reading | None:
    """The device's energy counters now; None where it has none or they cannot be read (`describe_meter` says why)."""
    try:
        return Reading(seconds=time.perf_counter(), counters=tuple(_counters(device)))
    except MeterMissingError:
        return None


def describe_meter(device: str) -> str:
    """What counts the energy of a device ("cpu", "cuda:0"), or why nothing does, such as "none: ... cannot be read"."""
    try:
        return ", ".join(counter.name for counter in _counters(torch.device(device)))
    except MeterMissingError as reason:
        return f"none: {reason}"


def joules_between(begin: Reading | None, end: Reading | None) -> float | None:
    """What a device drew between two readings, in joules.

    A counter that started again at 0 is followed once round.

    Returns:
        The joules; None where a reading or a counter is missing, or where a counter may have turned more than once.

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
        turn = last.range_microjoules
        if turn is not None and seconds * MAX_PACKAGE_WATTS * 1e6 >= turn:
            return None
        difference = last.microjoules - first.microjoules
        if difference < 0 and turn is None:
            return None
        microjoules += difference if difference >= 0 else difference + (turn or 0)
    return 1e-6 * microjoules


def package_counters(powercap: Path = POWERCAP) -> list[Counter]:
    """The energy counter of every processor package of the machine.

    The tree also holds parts of packages (cores, memory) and the whole board (psys), which would count twice, and on
    some machines the same package by two ways (`intel-rapl` and `intel-rapl-mmio`), of which one is read.

    Args:
        powercap: the tree's folder.

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
    """NVML, its handle of a GPU of torch's, and a name of that GPU; torch's numbers are not NVML's."""
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
