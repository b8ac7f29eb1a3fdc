"""Memory: making the C library keep what training frees, and telling apart that there is none.

Every iteration allocates and frees the same large blocks. By default glibc returns each to the system and has its
pages faulted in again, zeroed, at the next iteration; keeping them more than doubles the throughput of large batches
on a CPU. This module must not know what is trained.
"""

import ctypes
import math
import os
import resource
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch

from .cores import num_cores

# The names and numbers of <malloc.h>.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
M_ARENA_MAX = -8
NEVER = -1
"""Read as a size, without a sign: the largest there is. The largest `int`, 2 GiB, is less than a large batch frees."""

_NO_MEMORY = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""How torch and the libraries below it say so where they raise a bare RuntimeError."""


@cache
def configure_malloc() -> bool:
    """Tells glibc to keep freed blocks for the next allocation, for the rest of this process.

    Three settings are needed: no block may be mapped on its own (M_MMAP_MAX = 0, since M_MMAP_THRESHOLD cannot exceed
    32 MiB and the activations of a large batch do), the heap's top may not be given back (M_TRIM_THRESHOLD), and
    threads share the one heap (M_ARENA_MAX), since those of their own are unmapped whenever they are empty. Threads
    that allocated before keep theirs: call this when a process starts. The process keeps its peak memory until it
    ends. Does nothing on other C libraries and systems.

    Returns:
        Whether the C library took the settings.
    """
    library = _glibc()
    if library is None:
        return False
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, NEVER), (M_ARENA_MAX, 1))
    return all(library.mallopt(option, value) == 1 for option, value in settings)


def release_freed_memory() -> None:
    """Gives the system what glibc has kept so far; what is freed from now on is kept again."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """The C library; None where it is another."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


def resident_bytes() -> int:
    """The memory that this process holds, bytes, freed blocks that are kept included.

    The most that it has held so far where the system does not tell.
    """
    with suppress(OSError, ValueError, IndexError):
        return os.sysconf("SC_PAGE_SIZE") * int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return peak_bytes()


def peak_bytes() -> int:
    """The most memory that this process has held so far, bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def memory_budget_bytes() -> float:
    """Memory, bytes, that a process may hold in all, so that its likes on the other cores can do the same.

    That is its part, by the cores that torch gives it, of what is available now and what it holds; of a container what
    that may hold. Infinite where the system does not tell. A process on Linux that asks for more than there is gets no
    error: it is killed, or another is.
    """
    available = math.inf
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        available = 1024.0 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable")))
        available += resident_bytes()
    with suppress(OSError, ValueError):  # "max" where a container has no limit
        available = min(available, float(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))))
    return available * min(1.0, torch.get_num_threads() / num_cores())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory could not be had, of the device or of the machine.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    (True, False)
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)
