"""Layouts of tables of past trainings: what is read, and the sentences for what cannot be."""

import gzip
import math
from pathlib import Path

import pytest

from zerotune.tuner.commands.grids.layout import LAYOUTS, find_layout, read_trainings
from zerotune.tuner.errors import BadInput

LAYOUT = """
name: mine
file: sweep.csv
grid: [model]
columns: {lr: rate, batch_size: bs, score: accuracy, tokens: seen}
higher_is_better: true
"""
TABLE = "model,rate,bs,accuracy,seen\nsmall,0.1,32,0.9,1e6\nsmall,0.2,32,,1e6\n"


def write(folder: Path, layout: str = LAYOUT, table: str = TABLE) -> str:
    (folder / "sweep.csv").write_text(table, encoding="utf-8")
    path = folder / "layout.yaml"
    path.write_text(layout, encoding="utf-8")
    return str(path)


def refuse(folder: Path, layout: str = LAYOUT, table: str = TABLE) -> str:
    with pytest.raises(BadInput) as refused:
        read_trainings(*find_layout(write(folder, layout, table)))
    return str(refused.value).replace(str(folder), "DIR")


def test_a_table_is_read_with_its_score_turned_around_and_an_empty_one_as_diverged(tmp_path: Path) -> None:
    first, second = read_trainings(*find_layout(write(tmp_path)))
    assert (first.grid, first.lr, first.batch_size, first.loss, first.tokens) == ("model=small", 0.1, 32, -0.9, 1e6)
    assert first.parameters is None
    assert second.loss == math.inf


def test_the_built_in_layout_reads_a_packed_table(tmp_path: Path) -> None:
    table = "parameters,tokens,lr,batch_size,iterations,loss,smooth_loss\n2e8,4e9,0.001,64,100,2.5,2.6\n"
    (tmp_path / "dense.csv.gz").write_bytes(gzip.compress(table.encode()))
    (one,) = read_trainings(LAYOUTS["step_law"], tmp_path)
    assert (one.grid, one.loss, one.parameters) == ("parameters=2e8, tokens=4e9", 2.6, 2e8)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("grid: [model]", "grid: [modle]", "has no column 'modle', which the layout mine names: did you mean 'model'?"),
        ("higher_is_better", "higher_is_beter", "unknown key: did you mean higher_is_better?"),
        ("lr: rate, ", "", "columns: lr is missing: name the column that holds it"),
        ("tokens: seen", "seed: seen", "unknown; columns has lr, batch_size, score, parameters, tokens, and grid"),
        ("grid: [model]", "grid: model", "must be a list of columns such as [model], got 'model'"),
        ("higher_is_better: true", "higher_is_better: 1", "must be true or false, got 1"),
        ("name: mine", "", "name is missing: a layout states name, file and columns"),
        ("file: sweep.csv", "file: other.csv", "mine: there is no other.csv in DIR: name its folder by --data"),
    ],
)
def test_a_mistake_in_a_layout_is_a_sentence(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in LAYOUT
    assert sentence in refuse(tmp_path, LAYOUT.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("0.1", "fast", "DIR/sweep.csv:2: column 'rate' must be a number, got 'fast': correct or remove the row"),
        ("0.1", "0", "DIR/sweep.csv:2: column 'rate' must be a positive number, got 0.0"),
        ("0.1,32", "0.1,32.5", "DIR/sweep.csv:2: column 'bs' must be a whole number, got 32.5"),
        ("0.1,32", "0.1,", "DIR/sweep.csv:2: column 'bs' must be a positive number, got nan"),
        (TABLE.split("\n", 1)[1], "", "DIR/sweep.csv: has no rows: a training is a row"),
    ],
)
def test_a_mistake_in_a_table_is_a_sentence_with_its_line(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert sentence in refuse(tmp_path, table=TABLE.replace(old, new))


def test_an_unknown_layout_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"step_law.*LAYOUT\.yaml"):
        find_layout("steplaw")


def test_a_table_that_is_no_text_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "dense.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(BadInput, match="cannot be read as a table"):
        read_trainings(LAYOUTS["step_law"], tmp_path)
