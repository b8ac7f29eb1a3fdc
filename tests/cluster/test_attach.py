"""A study attaches to a running Ray cluster with token authentication: real `ray start`, on loopback."""

import json
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from tests.cluster.nodes import MARKS, Nodes, output, zerotune
from tests.foreign_folder import NUM_TRIALS, write_foreign_folder
from tests.user_applications import OWN, write

pytestmark = MARKS


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """A cluster of one machine."""
    with Nodes(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


RUN = ("run", "plane.yaml", "--app", "plane.py:sides", "--address")


def results(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "mlruns" / "plane" / "journal.jsonl").read_text().splitlines()
    return [record["result"] for record in map(json.loads, lines) if record["kind"] == "result"]


def test_a_study_runs_on_a_cluster_it_attaches_to_and_leaves_it_running(cluster: Nodes, tmp_path: Path) -> None:
    """Its application is sent to workers that cannot import it: the file removes itself once the command has read it.

    Token authentication is turned on from the available token, and the file's permissions are restricted. The current
    folder does not decide which code the workers run.
    """
    token = Path(cluster.environment["RAY_AUTH_TOKEN_PATH"])
    token.chmod(0o644)
    write_foreign_folder(tmp_path, resources="{max_concurrent: 1}")
    removal = "import pathlib\n\nimport torch\n\npathlib.Path(__file__).unlink(True)\n"
    (tmp_path / "plane.py").write_text(OWN.replace("import torch\n", removal, 1), encoding="utf-8")
    without_mode = {name: value for name, value in cluster.environment.items() if name != "RAY_AUTH_MODE"}
    text = output(study := zerotune(tmp_path, without_mode, *RUN, cluster.address))
    assert study.returncode == 0, text
    assert not (tmp_path / "plane.py").exists()
    assert "here and on the cluster" in text
    assert "1 machine, 2 CPUs and 0 GPUs; token authentication on" in text
    assert token.stat().st_mode & 0o777 == 0o600
    found = results(tmp_path)
    assert [result["status"] for result in found] == ["finished"] * NUM_TRIALS
    assert sorted((r["trial"]["arm"], r["trial"]["role"]) for r in found) == [  # type: ignore[index]
        ("baseline", "confirmation"),
        ("sqrt", "confirmation"),
        ("tuned", "confirmation"),
        ("tuned", "search"),
        ("tuned", "search"),
    ]
    assert min(result["test_score"] or 1.0 for result in found) > 0.65  # type: ignore[type-var]
    host, port = cluster.address.split(":")
    socket.create_connection((host, int(port)), timeout=5).close()  # the cluster still runs


def test_a_study_with_another_token_is_refused_and_fails_no_trial(cluster: Nodes, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(secrets.token_hex(24))
    write(tmp_path)
    environment = {**cluster.environment, **without_token(tmp_path)}
    text = output(study := zerotune(tmp_path, environment, *RUN, cluster.address))
    assert study.returncode == 4, text
    assert f"--address {cluster.address}:" in text
    assert "whether the token here is the right one" in text.splitlines()[-1]
    assert "Traceback" not in text
    assert results(tmp_path) == []


def without_token(home: Path) -> dict[str, str]:
    """Return variables by which only the token in a folder is found, and an answer is not awaited for long."""
    return {"RAY_AUTH_TOKEN_PATH": str(home / "token"), "HOME": str(home), "RAY_NUM_REDIS_GET_RETRIES": "2"}


JOIN = """
import sys

import ray

from zerotune.tuner.errors import ZerotuneError
from zerotune.tuner.execution.ray.cluster import connect
from zerotune.tuner.execution.trial_runner import Execution

address, *words = sys.argv[1:]
for ray.__version__, number in zip(words[::2], words[1::2], strict=True):
    try:
        with connect(Execution(address=address, cpus_per_trial=int(number))):
            print("joined")
    except ZerotuneError as error:
        print(error.exit_code, error)
"""
"""Joins a cluster as a version of Ray, for trials with a number of cores, once for each such pair.

A study does the same, but imports all that it needs later first.
"""


def join(folder: Path, environment: dict[str, str], address: str, *words: str) -> str:
    """Return what joining the cluster prints, in one line."""
    process = zerotune(folder, environment, address, *words, program=("-c", JOIN))
    text = " ".join(output(process).split())
    assert process.returncode == 0, text
    return text


def test_a_cluster_is_not_joined_without_a_token(cluster: Nodes, tmp_path: Path) -> None:
    environment = {**cluster.environment, **without_token(tmp_path), "RAY_AUTH_MODE": "disabled"}
    text = join(tmp_path, environment, cluster.address, ray.__version__, "1")
    assert f"4 --address {cluster.address}:" in text
    assert text.endswith("whether it requires a token (RAY_AUTH_TOKEN_PATH=FILE)")


def test_a_cluster_is_refused_that_has_no_such_machine_or_another_version(cluster: Nodes, tmp_path: Path) -> None:
    words = (ray.__version__, "64", "2.56.0", "1")
    small, _, other = join(tmp_path, cluster.environment, cluster.address, *words).partition(" 4 ")
    assert small.startswith("2 resources: a trial asks for 64 CPUs and 0 GPUs, and no machine of the cluster has that")
    assert f"it runs Ray {ray.__version__} and Python" in other
    assert "and this program Ray 2.56.0 and Python" in other
    assert "both must be the same" in other
