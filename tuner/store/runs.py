"""Fetch the runs of a study's definition with their tags and per-epoch metrics, in bulk from a database.

MLflow's client builds objects for everything a run has, which takes five milliseconds per run. A database can be
queried for the tags alone, through MLflow's own session and tables. Servers and other kinds of MLflow stores are read
through the client.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import record
from .connection import search_all_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient

RUNS_AT_ONCE = 500
"""Number of runs per metrics query of a database; SQLite accepts a thousand values in one query."""

History = dict[str, dict[int, float]]
"""A run's per-epoch metrics: name -> epoch -> value."""


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """A stored run, without its parameters and metrics.

    `status` is MLflow's, such as FINISHED; `end_time` is in milliseconds since 1970, None if the run has not ended.
    """

    run_id: str
    status: str
    end_time: int | None
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class KnownRun:
    """What a writer knows of a trial's run: its id, the record in it, its parent's id, and whether it is running."""

    run_id: str
    record: str
    parent: str
    is_running: bool


def find_runs(client: "MlflowClient", experiment_id: str, fingerprint: str) -> "_ClientRuns | _DatabaseRuns":
    """Return access to the runs with a definition's fingerprint, in the fastest way the store supports.

    `stored` gives all runs except deleted ones, oldest first, and `histories` the per-epoch metrics of some, by run id.
    """
    new_session = getattr(client._tracking_client.store, "ManagedSessionMaker", None)
    if new_session is None:
        return _ClientRuns(client, experiment_id, fingerprint)
    return _DatabaseRuns(new_session, experiment_id, fingerprint)


class _ClientRuns:
    """Runs read through MLflow's client: one request per thousand runs, and one per metric and run."""

    def __init__(self, client: "MlflowClient", experiment_id: str, fingerprint: str) -> None:
        self._client = client
        self._runs = search_all_runs(client, experiment_id, f"tags.`{record.TAG_FINGERPRINT}` = '{fingerprint}'")

    def stored(self) -> list[StoredRun]:
        return [
            StoredRun(run_id=run.info.run_id, status=run.info.status, end_time=run.info.end_time, tags=run.data.tags)
            for run in self._runs
        ]

    def histories(self, run_ids: Collection[str]) -> Mapping[str, History]:
        metrics = {run.info.run_id: run.data.metrics for run in self._runs}
        return {run_id: dict(self._history(run_id, metrics[run_id])) for run_id in run_ids}

    def _history(self, run_id: str, metrics: Collection[str]) -> Iterator[tuple[str, dict[int, float]]]:
        for key in record.EPOCH_METRICS.values():
            if key in metrics:
                found = self._client.get_metric_history(run_id, key)
                yield key, {metric.step: metric.value for metric in found}


class _DatabaseRuns:
    """Runs read from the tables of MLflow's database; `new_session` opens a SQLAlchemy session."""

    def __init__(
        self, new_session: Callable[[], AbstractContextManager[Any]], experiment_id: str, fingerprint: str
    ) -> None:
        self._new_session, self._experiment_id, self._fingerprint = new_session, experiment_id, fingerprint

    def stored(self) -> list[StoredRun]:
        from mlflow.store.tracking.dbmodels.models import SqlRun, SqlTag
        from sqlalchemy import select
        from sqlalchemy.orm import aliased

        marked = aliased(SqlTag)
        query: Any = (
            select(SqlRun.run_uuid, SqlRun.status, SqlRun.end_time, SqlTag.key, SqlTag.value)
            .join(SqlTag, SqlTag.run_uuid == SqlRun.run_uuid)
            .join(marked, marked.run_uuid == SqlRun.run_uuid)
            .where(SqlRun.experiment_id == int(self._experiment_id), SqlRun.lifecycle_stage == "active")
            .where(marked.key == record.TAG_FINGERPRINT, marked.value == self._fingerprint)
            .order_by(SqlRun.start_time, SqlRun.run_uuid)
        )
        found: dict[str, tuple[str, int | None, dict[str, str]]] = {}
        with self._new_session() as session:
            for run_id, status, end_time, key, value in session.execute(query):
                found.setdefault(run_id, (status, end_time, {}))[2][key] = value
        return [
            StoredRun(run_id=run_id, status=status, end_time=end_time, tags=tags)
            for run_id, (status, end_time, tags) in found.items()
        ]

    def histories(self, run_ids: Collection[str]) -> Mapping[str, History]:
        from mlflow.store.tracking.dbmodels.models import SqlMetric
        from sqlalchemy import select

        found: dict[str, History] = {run_id: {} for run_id in run_ids}
        query: Any = select(SqlMetric.run_uuid, SqlMetric.key, SqlMetric.step, SqlMetric.value).where(
            SqlMetric.key.in_(record.EPOCH_METRICS.values())
        )
        with self._new_session() as session:
            ids = list(run_ids)
            for begin in range(0, len(ids), RUNS_AT_ONCE):
                some = ids[begin : begin + RUNS_AT_ONCE]
                for run_id, key, step, value in session.execute(query.where(SqlMetric.run_uuid.in_(some))):
                    found[run_id].setdefault(key, {})[step] = value
        return found
