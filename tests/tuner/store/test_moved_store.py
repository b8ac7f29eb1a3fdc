"""After a store's folder is moved or copied, its files are found, and new ones are written beside it."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.tracking._tracking_service import utils

from tests.tuner.store.small_stores import find_runs, open_store
from zerotune.tuner.store import default_tracking_uri
from zerotune.tuner.store.connection import connect, sqlite_file


@pytest.fixture
def old(tmp_path: Path, uri: str) -> Path:
    """Return the folder of a store with a file of its study, with an awkward name."""
    folder = file_of(uri).parent
    put(uri, tmp_path, "first.csv")
    return folder


def file_of(uri: str) -> Path:
    file = sqlite_file(uri)
    assert file is not None
    return file


def put(uri: str, tmp_path: Path, name: str) -> None:
    """Open the study's store, as a run does, and store a file."""
    utils._artifact_repos_cache.clear()  # as in a new process, because an open store is never moved
    (tmp_path / name).write_text(name, encoding="utf-8")
    store = open_store(uri)
    store.log_artifacts([tmp_path / name], "report")
    store.finish()


def files(uri: str) -> list[str]:
    (study,) = find_runs(uri, "tags.role = 'study'")
    client = MlflowClient(uri)
    found = [file.path for file in client.list_artifacts(study.info.run_id, "report")]
    return [Path(client.download_artifacts(study.info.run_id, path)).read_text(encoding="utf-8") for path in found]


def test_a_moved_store_takes_its_files_along(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "elsewhere 100%" / "mlruns"
    new.parent.mkdir()
    old.rename(new)
    uri = default_tracking_uri(new)
    put(uri, tmp_path, "second.csv")
    assert files(uri) == ["first.csv", "second.csv"]
    assert not old.exists()


def test_reading_a_moved_store_is_enough(old: Path, tmp_path: Path) -> None:
    new = old.rename(tmp_path / "new")
    connect(default_tracking_uri(new), create=False)
    assert files(default_tracking_uri(new)) == ["first.csv"]


def test_of_a_copy_nothing_is_changed(old: Path, tmp_path: Path) -> None:
    """The original files still exist at the recorded location."""
    new = tmp_path / "copy"
    shutil.copytree(old, new)
    before = (new / "mlflow.db").read_bytes()
    connect(default_tracking_uri(new), create=False)
    assert (new / "mlflow.db").read_bytes() == before


def test_files_that_somebody_put_elsewhere_are_not_looked_for_here(tmp_path: Path, uri: str) -> None:
    client = MlflowClient(uri)
    kept_at = "s3://bucket/artifacts"
    client.create_experiment("theirs", kept_at)
    file_of(uri).with_name("artifacts").mkdir()
    connect(uri, create=False)
    theirs = client.get_experiment_by_name("theirs")
    assert theirs is not None
    assert theirs.artifact_location == kept_at


def test_a_moved_store_that_may_not_be_written_is_read(old: Path, tmp_path: Path) -> None:
    new = old.rename(tmp_path / "new")
    (new / "mlflow.db").chmod(0o444)
    new.chmod(0o555)
    try:
        connect(default_tracking_uri(new), create=False)
        assert [run.data.tags["role"] for run in find_runs(default_tracking_uri(new), "tags.role = 'study'")] == [
            "study"
        ]
    finally:
        new.chmod(0o755)
