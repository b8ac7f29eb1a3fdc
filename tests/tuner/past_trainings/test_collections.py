"""Public collections of trainings, each read from a small download of its layout that the test writes."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.past_trainings import TABLE_HEADER, table_line, write_table
from zerotune.tuner.errors import BadInput
from zerotune.tuner.past_trainings import COLLECTIONS
from zerotune.tuner.past_trainings.algoperf import TABLE_COLUMNS
from zerotune.tuner.past_trainings.training import COLUMNS, PastTraining, to_frame


def write_logs(folder: Path) -> None:
    """Write two trials of a submission in AlgoPerf's layout of trial logs; the second left no evaluation."""
    study = folder / "algoperf_v05" / "logs" / "external_tuning" / "shampoo" / "study_0" / "ogbg_pytorch"
    for number in (1, 2):
        trial = study / f"trial_{number}"
        trial.mkdir(parents=True)
        metadata = {"workload.target_metric_name": "mean_average_precision", "rng_seed": 7}
        (trial / "meta_data_0.json").write_text(json.dumps(metadata), encoding="utf-8")
    (study / "trial_1" / "hparams.json").write_text('{"learning_rate": 0.002, "beta1": 0.9}', encoding="utf-8")
    (study / "trial_1" / "eval_measurements.csv").write_text(
        "accumulated_submission_time,global_step,test/mean_average_precision,validation/accuracy,"
        "validation/mean_average_precision\n27.2,1,0.0257,0.42,0.0242\n478.3,1947,0.25,0.98,0.27\n929.5,3894,0.24,0.98,nan\n",
        encoding="utf-8",
    )


