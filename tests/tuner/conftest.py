"""Fixtures for the tests of `tuner`."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.user_applications import Here
from zerotune.tuner.commands.sync import run as sync_module
from zerotune.tuner.reports import export
from zerotune.tuner.run import run as run_module
from zerotune.tuner.store import Store, connection, default_tracking_uri
from zerotune.tuner.store.connection import create_tables


def mlflow_tables(folder: Path) -> bytes:
    """Return the content of an empty MLflow database, kept in a folder: creating one takes seconds."""
    kept = folder / "mlflow_tables.db"
    if not kept.exists():
        with TemporaryDirectory(dir=folder) as new:
            create_tables(default_tracking_uri(Path(new)))
            (Path(new) / "mlflow.db").replace(kept)
    return kept.read_bytes()


@pytest.fixture(autouse=True, scope="session")
def quickly_made_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Create new stores in this process by copying that database, which all processes of pytest-xdist share."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    def copy(tracking_uri: str) -> None:
        file = connection.sqlite_file(tracking_uri)
        assert file is not None
        file.write_bytes(mlflow_tables(folder))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "create_tables", copy)
        yield


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """A current folder with a user application and a study of it."""
    monkeypatch.setattr(export, "write_images", lambda *_: ([], None))
    for module in (run_module, sync_module):
        monkeypatch.setattr(module, "write_report", lambda *_: [])  # figures have their own tests
    return Here(tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with tables and no study."""
    from mlflow import MlflowClient  # this import takes seconds, and most tests here do not need it

    root = tmp_path_factory.mktemp("empty")
    Store(default_tracking_uri(root), "unused", "00", {})
    client = MlflowClient(default_tracking_uri(root))
    client.set_experiment_tag("1", "zerotune.study", "unused")
    return root / "mlflow.db"


@pytest.fixture
def uri(tmp_path: Path, empty_database: Path) -> str:
    """The URI of a fresh store in a folder with an awkward name."""
    root = tmp_path / "ml runs #1, 100%5F?"
    root.mkdir()
    (root / "mlflow.db").write_bytes(empty_database.read_bytes())
    return default_tracking_uri(root)
