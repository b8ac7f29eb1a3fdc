"""An embedded Ray cluster is this user's on this machine alone."""

import ipaddress
from pathlib import Path

import psutil
import pytest

from tuner.drivers import session_folder
from tuner.drivers.session_folder import new_session_folder, remove_session_folders
from tuner.drivers.work import Execution


@pytest.mark.ray
def test_it_listens_on_loopback_alone_and_leaves_no_folder() -> None:
    from tuner.drivers.cluster import connected

    with connected(Execution()):
        (folder,) = [Path(open_.name) for open_ in session_folder._open]
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "r").is_dir()
        this = psutil.Process()
        listening = [
            ipaddress.ip_address(connection.laddr.ip.removeprefix("::ffff:"))
            for process in (this, *this.children(recursive=True))
            for connection in process.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening
        assert [address for address in listening if not address.is_loopback] == []
    assert not folder.exists()


def test_every_cluster_has_a_folder_of_its_own_that_nobody_else_enters() -> None:
    one, other = Path(new_session_folder()), Path(new_session_folder())
    assert one.parent != other.parent
    assert [0o700, 0o700] == [path.parent.stat().st_mode & 0o777 for path in (one, other)]
    assert not one.exists()
    remove_session_folders()
    assert not one.parent.exists()
    assert not other.parent.exists()


def test_a_folder_for_temporary_files_with_a_long_name_leaves_room_for_a_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 60)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    folder = new_session_folder()
    remove_session_folders()
    assert len(f"{folder}/session_2026-11-21_23-15-25_765239_4194304/sockets/plasma_store") <= 107
