"""The number of cores that this process may use, which limits can make smaller than the machine's.

This module must import nothing that takes long: it is used before everything else is imported.
"""

import os
from contextlib import suppress
from pathlib import Path

CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
"""A container's CPU quota: "MICROSECONDS PERIOD" or "max PERIOD"."""


def num_cores() -> int:
    """Return the number of cores that this process may use, >= 1.

    That is the number of cores that the process is bound to, by taskset or Slurm for example, or a container's CPU
    quota if that is less. A fraction of a core counts as one.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
        quota, period = map(int, CPU_LIMIT.read_text(encoding="ascii").split())
        cores = min(cores, -(-quota // period))
    return max(1, cores)
