"""PD1: the trainings of Wang et al., Pre-trained Gaussian processes for Bayesian optimization (arXiv 2109.08215).

The extracted archive `pd1.tar.gz`: `pd1_matched_phase0_results.jsonl` and its three siblings, packed or not, a training
a line. Every task is a data set, a model and a batch size; all are tuned (Nesterov momentum over a space of four
hyperparameters). The score is the best validation error rate, or the best cross entropy where there is none.
"""

from pathlib import Path

from ..errors import BadInput
from .reading import ADVICE, Row, read_json_lines
from .training import PastTraining

FILES = tuple(f"pd1_{kind}_phase{phase}_results.jsonl" for kind in ("matched", "unmatched") for phase in (0, 1))
METRICS = ("error_rate", "ce_loss")
"""The scores that decide, in the order of preference; both are errors."""
HYPERPARAMETERS = {
    "hps.lr_hparams.initial_value": "lr",
    "hps.opt_hparams.momentum": "momentum",
    "hps.lr_hparams.power": "decay_power",
    "hps.lr_hparams.decay_steps_factor": "decay_steps_factor",
}
"""The searched hyperparameters, by their columns."""


def read_pd1(folder: Path) -> list[PastTraining]:
    """Return the trainings of the extracted archive.

    Raises:
        BadInput: none of its files is there, or a file is damaged.
    """
    files = [path for name in FILES for path in (folder / name, folder / f"{name}.gz") if path.is_file()]
    if not files:
        raise BadInput(f"{folder}: has none of {', '.join(FILES)}: extract pd1.tar.gz and name its folder")
    return [
        _training(row, number, file.name.removesuffix(".gz").removesuffix("_results.jsonl").removeprefix("pd1_"))
        for file in files
        for number, row in enumerate(read_json_lines(file))
    ]


def _training(row: Row, number: int, study: str) -> PastTraining:
    metric = next((name for name in METRICS if row.finite(f"best_valid/{name}") is not None), METRICS[0])
    score = row.finite(f"best_valid/{metric}")
    diverged = row.text("status") == "diverged"
    hyperparameters = {name: row.finite(column) for column, name in HYPERPARAMETERS.items()}
    return PastTraining(
        collection="pd1",
        workload=f"{row.text('dataset')} {row.text('model')}",
        arm=str(row.values.get("hps.optimizer") or "nesterov"),
        tuned=True,
        study=study,
        trial=number,
        metric=metric,
        higher_is_better=False,
        score=None if diverged else score,
        test_score=None if diverged else _test_score(row, metric),
        status="diverged" if diverged else "failed" if score is None else "finished",
        batch_size=row.whole("hps.batch_size"),
        lr=hyperparameters["lr"],
        seed=row.whole("hps.rng_seed"),
        steps=_last_step(row),
        hyperparameters=hyperparameters,
        curve=tuple(_curve(row, metric)),
        curve_unit="steps",
    )


def _curve(row: Row, metric: str) -> list[tuple[float, float]]:
    """Return the finite validation scores by step, from two lists of the same length; none where there are no lists."""
    steps, scores = _list(row, "global_step"), _list(row, f"valid/{metric}")
    if len(steps) != len(scores):
        raise BadInput(
            f"{row.place}: valid/{metric} has {len(scores)} values for the {len(steps)} of global_step: {ADVICE}"
        )
    pairs = zip(steps, scores, strict=True)
    return [(step, score) for step, score in pairs if step is not None and score is not None]


def _test_score(row: Row, metric: str) -> float | None:
    """Return the test score where the validation score is best; None where it was not recorded."""
    scores, place = _list(row, f"test/{metric}"), row.whole(f"best_valid/{metric}_index")
    return scores[place] if place is not None and 0 <= place < len(scores) else None


def _last_step(row: Row) -> int | None:
    last = next((step for step in reversed(_list(row, "global_step")) if step is not None), None)
    return None if last is None else int(last)


def _list(row: Row, column: str) -> list[float | None]:
    """Return a list of numbers, None for those that are not finite; empty where the row has no list."""
    found = row.values.get(column)
    if not isinstance(found, list):
        return []
    return [Row(values={column: value}, place=row.place).finite(column) for value in found]
