"""Memory: making the C library keep what training frees, and telling apart that there is none.

Every iteration allocates and frees the same large blocks. By default glibc returns each to the system and has its
pages faulted in again, zeroed, at the next iteration; keeping them more than doubles the throughput of large batches
on a CPU. This module must not know what is trained.
"""

import ctypes
import sys
from functools import cache

import torch

# The names and numbers of <malloc.h>.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
M_ARENA_MAX = -8
LARGEST_INT = 2**31 - 1

_NO_MEMORY = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""How torch and the libraries below it say so where they raise a bare RuntimeError."""


@cache
def keep_freed_memory() -> bool:
    """Tells glibc to keep freed blocks for the next allocation, for the rest of this process.

    Three settings are needed: no block may be mapped on its own (M_MMAP_MAX = 0, since M_MMAP_THRESHOLD cannot exceed
    32 MiB and the activations of a large batch do), the heap's top may not be given back (M_TRIM_THRESHOLD), and
    threads share the one heap (M_ARENA_MAX), since those of their own are unmapped whenever they are empty. Threads
    that allocated before keep theirs: call this when a process starts. The process keeps its peak memory until it
    ends. Does nothing on other C libraries and systems.

    Returns:
        Whether the C library took the settings.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, LARGEST_INT), (M_ARENA_MAX, 1))
    return all(library.mallopt(option, value) == 1 for option, value in settings)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory could not be had, of the device or of the machine.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    (True, False)
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)
