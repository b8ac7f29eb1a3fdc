"""AlgoPerf's leaderboards: submissions tuned by five trials (external tuning) and zero-tuned ones (self-tuning).

Two layouts are read, whichever the folder has:

* `trials.csv` or `trials.csv.gz`: a row a training with the columns `TABLE_COLUMNS`;
* the trial logs of mlcommons/submissions_algorithms, at any depth:
  `RULESET/SUBMISSION/study_N/WORKLOAD/trial_M/eval_measurements.csv`, beside it `meta_data_0.json` (the metric) and,
  where it was written, `hparams.json`. A trial without evaluations has failed.

A workload is named without its framework: criteo1tb_jax and criteo1tb_pytorch are the same model on the same hardware.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import BadInput
from .reading import ADVICE, Row, folders, parse_object, read_json, read_rows
from .training import PastTraining

TABLE_COLUMNS = (
    *("leaderboard", "ruleset", "submission", "study", "workload", "trial", "metric", "direction", "best_validation"),
    *("test_at_best", "steps", "seconds", "seconds_at_best", "hyperparameters", "validation_curve"),
)
"""Columns that the table must have; curve points are `seconds:score`, separated by spaces."""

RULESETS = {"external_tuning": True, "self_tuning": False}
"""Whether a ruleset tunes, by its name."""

METRICS = {"loss": False, "wer": False, "ppl": False, "accuracy": True, "ssim": True, "bleu": True}
"""Directions of the metrics that trial logs name; `mean_average_precision` is the other that is higher."""


def read_algoperf(folder: Path) -> list[PastTraining]:
    """Return the trainings of a folder with AlgoPerf's table or trial logs.

    Raises:
        BadInput: the folder has neither, or a file is damaged.
    """
    for name in ("trials.csv.gz", "trials.csv"):
        if (folder / name).is_file():
            return [_table_row(row) for row in read_rows(folder / name, TABLE_COLUMNS)]
    found = [training for trial in sorted(folder.rglob("trial_*")) if trial.is_dir() for training in _logged(trial)]
    if not found:
        raise BadInput(
            f"{folder}: has neither trials.csv.gz nor a folder "
            "external_tuning/SUBMISSION/study_0/WORKLOAD/trial_1: name the folder of AlgoPerf's logs"
        )
    return found


def _table_row(row: Row) -> PastTraining:
    ruleset, direction = row.text("ruleset"), row.text("direction")
    if ruleset not in RULESETS:
        raise BadInput(f"{row.place}: ruleset: expected {' or '.join(RULESETS)}, got {ruleset!r}: {ADVICE}")
    if direction not in ("min", "max"):
        raise BadInput(f"{row.place}: direction: expected min or max, got {direction!r}: {ADVICE}")
    hyperparameters = parse_object(row.values["hyperparameters"] or "", f"{row.place}: hyperparameters")
    score = row.finite("best_validation")
    return PastTraining(
        collection=row.text("leaderboard"),
        workload=workload_name(row.text("workload")),
        arm=row.text("submission"),
        tuned=RULESETS[ruleset],
        study=row.text("study"),
        trial=row.needed_whole("trial"),
        metric=row.text("metric"),
        higher_is_better=direction == "max",
        score=score,
        test_score=row.finite("test_at_best"),
        status="diverged" if score is None else "finished",
        lr=_number(hyperparameters.get("learning_rate")),
        steps=row.whole("steps"),
        seconds=row.finite("seconds"),
        seconds_to_best=row.finite("seconds_at_best"),
        hyperparameters=hyperparameters,
        curve=tuple(_points(row)),
    )


def workload_name(name: str) -> str:
    """Return a workload's name without its framework.

    >>> workload_name("wmt_glu_tanh_pytorch")
    'wmt_glu_tanh'
    """
    return re.sub(r"_(jax|pytorch)$", "", name)


def _points(row: Row) -> Iterator[tuple[float, float]]:
    for point in (row.values["validation_curve"] or "").split():
        seconds, _, score = point.partition(":")
        try:
            yield float(seconds), float(score)
        except ValueError:
            raise BadInput(
                f"{row.place}: validation_curve: expected points such as 743:0.142, got {point!r:.60}: {ADVICE}"
            ) from None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _logged(trial: Path) -> Iterator[PastTraining]:
    """Yield the training of a trial's folder; nothing if the folder lies elsewhere than trial logs do."""
    names = trial.parts
    ruleset = next((name for name in RULESETS if name in names), None)
    study = re.fullmatch(r"study_(\d+)", trial.parent.parent.name)
    number = re.fullmatch(r"trial_(\d+)", trial.name)
    if ruleset is None or study is None or number is None:
        return
    metadata = read_json(trial / "meta_data_0.json") if (trial / "meta_data_0.json").is_file() else None
    evaluations = list(read_rows(trial / "eval_measurements.csv", ())) if _has_evaluations(trial) else []
    metric = _metric(trial, metadata, evaluations)
    column = f"validation/{metric}"
    higher = METRICS.get(metric, True)
    scored = [row for row in evaluations if row.finite(column) is not None]
    best = max(scored, key=lambda row: (row.finite(column) or 0.0) * (1 if higher else -1), default=None)
    hyperparameters = read_json(trial / "hparams.json").values if (trial / "hparams.json").is_file() else {}
    last = evaluations[-1] if evaluations else None
    clock = "accumulated_submission_time"
    yield PastTraining(
        collection=next((name for name in names if name.startswith("algoperf_v")), "algoperf"),
        workload=workload_name(trial.parent.name),
        arm=trial.parent.parent.parent.name,
        tuned=RULESETS[ruleset],
        study=study.group(1),
        trial=int(number.group(1)),
        metric=metric,
        higher_is_better=higher,
        score=best.finite(column) if best else None,
        test_score=best.finite(f"test/{metric}") if best else None,
        status="finished" if best else "diverged" if evaluations else "failed",
        lr=_number(hyperparameters.get("learning_rate")),
        seed=metadata.whole("rng_seed") if metadata else None,
        steps=last.whole("global_step") if last else None,
        seconds=last.finite(clock) if last else None,
        seconds_to_best=best.finite(clock) if best else None,
        hyperparameters=hyperparameters,
        curve=tuple((row.finite(clock) or 0.0, row.finite(column) or 0.0) for row in scored),
    )


def _has_evaluations(trial: Path) -> bool:
    file = trial / "eval_measurements.csv"
    return file.is_file() and file.stat().st_size > 0


def _metric(trial: Path, metadata: Row | None, evaluations: list[Row]) -> str:
    """Return the metric that decides, from the metadata, else from another trial of the workload or the columns."""
    siblings = (read_json(file) for folder in folders(trial.parent) if (file := folder / "meta_data_0.json").is_file())
    for found in (metadata, *siblings):
        if found and (named := found.values.get("workload.target_metric_name")):
            return str(named)
    columns = evaluations[0].values if evaluations else {}
    # Losses stand beside every other metric, so they come last; accuracy stands beside ogbg's precision and WMT's BLEU.
    order = ("mean_average_precision", "bleu", "wer", "ssim", "ppl", "accuracy", "loss")
    return next((name for name in order if f"validation/{name}" in columns), "loss")
