"""The peer of the whole-study benchmarks: stock Ray Tune with its MLflow callback, on a local cluster."""

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Results of a run of Tune.

    Attributes:
        metrics: the last report of every trial.
        connected_at: when the cluster had started, seconds since the epoch.
        ended_at: when the last trial was logged.
        cpu_seconds: CPU seconds of this process while Tune ran.
    """

    metrics: list[Mapping[str, Any]]
    connected_at: float
    ended_at: float
    cpu_seconds: float


def fit(
    trainable: Callable[..., None], space: Mapping[str, Any], *, num_samples: int, reuse_actors: bool, study: str
) -> Fitted:
    """Run trials of one core each, and log them to a new SQLite store.

    Raises:
        RuntimeError: a trial failed.
    """
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    connected_at = time.time()
    with tempfile.TemporaryDirectory(prefix="tune-peer-") as folder:
        callback = MLflowLoggerCallback(
            tracking_uri=f"sqlite:///{folder}/mlflow.db", experiment_name=study, save_artifact=False
        )
        cpu = time.process_time()
        results = tune.Tuner(
            trainable,
            param_space=dict(space),
            tune_config=tune.TuneConfig(num_samples=num_samples, reuse_actors=reuse_actors),
            run_config=tune.RunConfig(storage_path=folder, callbacks=[callback], verbose=0),
        ).fit()
        ended_at, cpu = time.time(), time.process_time() - cpu
        if results.errors:
            raise RuntimeError(f"{results.num_errors} trials failed: {results.errors[0]}")
        metrics = [result.metrics for result in results]
        ray.shutdown()
    return Fitted(metrics=metrics, connected_at=connected_at, ended_at=ended_at, cpu_seconds=cpu)
