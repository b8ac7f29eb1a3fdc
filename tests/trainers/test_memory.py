"""The allocator keeps what was freed, and nothing changes elsewhere than with glibc."""

import subprocess
import sys

import pytest

from trainers.memory import keep_freed_memory

COUNT_FAULTS = """
import resource, sys, torch
from trainers.memory import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit(3)
for _ in range(20):
    torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    """Page faults of allocating 64 MiB four times more."""
    child = subprocess.run([sys.executable, "-c", COUNT_FAULTS, mode], capture_output=True, text=True, check=False)
    if child.returncode == 3:
        pytest.skip("the C library is not glibc")
    return int(child.stdout)


def test_a_block_freed_is_used_again_without_page_faults():
    assert page_faults("keep") < page_faults("default") / 10


def test_another_system_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    keep_freed_memory.cache_clear()
    assert keep_freed_memory() is False
    keep_freed_memory.cache_clear()
