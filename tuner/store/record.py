"""Convert trials to MLflow run names, tags, parameters and metrics, and back.

Pure functions of results and plain dicts, without mlflow. The tags `arm`, `batch_size`, `role`, `status` ... are for
people. The exact record, which MLflow's floats cannot hold, is in tags under `mlflow.`, which the UI hides.
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any

from ...trainers.spec import EpochMetrics
from ..trial import Trial, TrialResult, canonical_json, content_of, result_from_content

TAG_STUDY = "zerotune.study"
TAG_FINGERPRINT = "zerotune.fingerprint"
TAG_TRIAL = "zerotune.trial"
TAG_PARENT = "mlflow.parentRunId"
TAG_RECORD = "mlflow.zerotune.record"
TAG_INEXACT = "mlflow.zerotune.inexact"
TAG_OTHER_SCORES = "mlflow.zerotune.other_scores"
TAG_DEFINITION = "mlflow.zerotune.study"
TAG_SESSIONS = "mlflow.zerotune.sessions"
TAG_JOURNAL = "zerotune.journal"
TAG_HOST = "zerotune.host"
TAG_FOLDER = "zerotune.folder"
TAG_RESULTS = "zerotune.results"
TAG_PLANNED = "zerotune.planned"
TAG_ENDED = "zerotune.ended"
TAG_TABULATED = "zerotune.tabulated"
"""Tag of a run whose result was looked up in a table of past trainings."""
ROLE_STUDY = "study"
ROLE_ARM = "arm"

TAG_PART_CHARACTERS = 5000
"""Maximum tag length; longer texts are split. MLflow accepts 8,000 characters, older servers 5,000."""

EPOCH_METRICS = {
    "train_loss": "train_loss",
    "validation_loss": "validation_loss",
    "validation_score": "validation_score",
    "lr": "epoch/lr",
    "iterations": "epoch/iterations",
    "samples": "epoch/samples",
    "flops": "epoch/flops",
    "device_seconds": "epoch/device_seconds",
    "words": "epoch/words",
    "measured_joules": "epoch/measured_joules",
}
"""Metric name of each field of `EpochMetrics`. The step is the epoch. Fields that were not measured have no metric."""

RUN_STATUS = {"finished": "FINISHED", "diverged": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
"""MLflow's run status by trial status. Divergence is an outcome of a complete training, so its run is FINISHED and only
the tag `status` shows it. A pruned training was ended early on purpose, so its run is KILLED."""


@dataclass(frozen=True, kw_only=True)
class MetricPoint:
    """One metric value. `step` is the training epoch, 0 for a total; `timestamp` is in milliseconds since 1970."""

    key: str
    value: float
    timestamp: int
    step: int = 0


class RecordError(ValueError):
    """A run's tags or metrics differ from what was written."""


def run_name(trial: Trial) -> str:
    """Return a readable name for a trial's run, such as "date B=8192 lr=0.00354 confirm seed=2"."""
    parts = [trial.arm, f"B={trial.batch_size}", f"lr={trial.config.schedule.peak_lr:.3g}"]
    parts += [f"search {trial.repeat + 1}"] if trial.repeat else []
    if trial.role == "confirmation":
        return " ".join([*parts, "confirm", f"seed={trial.config.seed}"])
    return " ".join([*parts, *([] if trial.arm.endswith(trial.role) else [trial.role]), f"#{trial.index + 1}"])


def params(trial: Trial) -> dict[str, str]:
    """Return a trial's parameters, named alike in every arm.

    Options are named `optimizer.NAME`, `decay.NAME`, `data.NAME` and `model.NAME`; recipe fields are `recipe.NAME`.
    """
    config = trial.config
    schedule = config.schedule
    values: dict[str, object] = {
        "arm": trial.arm,
        "application": config.application,
        "data": config.data,
        "batch_size": config.batch_size,
        "epochs": config.epochs,
        "seed": config.seed,
        "optimizer": config.optimizer.name,
        "lr": schedule.peak_lr,
        "warmup_epochs": schedule.warmup_epochs,
        "warmup": schedule.warmup,
        "warmup_start": schedule.warmup_start,
        "decay": schedule.decay.name,
        **{f"optimizer.{name}": value for name, value in config.optimizer.options.items()},
        **{f"decay.{name}": value for name, value in schedule.decay.options.items()},
        **{f"data.{name}": value for name, value in config.data_options.items()},
        **{f"model.{name}": value for name, value in config.model_options.items()},
        **{f"recipe.{name}": value for name, value in asdict(config.recipe).items()},
    }
    return {name: str(value) for name, value in values.items()}


