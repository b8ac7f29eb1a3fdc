"""A study attaches to a Ray cluster that runs already, with token authentication on: real `ray start`, on loopback."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.own_applications import NUM_TRIALS, write
from tests.own_applications import STUDY as PLANE

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
PATIENCE_SECONDS = 90

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ray start on loopback is tested on Linux only"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a one-node cluster and the environment that may enter it."""
    folder = tmp_path_factory.mktemp("cluster")
    token = folder / "token"
    token.write_text(secrets.token_hex(24))
    token.chmod(0o600)
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    port = free_port()
    command = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats"),
        *("--node-ip-address=127.0.0.1", f"--port={port}", "--include-dashboard=false", "--num-cpus=2"),
    ]
    log = (folder / "head.log").open("w")
    head = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "Ray runtime started" not in (folder / "head.log").read_text():
            if head.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"ray start gave up: {(folder / 'head.log').read_text()[-2000:]}")
            time.sleep(0.5)
        yield f"127.0.0.1:{port}", environment
    finally:
        head.send_signal(signal.SIGTERM)  # never `ray stop`, which ends every Ray on the machine
        try:
            head.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(head.pid, signal.SIGKILL)
        log.close()


def run(
    folder: Path, address: str, environment: dict[str, str], *options: str, study: str = STUDY
) -> "subprocess.CompletedProcess[str]":
    (folder / "attached.yaml").write_text(study)
    program = [sys.executable, "-c", "from tuner.cli import main; main()"]
    command = [*program, "run", "attached.yaml", "--address", address, *options]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_a_study_runs_on_a_cluster_it_attaches_to_and_leaves_it_running(
    cluster: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    address, environment = cluster
    done = run(tmp_path, address, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (tmp_path / "mlruns" / "attached" / "journal.jsonl").read_text().splitlines()
    results = [record["result"] for record in map(json.loads, lines) if record["kind"] == "result"]
    assert [result["status"] for result in results] == ["finished"] * 5
    assert sorted((r["trial"]["arm"], r["trial"]["role"]) for r in results) == [
        ("baseline", "confirmation"),
        ("grid", "confirmation"),
        ("grid", "search"),
        ("grid", "search"),
        ("sqrt", "confirmation"),
    ]
    host, port = address.split(":")
    socket.create_connection((host, int(port)), timeout=5).close()  # the cluster is still there


def test_an_own_application_is_sent_to_workers_that_cannot_import_it(
    cluster: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    """Its file removes itself when the command has read it, so that workers have nothing but what was sent."""
    address, environment = cluster
    file = write(tmp_path, "import torch\n", "import pathlib\n\nimport torch\n\npathlib.Path(__file__).unlink(True)\n")
    study = PLANE.replace("name: plane", "name: attached")
    done = run(tmp_path, address, environment, "--app", f"{file.name}:sides", study=study)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not file.exists()
    lines = (tmp_path / "mlruns" / "attached" / "journal.jsonl").read_text().splitlines()
    results = [record["result"] for record in map(json.loads, lines) if record["kind"] == "result"]
    assert [result["status"] for result in results] == ["finished"] * NUM_TRIALS
    assert min(result["test_score"] or 1.0 for result in results) > 0.65
