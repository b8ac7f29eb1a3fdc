"""Malloc keeps freed blocks on glibc, and is unchanged elsewhere."""

import subprocess
import sys

import psutil
import pytest
import torch

from zerotune.trainers import memory
from zerotune.trainers.memory import configure_malloc, is_out_of_memory, memory_budget_bytes

COUNT_FAULTS = """
import os, resource, sys, torch
from zerotune.trainers.memory import configure_malloc
if os.fork() == 0:
    keep = False
else:
    os.wait()
    keep = configure_malloc()
    if not keep:
        sys.exit(3)
for _ in range(20 if keep else 4):
    torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

HOLD = """
import ctypes, os, sys
from zerotune.trainers.memory import configure_malloc
if not configure_malloc():
    sys.exit(3)
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
block = library.malloc(ctypes.c_size_t(int(sys.argv[1])))
ctypes.memset(ctypes.c_void_p(block), 1, int(sys.argv[1]))
library.free(ctypes.c_void_p(block))
print(os.sysconf("SC_PAGE_SIZE") * int(open("/proc/self/statm").read().split()[1]))
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


def test_a_freed_block_is_reused_without_page_faults():
    """Of four blocks of 64 MiB in a process with malloc's own settings, then of four with ours."""
    child = subprocess.run([sys.executable, "-c", COUNT_FAULTS], capture_output=True, text=True, check=False)
    if child.returncode == 3:
        pytest.skip("the C library is not glibc")
    default, kept = map(int, child.stdout.split())
    assert kept < default / 10


def test_a_block_above_the_largest_int_is_kept():
    size = 9 * 2**28
    if psutil.virtual_memory().available < 2 * size:
        pytest.skip(f"less than {2 * size / 2**30:.1f} GiB of memory are free")
    child = subprocess.run([sys.executable, "-c", HOLD, str(size)], capture_output=True, text=True, check=False)
    if child.returncode == 3:
        pytest.skip("the C library is not glibc")
    assert int(child.stdout) > size


def test_kept_memory_is_released_on_request_and_later_blocks_are_kept_again():
    """Allocate 128 MiB in blocks, of which the top one stays in use; then 64 MiB."""
    child = subprocess.run([sys.executable, "-c", GIVE_BACK], capture_output=True, text=True, check=False)
    if child.returncode == 3:
        pytest.skip("the C library is not glibc")
    kept, released, later = map(int, child.stdout.split())
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


def test_the_peak_is_the_most_memory_held():
    """In a forked process: the peak of this one may be gigabytes, and Linux hands it on to a program started here."""
    held = (
        "import os, torch; from zerotune.trainers.memory import peak_bytes\n"
        "if os.fork() == 0:\n"
        "    before = peak_bytes()\n"
        "    torch.ones(before // 2)\n"  # four bytes per number
        "    print(peak_bytes() / before)\n"
        "else:\n"
        "    os.wait()"
    )
    assert float(subprocess.check_output([sys.executable, "-c", held])) > 1.9
