"""Memory of this process: malloc settings, amounts, and recognising out-of-memory errors.

Every iteration allocates and frees the same large blocks. By default glibc returns each block to the system, and its
pages are faulted in again, zeroed, at the next iteration. Keeping them more than doubles the throughput of large
batches on a CPU. This module must not know what is trained.
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
"""Read as an unsigned size, the largest there is. The largest `int`, 2 GiB, is less than a large batch frees."""

_NO_MEMORY = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""Parts of the messages with which torch and the libraries below it report it in a bare RuntimeError."""


@cache
def configure_malloc() -> bool:
    """Have glibc keep freed blocks for the next allocation, for the rest of this process.

    Three settings are needed. No block is mapped on its own: M_MMAP_MAX = 0, since M_MMAP_THRESHOLD cannot exceed
    32 MiB and the activations of a large batch do. The top of the heap is not given back: M_TRIM_THRESHOLD. All threads
    share one heap: M_ARENA_MAX, since a thread's own heap is unmapped whenever it is empty. Threads that allocated
    before keep theirs, so call this when a process starts. The process keeps its peak memory until it ends. No effect
    with other C libraries and systems.

    Returns:
        Whether the C library accepted the settings.
    """
    library = _glibc()
    if library is None:
        return False
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, NEVER), (M_ARENA_MAX, 1))
    return all(library.mallopt(option, value) == 1 for option, value in settings)


def release_freed_memory() -> None:
    """Return the freed blocks that glibc has kept so far to the system; later ones are kept again."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """Return the C library if it is glibc, else None."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


def resident_bytes() -> int:
    """Return the memory that this process holds, in bytes, including freed blocks that are kept.

    If the system does not say, return the peak so far.
    """
    with suppress(OSError, ValueError, IndexError):
        return os.sysconf("SC_PAGE_SIZE") * int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return peak_bytes()


def peak_bytes() -> int:
    """Return the most memory that this process has held so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def memory_budget_bytes() -> float:
    """Return the memory, in bytes, that this process may hold so that similar processes on the other cores fit too.

    That is the fraction of cores that torch uses here, times the memory that is available now or held by this process;
    in a container at most the container's limit. Infinite if the system does not say. On Linux, a process that asks for
    more memory than there is gets no error: it is killed, or another process is.
    """
    available = math.inf
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        available = 1024.0 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable")))
        available += resident_bytes()
    with suppress(OSError, ValueError):  # "max" if a container has no limit
        available = min(available, float(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))))
    return available * min(1.0, torch.get_num_threads() / num_cores())


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception says that the device or the machine is out of memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, RuntimeError):
        with suppress(BaseException):  # an exception of a user's may fail to say what it is
            text = str(error)
            return any(part in text for part in _NO_MEMORY)
    return False
