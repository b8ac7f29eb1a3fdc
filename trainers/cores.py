"""Cores that this process may use, which are fewer than the machine's where somebody has set limits.

This module must import nothing that takes long: it is asked before everything else is imported.
"""

import os
from contextlib import suppress
from pathlib import Path

CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
"""The time of a container: "MICROSECONDS PERIOD" or "max PERIOD"."""


def num_cores() -> int:
    """Cores that this process may use, 1 or more: those it is bound to, or a container's quota of time where less.

    Programs such as taskset and Slurm bind a process. A part of a core counts as one.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
        quota, period = map(int, CPU_LIMIT.read_text(encoding="ascii").split())
        cores = min(cores, -(-quota // period))
    return max(1, cores)
