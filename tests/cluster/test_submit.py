"""A study's driver as a job of a Ray cluster: real `ray start` with its dashboard, on loopback, with a token."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.nodes import MARKS, Nodes, free_port, output, zerotune
from tests.cluster.test_attach import STUDY
from tests.own_applications import NUM_TRIALS, write
from tests.own_applications import STUDY as PLANE

pytestmark = [
    *MARKS,
    pytest.mark.skipif(importlib.util.find_spec("aiohttp_cors") is None, reason="needs ray[default], extra `jobs`"),
]


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Nodes]]:
    """A cluster that takes jobs, and its address for them."""
    port = free_port()
    options = (
        *("--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={port}"),
        f"--dashboard-agent-listen-port={free_port()}",
    )
    with Nodes(tmp_path_factory.mktemp("dashboard"), options=options) as cluster:
        yield f"http://127.0.0.1:{port}", cluster


def submit(folder: Path, cluster: Nodes, address: str, *options: str, study: str = STUDY) -> tuple[int, str]:
    (folder / "attached.yaml").write_text(study)
    store = folder / "on the head"
    words = ("submit", "attached.yaml", "--address", address, "--store", str(store), "--follow", *options)
    process = zerotune(folder, cluster.environment, *words)
    text = output(process)
    return process.returncode, text


def num_results(folder: Path) -> int:
    lines = (folder / "on the head" / "attached" / "journal.jsonl").read_text().splitlines()
    return sum(json.loads(line)["kind"] == "result" for line in lines)


def test_a_submitted_study_runs_on_the_cluster_and_is_resumed_by_submitting_it_again(
    dashboard: tuple[str, Nodes], tmp_path: Path
) -> None:
    address, cluster = dashboard
    code, text = submit(tmp_path, cluster, address)
    assert code == 0, text
    assert "Submitted attached as job zerotune-attached-" in text
    assert "Figures and tables:" in text
    assert num_results(tmp_path) == 5
    code, text = submit(tmp_path, cluster, address)
    assert code == 0, text
    assert "5 of them done before" in text
    assert num_results(tmp_path) == 5


def test_an_own_application_goes_with_the_job(dashboard: tuple[str, Nodes], tmp_path: Path) -> None:
    address, cluster = dashboard
    file = write(tmp_path)
    study = PLANE.replace("name: plane", "name: attached")
    code, text = submit(tmp_path, cluster, address, "--app", f"{file.name}:sides", study=study)
    assert code == 0, text
    assert num_results(tmp_path) == NUM_TRIALS


@pytest.mark.parametrize(
    ("address", "store", "sentence"),
    [
        ("127.0.0.1:6379", "/store", "a job goes to the cluster's dashboard"),
        ("http://127.0.0.1:1", "mlruns", "must be absolute"),
        ("http://127.0.0.1:1", "/store", "no job could be given to the cluster"),
    ],
)
def test_what_cannot_be_submitted_is_told_in_a_sentence(
    tmp_path: Path, address: str, store: str, sentence: str
) -> None:
    (tmp_path / "attached.yaml").write_text(STUDY)
    process = zerotune(tmp_path, None, "submit", "attached.yaml", "--address", address, "--store", store)
    text = output(process, seconds=90)
    assert sentence in " ".join(text.split())
    assert "Traceback" not in text
    assert process.returncode in (2, 4)