def write_batch_science(folder: Path) -> None:
    """Write a study of three trials: complete, infeasible and incomplete."""
    study = folder / "mnist" / "simple_cnn" / "sgd" / "64"
    definition = {"batch_size": 64, "dataset": "mnist", "model": "simple_cnn", "optimizer": "sgd"}
    for number, status in ((1, "COMPLETE"), (2, "INFEASIBLE"), (10, "INCOMPLETE")):
        trial = study / str(number)
        trial.mkdir(parents=True)
        metadata = {"trial_id": number, "status": status, "steps": 2000, "parameters": {"learning_rate": 0.1}}
        (trial / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
        (trial / "measurements.csv").write_text(
            "step,val/classification_error,test/classification_error\n0,0.9,0.91\n1000,0.02,0.03\n2000,0.04,0.02\n",
            encoding="utf-8",
        )
    (study / "study.json").write_text(json.dumps(definition), encoding="utf-8")


def write_pd1(folder: Path) -> None:
    """Write a finished and a diverged training."""
    done = {
        "dataset": "imagenet",
        "model": "resnet50",
        "status": "done",
        "hps.batch_size": 512,
        "hps.rng_seed": 3,
        "hps.optimizer": "nesterov",
        "hps.lr_hparams.initial_value": 0.5,
        "hps.opt_hparams.momentum": 0.9,
        "best_valid/error_rate": 0.25,
        "best_valid/error_rate_index": 1,
        "global_step": [100, 200, 300],
        "valid/error_rate": [0.9, 0.25, None],
        "test/error_rate": [0.9, 0.26, 0.3],
    }
    lines = [done, {**done, "status": "diverged"}]
    packed = folder / "pd1_matched_phase0_results.jsonl.gz"
    packed.write_bytes(gzip.compress("\n".join(json.dumps(line) for line in lines).encode()))


def test_the_table_of_algoperf(tmp_path: Path) -> None:
    write_table(tmp_path, [table_line(workload="wmt_jax", trial=2)])
    (found,) = COLLECTIONS["algoperf"](tmp_path)
    assert found == PastTraining(
        collection="algoperf_v05",
        workload="wmt",
        arm="tuned_one",
        tuned=True,
        study="0",
        trial=2,
        metric="bleu",
        higher_is_better=True,
        score=30.0,
        test_score=29.0,
        lr=0.001,
        steps=1000,
        seconds=200.0,
        seconds_to_best=150.0,
        hyperparameters={"learning_rate": 0.001},
        curve=((10.0, 1.0), (100.0, 29.5)),
    )


def test_a_target_is_reached_at_the_first_recorded_score_or_at_the_best(tmp_path: Path) -> None:
    write_table(tmp_path, [table_line()])
    (found,) = COLLECTIONS["algoperf"](tmp_path)
    assert [found.seconds_to(target) for target in (0.5, 29.5, 29.9, 31.0)] == [10.0, 100.0, 150.0, float("inf")]


def test_the_trial_logs_of_algoperf(tmp_path: Path) -> None:
    write_logs(tmp_path)
    done, missing = COLLECTIONS["algoperf"](tmp_path)
    assert (done.collection, done.workload, done.arm, done.study, done.trial) == (
        *("algoperf_v05", "ogbg", "shampoo", "0", 1),
    )
    assert (done.metric, done.score, done.test_score, done.seconds, done.steps) == (
        *("mean_average_precision", 0.27, 0.25, 929.5, 3894),
    )
    assert (done.lr, done.seed, done.seconds_to_best) == (0.002, 7, 478.3)
    assert done.curve == ((27.2, 0.0242), (478.3, 0.27))
    assert (missing.trial, missing.status, missing.score, missing.seconds) == (2, "failed", None, None)


def test_a_trial_whose_scores_are_never_finite_diverged(tmp_path: Path) -> None:
    write_logs(tmp_path)
    file = next(tmp_path.rglob("eval_measurements.csv"))
    file.write_text("accumulated_submission_time,validation/mean_average_precision\n27.2,nan\n", encoding="utf-8")
    assert COLLECTIONS["algoperf"](tmp_path)[0].status == "diverged"


def test_the_archive_of_batch_science(tmp_path: Path) -> None:
    write_batch_science(tmp_path)
    done, diverged = COLLECTIONS["batch_science"](tmp_path)
    assert (done.workload, done.arm, done.batch_size, done.lr, done.study) == (
        *("mnist simple_cnn", "sgd", 64, 0.1, "B=64"),
    )
    assert (done.score, done.test_score, done.steps, done.curve_unit) == (0.02, 0.03, 2000, "steps")
    assert done.curve == ((0.0, 0.9), (1000.0, 0.02), (2000.0, 0.04))
    assert (diverged.trial, diverged.status, diverged.score) == (2, "diverged", None)


def test_the_archive_of_pd1(tmp_path: Path) -> None:
    write_pd1(tmp_path)
    done, diverged = COLLECTIONS["pd1"](tmp_path)
    assert (done.workload, done.batch_size, done.lr, done.seed, done.study) == (
        *("imagenet resnet50", 512, 0.5, 3, "matched_phase0"),
    )
    assert (done.score, done.test_score, done.steps) == (0.25, 0.26, 300)
    assert done.curve == ((100.0, 0.9), (200.0, 0.25))
    assert (diverged.status, diverged.score, diverged.test_score) == ("diverged", None, None)


@pytest.mark.parametrize(
    ("name", "write"),
    [("algoperf", write_logs), ("batch_science", write_batch_science), ("pd1", write_pd1)],
)
def test_every_collection_becomes_one_table(name: str, write: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path)
    frame = to_frame(COLLECTIONS[name](tmp_path))
    assert (tuple(frame.columns), len(frame)) == (COLUMNS, 2)


@pytest.mark.parametrize("name", COLLECTIONS)
def test_a_folder_without_the_collection_says_what_belongs_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=rf"^{tmp_path}: has (none of|no|neither) .*: (name|extract) .*folder"):
        COLLECTIONS[name](tmp_path)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ({"seconds": "soon"}, "line 2: seconds: expected a number, got 'soon': download the file again"),
        ({"trial": "1.5"}, "line 2: trial: expected a whole number, got 1.5"),
        ({"trial": ""}, "line 2: trial: expected a whole number, got nothing"),
        ({"direction": "up"}, "line 2: direction: expected min or max, got 'up'"),
        ({"ruleset": "none"}, "line 2: ruleset: expected external_tuning or self_tuning, got 'none'"),
        ({"workload": ""}, "line 2: workload: expected a text, got nothing"),
        ({"hyperparameters": "{"}, "line 2: hyperparameters: is not JSON"),
        ({"hyperparameters": "[1]"}, r"line 2: hyperparameters: expected a JSON object, got '\[1\]'"),
        ({"validation_curve": "1:2 3"}, "line 2: validation_curve: expected points such as 743:0.142, got '3'"),
    ],
)
def test_a_damaged_row_is_named_with_line_and_column(line: dict[str, str], sentence: str, tmp_path: Path) -> None:
    write_table(tmp_path, [table_line(**line)])
    with pytest.raises(BadInput, match=f"trials.csv.gz, {sentence}"):
        COLLECTIONS["algoperf"](tmp_path)


def test_a_missing_column_and_a_file_that_is_cut_off_are_named(tmp_path: Path) -> None:
    file = tmp_path / "trials.csv"
    file.write_text(TABLE_HEADER.replace("steps,", "") + "\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"trials\.csv: lacks the column 'steps'; its columns are leaderboard, "):
        COLLECTIONS["algoperf"](tmp_path)
    packed = gzip.compress((TABLE_HEADER + "\n").encode() * 100)
    (tmp_path / "trials.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(BadInput, match=r"trials\.csv\.gz: is damaged \(.*\): download it again"):
        COLLECTIONS["algoperf"](tmp_path)


def test_curves_of_unequal_length_are_named(tmp_path: Path) -> None:
    write_pd1(tmp_path)
    line = {"dataset": "a", "model": "b", "status": "done", "global_step": [1], "valid/error_rate": [0.5, 0.4]}
    (tmp_path / "pd1_matched_phase0_results.jsonl").write_text(json.dumps(line), encoding="utf-8")
    with pytest.raises(BadInput, match="jsonl, line 1: valid/error_rate has 2 values for the 1 of global_step"):
        COLLECTIONS["pd1"](tmp_path)


def test_the_test_writes_the_columns_that_are_read() -> None:
    assert tuple(TABLE_HEADER.split(",")) == TABLE_COLUMNS
