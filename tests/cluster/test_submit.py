"""A study's driver as a job of a Ray cluster: real `ray start` with its dashboard, on loopback, with a token."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.nodes import MARKS, Nodes, free_port, output, zerotune
from tests.foreign_folder import NUM_TRIALS, write_foreign_folder
from tests.user_applications import OWN, Here

pytestmark = [
    *MARKS,
    pytest.mark.skipif(importlib.util.find_spec("aiohttp_cors") is None, reason="needs ray[default], extra `jobs`"),
]


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Nodes]]:
    """A cluster that accepts jobs, and its address for them."""
    port = free_port()
    options = ("--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={port}")
    with Nodes(tmp_path_factory.mktemp("dashboard"), options=options) as cluster:
        yield f"http://127.0.0.1:{port}", cluster


def submit(folder: Path, cluster: Nodes, address: str) -> str:
    """Submit the study in `folder`, with a user application, and return the command's output."""
    store = str(folder / "on the head")
    words = ("submit", "plane.yaml", "--address", address, "--store", store, "--app", "plane.py:sides", "--follow")
    process = zerotune(folder, cluster.environment, *words)
    text = output(process)
    assert process.returncode == 0, text
    return text


def num_results(folder: Path) -> int:
    lines = (folder / "on the head" / "plane" / "journal.jsonl").read_text().splitlines()
    return sum(json.loads(line)["kind"] == "result" for line in lines)


def test_a_submitted_study_runs_on_the_cluster_and_is_resumed_by_submitting_it_again(
    dashboard: tuple[str, Nodes], tmp_path: Path
) -> None:
    address, cluster = dashboard
    write_foreign_folder(tmp_path, resources="{max_concurrent: 1}")
    (tmp_path / "plane.py").write_text(OWN, encoding="utf-8")  # without neighbours: its file alone is sent
    text = submit(tmp_path, cluster, address)
    assert "Submitted plane as job zerotune-plane-" in text
    assert "Figures and tables:" in text
    assert num_results(tmp_path) == NUM_TRIALS
    assert f"{NUM_TRIALS} of them done before" in submit(tmp_path, cluster, address)
    assert num_results(tmp_path) == NUM_TRIALS


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("address", "store", "sentence"),
    [
        ("127.0.0.1:6379", "/store", "a job goes to the cluster's dashboard"),
        ("http://127.0.0.1:1", "mlruns", "must be absolute"),
        ("http://127.0.0.1:1", "/store", "the job could not be submitted to the cluster"),
    ],
)
def test_what_cannot_be_submitted_is_reported_in_a_sentence(
    here: Here, address: str, store: str, sentence: str
) -> None:
    words = ("submit", "plane.yaml", "--app", "plane.py:sides", "--address", address, "--store", store)
    ended = here.zerotune(*words)
    assert sentence in " ".join((ended.out + ended.err).split())
    assert ended.code in (2, 4)