def tags(result: TrialResult) -> dict[str, str]:
    """Return the tags for filtering and grouping runs, without empty ones."""
    trial = result.trial
    lost_points = sorted({field for _, field, value in _inexact(result) if not math.isfinite(value)})
    values = {
        TAG_TRIAL: trial.id,
        "role": trial.role,
        "repeat": str(trial.repeat or ""),
        "status": result.status,
        "host": result.host,
        "device": result.device,
        "error": (result.error or "")[:TAG_PART_CHARACTERS],
        "divergence": result.divergence or "",
        "reused_from": result.reused_from or "",
        "micro_batch_size": str(result.micro_batch_size or ""),
        "accumulation_steps": str(result.accumulation_steps) if result.micro_batch_size else "",
        "num_workers": str(result.num_workers) if result.num_workers > 1 else "",
        "not_finite": "" if result.is_tabulated else ", ".join(lost_points),
        TAG_TABULATED: "true" if result.is_tabulated else "",
    }
    return {name: value for name, value in values.items() if value}


def start_and_end(result: TrialResult) -> tuple[int, int]:
    """Return when the trial started and ended, in milliseconds since 1970. A reused trial took no time."""
    return int(max(0.0, result.started_at) * 1000), int(result.finished_at * 1000)


def points(result: TrialResult) -> list[MetricPoint]:
    """Return all finite metrics of a trial: its epochs, scores and total cost.

    The last `validation_score` is the one that judges the trial. If it differs from the last epoch's, as for a diverged
    training, which gets the chance score, it is stored one step after the last epoch.
    """
    start, end = start_and_end(result)
    found: list[MetricPoint] = []

    def add(key: str, value: float | None, timestamp: int, step: int = 0) -> None:
        if value is not None and math.isfinite(value) and not (result.is_tabulated and is_not_stated(key, value)):
            found.append(MetricPoint(key=key, value=float(value), timestamp=timestamp, step=step))

    seconds = 0.0
    for epoch in result.epochs:
        seconds += epoch.device_seconds / result.num_workers
        at = end if result.reused_from or result.is_tabulated else start + int(seconds * 1000)
        for field, key in EPOCH_METRICS.items():
            add(key, getattr(epoch, field), at, epoch.epoch)
        for name, score in epoch.other_scores.items():
            add(f"validation_{name}", score, at, epoch.epoch)
    last_step = result.epochs[-1].epoch if result.epochs else 0
    last_score = result.epochs[-1].validation_score if result.epochs else None
    if result.validation_score != last_score:
        add("validation_score", result.validation_score, max(end, start), last_step + 1)
    add("test_score", result.test_score, end, last_step)
    for name, score in result.test_other_scores.items():
        add(f"test_{name}", score, end, last_step)
    for name, value in {**asdict(result.cost), "modelled_joules": result.cost.modelled_joules}.items():
        add(f"cost/{name}", value, end)
    return found


def is_not_stated(key: str, value: float) -> bool:
    """Return whether a metric of a result from a table is no measurement: a count, cost or energy of 0.

    >>> is_not_stated("epoch/flops", 0), is_not_stated("test_score", 0.0)
    (True, False)
    """
    return not value and key.startswith(("epoch/", "cost/")) and not key.endswith("searcher_seconds")


def summary_points(metrics: Mapping[str, float]) -> list[MetricPoint]:
    """Return an arm's finite metrics with the current time."""
    now = int(time.time() * 1000)
    return [MetricPoint(key=k, value=float(v), timestamp=now) for k, v in metrics.items() if math.isfinite(v)]


def record_tags(result: TrialResult) -> dict[str, str]:
    """Return tags with the exact result without its epochs, and the epoch values that MLflow's metrics cannot hold."""
    content = content_of(replace(result, epochs=()))
    for name in ("divergence", "test_samples", "validation_samples"):
        if content[name] is None:  # as an earlier version wrote it, whose run would otherwise be replaced
            del content[name]
    text = canonical_json({"epochs": len(result.epochs), "result": content})
    others = [dict(epoch.other_scores) for epoch in result.epochs]
    return {
        **split_text(TAG_RECORD, text),
        **split_text(TAG_INEXACT, canonical_json(_inexact(result))),
        **(split_text(TAG_OTHER_SCORES, canonical_json(others)) if any(others) else {}),
    }


