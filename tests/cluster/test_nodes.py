"""Machines of a cluster come and go while a study runs: every trial is finished exactly once."""

import json
import time
from collections import Counter
from pathlib import Path

from mlflow import MlflowClient

from tests.cluster.nodes import MARKS, Nodes, ended, output, zerotune

STUDY = """
name: nodes
application: lenet_mnist
data: {source: mnist5k}
epochs: 6
batch_sizes: [256]
seeds: [1, 2]
reference: grid
baseline: {batch_size: 128, optimizer: momentum, lr: 0.02}
arms:
  - {name: grid, method: grid, space: {lr: {choices: [0.02, 0.03, 0.04, 0.05]}}}
  - {name: sqrt, method: sqrt}
"""
NUM_TRIALS = 2 + 4 + 2 + 2
PATIENCE_SECONDS = 120

pytestmark = MARKS


def records(journal: Path, kind: str) -> list[dict[str, object]]:
    if not journal.exists():
        return []
    whole = [line for line in journal.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [record for record in map(json.loads, whole) if record["kind"] == kind]


def wait_for(journal: Path, kind: str, number: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(records(journal, kind)) < number:
        assert time.monotonic() < deadline, f"{len(records(journal, kind))} of {number} {kind} lines"
        time.sleep(0.1)


def test_a_study_survives_a_machine_that_is_killed_and_uses_one_that_is_added(tmp_path: Path) -> None:
    (tmp_path / "nodes.yaml").write_text(STUDY)
    journal = tmp_path / "mlruns" / "nodes" / "journal.jsonl"
    with Nodes(tmp_path, head_cpus=1) as cluster:
        cluster.add("127.0.0.2", cpus=1)
        with ended(zerotune(tmp_path, cluster.environment, "run", "nodes.yaml", "--address", cluster.address)) as study:
            wait_for(journal, "result", 2)
            wait_for(journal, "epochs", len(records(journal, "epochs")) + 2)  # trials are being trained again
            cluster.kill("127.0.0.2")
            wait_for(journal, "result", 4)
            cluster.add("127.0.0.3", cpus=1)
            text = output(study)
    assert study.returncode == 0, text
    assert "2 machines, 2 CPUs" in text
    results = [record["result"] for record in records(journal, "result")]
    assert [(result["status"], result["error"]) for result in results] == [("finished", None)] * NUM_TRIALS  # type: ignore[index]
    assert set(Counter(json.dumps(r["trial"], sort_keys=True) for r in results).values()) == {1}  # type: ignore[index]
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("nodes")
    assert experiment is not None
    runs = [r for r in client.search_runs([experiment.experiment_id]) if "zerotune.trial" in r.data.tags]
    assert [run.info.status for run in runs] == ["FINISHED"] * NUM_TRIALS
