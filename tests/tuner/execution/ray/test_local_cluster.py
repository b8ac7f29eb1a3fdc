"""An embedded Ray cluster is private to this user on this machine."""

import contextlib
import ipaddress
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from zerotune.tuner.execution.ray.session_dir import make_session_dir, remove_session_dirs
from zerotune.tuner.execution.trial_runner import Execution

ROOT = Path(__file__).parents[4]


@pytest.mark.ray
def test_it_listens_on_loopback_alone_has_no_program_for_others_and_leaves_no_folder() -> None:
    import ray

    from zerotune.tuner.execution.ray.cluster import connect

    with connect(Execution()):
        folder = Path(ray._private.worker._global_node.get_session_dir_path()).parents[1]
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "r").is_dir()
        this = psutil.Process()
        listening = [
            ipaddress.ip_address(connection.laddr.ip.removeprefix("::ffff:"))
            for process in (this, *this.children(recursive=True))
            for connection in process.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        programs = [" ".join(process.cmdline()) for process in this.children(recursive=True)]
        assert any("/raylet" in program for program in programs)
        not_needed = ("dashboard.py", "monitor.py")  # the latter also ends "log_monitor.py"
        assert [program for program in programs if any(name in program for name in not_needed)] == []
        assert listening
        assert [address for address in listening if not address.is_loopback] == []
    assert not folder.exists()


def test_every_cluster_has_a_folder_of_its_own_that_nobody_else_enters() -> None:
    one, other = Path(make_session_dir()), Path(make_session_dir())
    assert one.parent != other.parent
    assert [0o700, 0o700] == [path.parent.stat().st_mode & 0o777 for path in (one, other)]
    assert not one.exists()
    remove_session_dirs()
    assert not one.parent.exists()
    assert not other.parent.exists()


def test_what_a_killed_program_left_is_removed_and_what_a_living_one_uses_is_not() -> None:
    program = (
        "from zerotune.tuner.execution.ray.session_dir import make_session_dir; import pathlib, sys; "
        "path = make_session_dir(); (pathlib.Path(path) / 'session').mkdir(parents=True); "
        "print(path, flush=True); sys.stdin.read()"
    )
    with contextlib.ExitStack() as stack:
        programs = [
            stack.enter_context(
                subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1, text=True, cwd=ROOT)
            )
            for _ in range(2)
        ]
        killed, living = programs
        left, used = [Path(str(each.stdout and each.stdout.readline()).strip()).parent for each in programs]
        killed.kill()
        killed.wait()
        assert left.is_dir()
        make_session_dir()
        remove_session_dirs()
        assert (left.exists(), used.exists()) == (False, True)
        living.communicate("")
    assert not used.exists()


def test_a_folder_for_temporary_files_with_a_long_name_leaves_room_for_a_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 60)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    folder = make_session_dir()
    remove_session_dirs()
    assert len(f"{folder}/session_2026-11-21_23-15-25_765239_4194304/sockets/plasma_store") <= 107
