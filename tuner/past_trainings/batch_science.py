"""The trainings of Shallue et al., Measuring the effects of data parallelism (JMLR 20, 2019; arXiv 1811.03600).

The extracted archive `batch_science_data.tar.bz2`: `DATASET/MODEL/OPTIMIZER/BATCH_SIZE/study.json`, and for each trial
`TRIAL/metadata.json` (`parameters`, `status`, `steps`) and `TRIAL/measurements.csv` (`step`, `val/...`, `test/...`).
Groups such as `mnist_subsets/` may stand above the data set. All its arms are tuned: each study is a random search at
one batch size. Trials that its authors call INCOMPLETE are left out, as they advise; an INFEASIBLE one diverged.
"""

from collections.abc import Iterator
from pathlib import Path

from ..errors import BadInput
from .reading import Row, folders, read_json, read_rows
from .training import PastTraining

METRICS = ("val/classification_error", "val/cross_entropy_error")
"""The validation scores that decide, in the order of preference; both are errors."""


def read_batch_science(folder: Path) -> list[PastTraining]:
    """Return the trainings of the extracted archive, or of a part of it.

    Raises:
        BadInput: no study is there, or a file is damaged.
    """
    studies = sorted(folder.rglob("study.json"))
    if not studies:
        raise BadInput(
            f"{folder}: has no DATASET/MODEL/OPTIMIZER/BATCH_SIZE/study.json: extract batch_science_data.tar.bz2 and "
            "name the folder batch_science/ that it makes"
        )
    return [training for study in studies for training in _trials(study, study.parent.relative_to(folder))]


def _trials(study_file: Path, place: Path) -> Iterator[PastTraining]:
    study = read_json(study_file)
    group = "/".join((*place.parts[:-4], ""))[:-1]
    workload = f"{study.text('dataset')} {study.text('model')}"
    for trial in folders(study_file.parent):
        metadata = read_json(trial / "metadata.json")
        status = metadata.text("status")
        if status == "INCOMPLETE":
            continue
        file = trial / "measurements.csv"
        rows = list(read_rows(file, ("step",))) if file.is_file() else []
        yield _training(study, metadata, rows, f"{group}: {workload}" if group else workload, status)


def _training(study: Row, metadata: Row, rows: list[Row], workload: str, status: str) -> PastTraining:
    parameters = metadata.values.get("parameters") or {}
    column = next((name for name in METRICS if rows and name in rows[0].values), METRICS[0])
    curve = [(row.finite("step"), row.finite(column)) for row in rows]
    scores = [score for _, score in curve if score is not None]
    best = next((row for row in rows if scores and row.finite(column) == min(scores)), None)
    diverged = status == "INFEASIBLE"
    lr = Row(values=parameters, place=f"{metadata.place}: parameters").finite("learning_rate")
    return PastTraining(
        collection="batch_science",
        workload=workload,
        arm=study.text("optimizer"),
        tuned=True,
        study=f"B={study.needed_whole('batch_size')}",
        trial=metadata.needed_whole("trial_id"),
        metric=column.removeprefix("val/"),
        higher_is_better=False,
        score=None if diverged or best is None else best.finite(column),
        test_score=None if diverged or best is None else best.finite(column.replace("val/", "test/")),
        status="diverged" if diverged else "failed" if best is None else "finished",
        batch_size=study.needed_whole("batch_size"),
        lr=lr,
        steps=metadata.whole("steps"),
        hyperparameters=parameters,
        curve=tuple((step, score) for step, score in curve if step is not None and score is not None),
        curve_unit="steps",
    )
