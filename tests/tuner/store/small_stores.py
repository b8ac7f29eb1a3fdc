"""A small study's store, and direct MLflow access for its tests."""

from typing import Any

from mlflow import MlflowClient

from zerotune.tuner.store import Store

DEFINITION = {"name": "small", "arms": [{"name": "date", "method": "date"}], "note": "x" * 12_000}
FINGERPRINT = "0123abcd"


def open_store(uri: str, fingerprint: str = FINGERPRINT, name: str = "small") -> Store:
    return Store(uri, name, fingerprint, DEFINITION, {"date": "date", "grid": "grid search"})


def find_runs(uri: str, filter_string: str = "", name: str = "small") -> list[Any]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], filter_string))


def fail(*_: Any, **__: Any) -> Any:
    raise OSError("disk is full")


def fail_for_trials(log_batch: Any) -> Any:
    """Return a `log_batch` that fails when writing metrics, which only trial runs have here."""

    def broken(self: MlflowClient, run_id: str, **values: Any) -> Any:
        if values.get("metrics"):
            raise OSError("disk is full")
        return log_batch(self, run_id, **values)

    return broken
