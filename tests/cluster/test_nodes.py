"""Machines join and leave a cluster while a study runs: every trial finishes exactly once."""

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from tests.cluster.nodes import MARKS, Nodes, ended, output, zerotune
from zerotune.tuner.trial import result_from_content

STUDY = """
name: nodes
application: lenet_mnist
data: {source: mnist5k}
epochs: 16
batch_sizes: [256]
seeds: [1]
reference: grid
baseline: {batch_size: 128, optimizer: momentum, lr: 0.02}
arms:
  - {name: grid, method: grid, space: {lr: {choices: [0.02, 0.03, 0.04]}}}
  - {name: sqrt, method: sqrt}
"""
NUM_TRIALS = 1 + 3 + 1 + 1
PATIENCE_SECONDS = 120

pytestmark = MARKS


def records(journal: Path, kind: str | None = None) -> list[dict[str, Any]]:
    if not journal.exists():
        return []
    whole = [line for line in journal.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [record for record in map(json.loads, whole) if kind in (None, record["kind"])]


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline, "the study did not get so far"
        time.sleep(0.1)


def training(journal: Path) -> set[object]:
    """Return the trials that have finished an epoch and have no result yet."""
    return {record["trial"] for record in records(journal, "epochs")} - {
        result_from_content(record["result"]).trial.id for record in records(journal, "result")
    }


def test_a_study_survives_machines_that_are_killed_and_uses_one_that_is_added(tmp_path: Path) -> None:
    """The head has no core for trials, and every other machine has one.

    So while two trials are training, each of the two machines trains one. Once both machines are killed, any training
    is on the added one. Trials last for several worker reports, two seconds apart, so that they are seen in training.
    """
    (tmp_path / "nodes.yaml").write_text(STUDY)
    journal = tmp_path / "mlruns" / "nodes" / "journal.jsonl"
    with Nodes(tmp_path, head_cpus=0) as cluster:
        cluster.add("127.0.0.2", cpus=1)
        cluster.add("127.0.0.3", cpus=1)
        with ended(zerotune(tmp_path, cluster.environment, "run", "nodes.yaml", "--address", cluster.address)) as study:
            wait_until(lambda: len(training(journal)) == 2)
            cluster.kill("127.0.0.2")
            wait_until(lambda: len(records(journal, "result")) >= 2)
            cluster.kill("127.0.0.3")
            num_before = len(records(journal, "result"))
            cluster.add("127.0.0.4", cpus=1)
            text = output(study)
    assert study.returncode == 0, text
    assert "3 machines, 2 CPUs" in text
    assert 2 <= num_before < NUM_TRIALS, "the added machine had nothing left to do"
    assert [record["attempt"] for record in records(journal, "started")] == [1] * NUM_TRIALS
    results = [record["result"] for record in records(journal, "result")]
    assert [(result["status"], result["error"]) for result in results] == [("finished", None)] * NUM_TRIALS
    assert set(Counter(json.dumps(r["trial"], sort_keys=True) for r in results).values()) == {1}
    assert [[epoch["epoch"] for epoch in result["epochs"]] for result in results] == [list(range(1, 17))] * NUM_TRIALS
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("nodes")
    assert experiment is not None
    runs = [r for r in client.search_runs([experiment.experiment_id]) if "zerotune.trial" in r.data.tags]
    assert [run.info.status for run in runs] == ["FINISHED"] * NUM_TRIALS