def result_from_tags(run_tags: Mapping[str, str]) -> tuple[TrialResult, int]:
    """Return the result recorded in a run's tags, without its epochs, and its number of epochs.

    Raises:
        RecordError: the record is truncated, damaged or of another trial.
    """
    try:
        record = json.loads(join_text(TAG_RECORD, run_tags))
        result = result_from_content(record["result"])
        num_epochs = int(record["epochs"])
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(f"its tag {TAG_RECORD} cannot be read") from error
    if result.trial.id != run_tags.get(TAG_TRIAL):
        raise RecordError(f"its tag {TAG_RECORD} holds trial {result.trial.id}, not {run_tags.get(TAG_TRIAL)}")
    return result, num_epochs


def measurement(run_tags: Mapping[str, str]) -> tuple[str, float] | None:
    """Return the trial's id and when it finished, which no two measurements share; None if the run has no result."""
    try:
        finished_at = json.loads(join_text(TAG_RECORD, run_tags))["result"]["finished_at"]
        return run_tags[TAG_TRIAL], float(finished_at)
    except (ValueError, KeyError, TypeError):
        return None


def epochs_from_history(
    run_tags: Mapping[str, str], num_epochs: int, history: Mapping[str, Mapping[int, float]]
) -> tuple[EpochMetrics, ...]:
    """Return the exact epochs of a run by its tags, their number in its record, and metric name -> step -> value.

    Raises:
        RecordError: a value is missing.
    """
    exact = {(epoch, field): value for epoch, field, value in json.loads(join_text(TAG_INEXACT, run_tags))}
    others = json.loads(join_text(TAG_OTHER_SCORES, run_tags) or "[]")
    steps = sorted({*history.get("epoch/samples", {}), *(epoch for epoch, _ in exact)})
    if len(steps) != num_epochs:
        raise RecordError(f"its metrics hold {len(steps)} epochs of {num_epochs}")
    epochs: list[EpochMetrics] = []
    for step in steps:
        values: dict[str, Any] = {"epoch": step}
        for field, key in EPOCH_METRICS.items():
            if (step, field) in exact:
                values[field] = exact[step, field]
                continue
            if step not in history.get(key, {}):
                if field in _LATER_FIELDS:
                    continue
                raise RecordError(f"its metric {key} lacks epoch {step}")
            stored = history[key][step]
            values[field] = int(stored) if field in _INTEGER_FIELDS else stored
        epochs.append(EpochMetrics(**values, other_scores=others[len(epochs)] if others else {}))
    return tuple(epochs)


def split_text(tag: str, text: str) -> dict[str, str]:
    """Split a text of any length into numbered tags of bounded length.

    >>> split_text("note", "short")
    {'note.0': 'short'}
    """
    starts = range(0, max(len(text), 1), TAG_PART_CHARACTERS)
    return {f"{tag}.{i}": text[start : start + TAG_PART_CHARACTERS] for i, start in enumerate(starts)}


def join_text(tag: str, run_tags: Mapping[str, str]) -> str:
    """Join a text split by `split_text`; empty if there is none."""
    parts: list[str] = []
    while (part := run_tags.get(f"{tag}.{len(parts)}")) is not None:
        parts.append(part)
    return "".join(parts)


_INTEGER_FIELDS = {field.name for field in fields(EpochMetrics) if field.type is int}
_LATER_FIELDS = {field.name for field in fields(EpochMetrics) if field.default is not MISSING}
"""Fields that stores of earlier versions lack, and that therefore have a default."""


def _inexact(result: TrialResult) -> list[tuple[int, str, float]]:
    """Return the values that are no metrics, as (epoch, field, value).

    These are the non-finite ones, the integers above 2^53, and zeros that stand for what a table does not state.
    """
    found = []
    for epoch in result.epochs:
        for field, key in EPOCH_METRICS.items():
            value = getattr(epoch, field)
            if value is None:
                continue
            if not math.isfinite(value) or float(value) != value or (result.is_tabulated and is_not_stated(key, value)):
                found.append((epoch.epoch, field, value))
    return found
