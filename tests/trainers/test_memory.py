"""Malloc keeps freed blocks on glibc, and is unchanged elsewhere."""

import subprocess
import sys

import psutil
import pytest
import torch

from zerotune.trainers import memory
from zerotune.trainers.memory import configure_malloc, is_out_of_memory, memory_budget_bytes

COUNT_FAULTS = """
import resource, sys, torch
from zerotune.trainers.memory import configure_malloc
def num_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.ones(2**24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
default = num_faults()
if not configure_malloc():
    sys.exit(3)
for _ in range(20):
    torch.ones(2**24)
print(default, num_faults())
"""

HOLD = """
import ctypes, os, sys
from zerotune.trainers.memory import configure_malloc
if not configure_malloc():
    sys.exit(3)
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
def mapped():
    return os.sysconf("SC_PAGE_SIZE") * int(open("/proc/self/statm").read().split()[0])
before = mapped()
library.free(ctypes.c_void_p(library.malloc(ctypes.c_size_t(9 * 2**28))))
print(mapped() - before)
"""


GIVE_BACK = """
import sys, torch
from zerotune.trainers.memory import configure_malloc, release_freed_memory, resident_bytes
if not configure_malloc():
    sys.exit(3)
pieces = [torch.ones(2**20) for _ in range(32)]
on_top, full = pieces[-1], resident_bytes()
del pieces
kept = resident_bytes()
release_freed_memory()
released = resident_bytes()
torch.ones(2**24)
print(full - kept, full - released, resident_bytes() - released)
"""


PEAK = """
import torch
from zerotune.trainers.memory import peak_bytes
before = peak_bytes()
torch.ones(before // 2)
print(peak_bytes() / before)
"""

FORK = """
import os, sys, torch
import zerotune.trainers.memory
for program in sys.argv[1:]:
    sys.stdout.flush()
    if os.fork() == 0:
        try:
            exec(program, {})
        except SystemExit:
            print("no glibc")
        sys.stdout.flush()
        os._exit(0)
    os.wait()
"""
"""Runs programs, each in a process of its own that has malloc's own settings and need not import torch."""


@pytest.fixture(scope="module")
def printed() -> dict[str, list[str]]:
    """Return the words that each program prints.

    They are forked from a process of their own: the peak of this one may be gigabytes, and Linux hands it on to a
    program started here.
    """
    programs = (COUNT_FAULTS, HOLD, GIVE_BACK, PEAK)
    run = [sys.executable, "-c", FORK, *programs]
    lines = subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()
    return dict(zip(programs, map(str.split, lines), strict=True))


def numbers_of(printed: list[str]) -> list[float]:
    if printed == ["no", "glibc"]:
        pytest.skip("the C library is not glibc")
    return [float(word) for word in printed]


def test_a_freed_block_is_reused_without_page_faults(printed: dict[str, list[str]]):
    """Of four blocks of 64 MiB in a process with malloc's own settings, then of four with ours."""
    default, kept = numbers_of(printed[COUNT_FAULTS])
    assert kept < default / 10


def test_a_block_above_the_largest_int_is_kept(printed: dict[str, list[str]]):
    """The address space of a freed block of 2.25 GiB, none of which was written to."""
    (kept,) = numbers_of(printed[HOLD])
    assert kept > 2**31


def test_kept_memory_is_released_on_request_and_later_blocks_are_kept_again(printed: dict[str, list[str]]):
    """Allocate 128 MiB in blocks, of which the top one stays in use; then 64 MiB."""
    kept, released, later = numbers_of(printed[GIVE_BACK])
    assert (kept < 2**24, released > 7 * 2**24, later > 3 * 2**24) == (True, True, True)


def test_another_system_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    configure_malloc.cache_clear()
    assert configure_malloc() is False
    configure_malloc.cache_clear()


@pytest.mark.parametrize("cores", [2, 8])
def test_the_memory_budget_is_the_fraction_of_cores(monkeypatch: pytest.MonkeyPatch, cores: int):
    monkeypatch.setattr(memory, "num_cores", lambda: cores)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = memory_budget_bytes()
        torch.set_num_threads(4 * cores)
        all_of_it = memory_budget_bytes()
    finally:
        torch.set_num_threads(threads)
    assert one == pytest.approx(all_of_it / cores, rel=0.2)
    assert 0 < one < psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_of_devices_and_libraries_that_are_out_of_memory_are_recognised(error: Exception, expected: bool):
    assert is_out_of_memory(error) == expected


def test_the_peak_is_the_most_memory_held(printed: dict[str, list[str]]):
    (ratio,) = numbers_of(printed[PEAK])  # four bytes per number
    assert ratio > 1.9
