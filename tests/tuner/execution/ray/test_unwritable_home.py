"""An embedded cluster starts although Ray cannot write its token to the home folder, and ends with its program."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from zerotune.tuner.errors import Unreachable
from zerotune.tuner.execution.ray import local_cluster
from zerotune.tuner.execution.ray.auth import MODE, TOKEN, TOKEN_PATH, provide_token, token_file
from zerotune.tuner.execution.ray.local_cluster import LocalHead


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder that cannot be written, not even by root: it is a file."""
    for name in (MODE, TOKEN, TOKEN_PATH):
        monkeypatch.setenv(name, "")  # so that the variable is restored
        monkeypatch.delenv(name)
    (tmp_path / "home").write_text("no folder")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_token_of_a_program_without_a_home_is_its_own() -> None:
    provide_token()
    token = os.environ[TOKEN]
    assert len(bytes.fromhex(token)) == 32
    provide_token()
    assert os.environ[TOKEN] == token


def test_a_token_that_is_there_or_can_be_written_is_left_to_ray(home: Path) -> None:
    home.unlink()
    home.mkdir()
    provide_token()
    (home / ".ray" / "auth_token").write_text("one")
    provide_token()
    assert TOKEN not in os.environ


def test_an_unknown_home_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    assert not token_file().is_file()


def test_a_folder_that_cannot_be_written_is_named_and_no_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "from zerotune.tuner.execution.ray.local_cluster import FAILED, describe_start_failure\n"
        "print(FAILED + describe_start_failure(OSError(30, 'Read-only file system', '/tmp/zt-1')))"
    )
    monkeypatch.setattr(local_cluster, "_command", lambda _: [sys.executable, "-c", program])
    head = LocalHead(1)
    with pytest.raises(Unreachable) as refused:
        head.address()
    head.stop()
    assert str(refused.value) == (
        "a local Ray cluster could not be started: /tmp/zt-1: Read-only file system. Name a folder that can be written "
        "by TMPDIR, or use --driver serial"
    )


@pytest.mark.ray
def test_a_cluster_starts_without_a_home_that_can_be_written_and_goes_down_with_its_killed_program() -> None:
    """In a program of its own, since this one may have imported Ray."""
    program = (
        "import sys\n"
        "from zerotune.tuner.execution.ray.cluster import connect\n"
        "from zerotune.tuner.execution.trial_runner import Execution\n"
        "with connect(Execution()) as slots:\n"
        "    print(slots.total > 0, flush=True)\n"
        "    sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "True\n"
        cluster = psutil.Process(killed.pid).children(recursive=True)
        assert any("raylet" in process.name() for process in cluster)
        killed.kill()
    psutil.wait_procs(cluster, timeout=30)
    assert [process for process in cluster if process.is_running() and process.status() != "zombie"] == []
