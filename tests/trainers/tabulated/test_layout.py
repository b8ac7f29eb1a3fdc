"""Tables of one's own in CSV and parquet files."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.trainers.tabulated.small_tables import asked
from zerotune.trainers.data import DataError
from zerotune.trainers.spec import OptimizerSpec
from zerotune.trainers.tabulated.layout import Layout, model_options, read_table

COLUMNS = {"lr": "rate", "batch_size": "bs", "seed": "seed", "score": "acc", "seconds": "time", "width": "width"}
CSV = """rate,bs,seed,acc,time,width,set
0.01,16,1,0.7,20,64,a
0.01,16,2,nan,21,64,a
0.1,16,1,0.6,30,64,a
0.01,16,1,0.9,20,64,b
"""


def layout(folder: Path, text: str = CSV, **changes: Any) -> Layout:
    (folder / "sweep.csv").write_text(text, encoding="utf-8")
    values: dict[str, Any] = {
        "name": "sweep",
        "file": folder / "sweep.csv",
        "metric": "accuracy",
        "higher_is_better": True,
        "chance_score": 0.1,
        "columns": COLUMNS,
        "fixed": {"optimizer": "momentum", "epochs": 5},
        "select": {"set": "a"},
        "num_train": 100,
    }
    return Layout(**{**values, **changes})


CONFIG = asked(optimizer=OptimizerSpec(name="momentum"), model_options={"width": 64})


def test_a_row_is_a_training(tmp_path: Path) -> None:
    table = read_table(layout(tmp_path))
    found = table.look_up(CONFIG)
    assert (found.validation_score, found.epochs[0].device_seconds, found.epochs[0].samples) == (0.7, 20.0, 500)
    assert model_options(table).defaults == {"width": 64}


def test_a_row_without_a_finite_score_diverged(tmp_path: Path) -> None:
    found = read_table(layout(tmp_path)).look_up(asked(seed=2, optimizer=CONFIG.optimizer, model_options={"width": 64}))
    assert (found.status, found.validation_score) == ("diverged", 0.1)


def test_a_table_without_seeds_answers_for_every_seed(tmp_path: Path) -> None:
    columns = {part: column for part, column in COLUMNS.items() if part != "seed"}
    one = CSV.replace("0.01,16,2,nan,21,64,a\n", "")
    table = read_table(layout(tmp_path, one, columns=columns))
    assert table.seeds == ()
    of = {"lr": 0.1, "optimizer": CONFIG.optimizer, "model_options": {"width": 64}}
    assert {table.look_up(asked(seed=seed, **of)).validation_score for seed in (1, 7)} == {0.6}


@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet"])
def test_compressed_and_parquet_files_are_read_alike(suffix: str, tmp_path: Path) -> None:
    plain = layout(tmp_path)
    rows, file = pd.read_csv(plain.file), tmp_path / f"sweep{suffix}"
    rows.to_parquet(file) if suffix == ".parquet" else rows.to_csv(file, index=False)
    table, expected = read_table(layout(tmp_path, file=file)), read_table(plain)
    assert (table.axes, table.seeds, table.cells) == (expected.axes, expected.seeds, expected.cells)
    assert table.look_up(CONFIG) == pytest.approx(expected.look_up(CONFIG), nan_ok=True) or math.isclose(
        table.look_up(CONFIG).validation_score, 0.7
    )


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("0.1,16,1,", "0.01,16,1,", "sweep.csv:4: holds the training of sweep.csv:2 again (learning rate 0.01, batch"),
        ("0.1,16,1,", "big,16,1,", "sweep.csv:4: column 'rate' (lr) must hold numbers, got 'big'"),
        ("0.1,16,1,", "0.1,16.5,1,", "sweep.csv:4: column 'bs' (batch_size) must be a whole number, got 16.5"),
        ("0.1,16,1,", ",16,1,", "sweep.csv:4: column 'rate' (lr) is empty"),
        ("1,0.6,30", "1,60.0,30", "sweep.csv:4: column 'acc' (score) is 60, but 'accuracy' is at most 1"),
        ("1,0.6,30", "1,0.6,-1", "sweep.csv:4: column 'time' (seconds) must be at least 0, got -1"),
        ("bs,seed", "size,seed", "sweep.csv: has no column 'bs': its columns are rate, size, seed, acc, time"),
        (",a\n", ",c\n", "sweep.csv: no row is left where column 'set' is 'a' (select)"),
    ],
)
def test_a_mistake_in_the_file_is_a_sentence_with_its_line(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    assert old in CSV
    with pytest.raises(DataError) as caught:
        read_table(layout(tmp_path, CSV.replace(old, new)))
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"columns": {"lr": "rate"}}, (("columns",), "score is missing: name the column of the validation scores")),
        ({"fixed": {"optimizer": "momentum"}}, (("fixed",), "epochs is missing: name its column, or give the value")),
        (
            {"fixed": {"optimizer": "momentum", "epochs": 5, "lr": 0.1}},
            (("fixed", "lr"), "is also a column: a part differs between rows or is fixed"),
        ),
        (
            {"fixed": {"optimizer": "momentum", "epochs": 5, "depth": 2}},
            (("fixed", "depth"), "is no setting and no option of an optimizer or a decay, and a study cannot set it"),
        ),
        ({"file": Path("sweep.xlsx")}, (("file",), "must end in .csv, .csv.gz or .parquet, got 'sweep.xlsx'")),
    ],
)
def test_a_mistake_in_the_layout_is_found(
    changes: dict[str, Any], problem: tuple[tuple[str, ...], str], tmp_path: Path
) -> None:
    place, sentence = problem
    assert [(keys, text[: len(sentence)]) for keys, text in layout(tmp_path, **changes).problems()][:1] == [
        (place, sentence)
    ]
