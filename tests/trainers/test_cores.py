"""The number of usable cores is the smaller of the bound cores and a container's quota."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zerotune.trainers import cores


@pytest.fixture
def limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace this machine's quota file, and bind the process to four of 64 cores."""
    monkeypatch.setattr(cores, "CPU_LIMIT", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5, 8, 13}, raising=False)
    return tmp_path / "cpu.max"


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        (None, 4),
        ("max 100000\n", 4),
        ("800000 100000\n", 4),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("", 4),
        ("what", 4),
        ("1 0", 4),
    ],
)
def test_the_smaller_of_bound_cores_and_quota_counts(limit: Path, quota: str | None, expected: int):
    if quota is not None:
        limit.write_text(quota)
    assert cores.num_cores() == expected


def test_all_cores_count_if_the_system_binds_no_process(limit: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores.num_cores() == 64
    limit.write_text("3200000 100000")
    assert cores.num_cores() == 32
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.num_cores() == 1


@pytest.mark.parametrize("module", ["cores", "spec", "child_process"])
def test_what_is_needed_before_torch_imports_no_torch(module: str):
    program = f"import sys, zerotune.trainers.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
