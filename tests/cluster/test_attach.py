"""A study attaches to a running Ray cluster with token authentication: real `ray start`, on loopback."""

import json
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from tests.cluster.nodes import MARKS, Nodes, output, zerotune
from tests.foreign_folder import write_foreign_folder
from tests.user_applications import NUM_TRIALS, write
from tests.user_applications import STUDY as PLANE

STUDY = """
name: attached
application: lenet_mnist
data: {source: mnist5k}
epochs: 1
batch_sizes: [3000]
seeds: [1]
reference: grid
baseline: {batch_size: 3000, optimizer: momentum, lr: 0.05}
arms:
  - {name: grid, method: grid, space: {lr: {choices: [0.05, 0.1]}}}
  - {name: sqrt, method: sqrt}
"""

pytestmark = MARKS


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """A cluster of one machine."""
    with Nodes(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


def run(folder: Path, cluster: Nodes, *options: str, study: str = STUDY, **variables: str) -> tuple[int, str]:
    (folder / "attached.yaml").write_text(study)
    environment = {**cluster.environment, **variables}
    process = zerotune(folder, environment, "run", "attached.yaml", "--address", cluster.address, *options)
    text = output(process)
    return process.returncode, text


def results(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "mlruns" / "attached" / "journal.jsonl").read_text().splitlines()
    return [record["result"] for record in map(json.loads, lines) if record["kind"] == "result"]


def test_a_study_runs_on_a_cluster_it_attaches_to_and_leaves_it_running(cluster: Nodes, tmp_path: Path) -> None:
    """Token authentication is turned on from the available token, and the file's permissions are restricted."""
    token = Path(cluster.environment["RAY_AUTH_TOKEN_PATH"])
    token.chmod(0o644)
    without_mode = Nodes.__new__(Nodes)
    without_mode.address = cluster.address
    without_mode.environment = {k: v for k, v in cluster.environment.items() if k != "RAY_AUTH_MODE"}
    write_foreign_folder(tmp_path)  # the current folder must not decide which code the workers run
    code, text = run(tmp_path, without_mode)
    assert code == 0, text
    assert "here and on the cluster" in text
    assert "1 machine, 2 CPUs and 0 GPUs; token authentication on" in text
    assert token.stat().st_mode & 0o777 == 0o600
    found = results(tmp_path)
    assert [result["status"] for result in found] == ["finished"] * 5
    assert sorted((r["trial"]["arm"], r["trial"]["role"]) for r in found) == [  # type: ignore[index]
        ("baseline", "confirmation"),
        ("grid", "confirmation"),
        ("grid", "search"),
        ("grid", "search"),
        ("sqrt", "confirmation"),
    ]
    host, port = cluster.address.split(":")
    socket.create_connection((host, int(port)), timeout=5).close()  # the cluster still runs


def test_an_own_application_is_sent_to_workers_that_cannot_import_it(cluster: Nodes, tmp_path: Path) -> None:
    """The file removes itself once the command has read it, so that workers have only what was sent."""
    file = write(tmp_path, "import torch\n", "import pathlib\n\nimport torch\n\npathlib.Path(__file__).unlink(True)\n")
    study = PLANE.replace("name: plane", "name: attached")
    code, text = run(tmp_path, cluster, "--app", f"{file.name}:sides", study=study)
    assert code == 0, text
    assert not file.exists()
    found = results(tmp_path)
    assert [result["status"] for result in found] == ["finished"] * NUM_TRIALS
    assert min(result["test_score"] or 1.0 for result in found) > 0.65  # type: ignore[type-var]


@pytest.mark.parametrize("token", ["another", None])
def test_a_cluster_is_not_joined_without_its_token(cluster: Nodes, tmp_path: Path, token: str | None) -> None:
    file = tmp_path / "token"
    if token is not None:
        file.write_text(secrets.token_hex(24))
    without = {"RAY_AUTH_TOKEN_PATH": str(file), "HOME": str(tmp_path), "RAY_NUM_REDIS_GET_RETRIES": "2"}
    code, text = run(tmp_path, cluster, **without, **({} if token else {"RAY_AUTH_MODE": "disabled"}))
    assert code == 4, text
    assert f"--address {cluster.address}:" in text
    what = "the token here is the right one" if token else "it requires a token (RAY_AUTH_TOKEN_PATH=FILE)"
    assert f"whether {what}" in text.splitlines()[-1]
    assert "Traceback" not in text
    assert results(tmp_path) == []


def test_a_study_that_no_machine_can_run_is_refused_with_the_reason(cluster: Nodes, tmp_path: Path) -> None:
    code, text = run(tmp_path, cluster, study=STUDY + "resources: {cpus_per_trial: 64}\n")
    assert code == 2
    assert "a trial asks for 64 CPUs and 0 GPUs, and no machine of the cluster has that" in text
    assert results(tmp_path) == []


def test_a_cluster_of_another_version_is_refused_and_both_are_named(cluster: Nodes, tmp_path: Path) -> None:
    (tmp_path / "attached.yaml").write_text(STUDY)
    another = ("-c", "import ray; ray.__version__ = '2.56.0'; from zerotune.__main__ import main; main()")
    arguments = ("run", "attached.yaml", "--address", cluster.address)
    process = zerotune(tmp_path, cluster.environment, *arguments, program=another)
    text = " ".join(output(process).split())
    assert process.returncode == 4
    assert f"it runs Ray {ray.__version__} and Python" in text
    assert "and this program Ray 2.56.0 and Python" in text
    assert "both must be the same" in text
    assert "Traceback" not in text
