"""`zerotune grids` on a table that the test writes: the sentence, the tables, the files, and what is refused."""

import csv
import json
from pathlib import Path

import pytest

from tests.tuner.analysis.synthetic_grids import OCTAVES, half_power, trainings
from tests.tuner.reports.read_page import Read
from tests.user_applications import CommandFolder
from zerotune.tuner.commands.terminal import PLAIN_WIDTH, console

LAYOUT = """
name: mine
file: sweep.csv
grid: [model]
columns: {lr: lr, batch_size: batch_size, score: loss, parameters: parameters, tokens: tokens}
unit: nats
"""


def write_table(folder: Path, number: int = 9, octaves: range = OCTAVES) -> None:
    """Write grids whose best learning rate grows as sqrt(B); more tokens lower the loss by 0.1 for each factor of e."""
    (folder / "mine.yaml").write_text(LAYOUT, encoding="utf-8")
    with (folder / "sweep.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["model", "lr", "batch_size", "loss", "parameters", "tokens"])
        for place in range(number):
            grid = trainings(half_power, parameters=1e8 * (1 + place % 3), tokens=2e9 * (1 + place), octaves=octaves)
            rows.writerows(
                [place, one.lr, one.batch_size, one.loss - 0.1 * place, one.parameters, one.tokens] for one in grid
            )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandFolder:
    monkeypatch.setattr(console, "width", PLAIN_WIDTH)
    write_table(tmp_path)
    return CommandFolder(tmp_path, monkeypatch, capsys)


def test_the_first_line_answers_the_question(folder: CommandFolder) -> None:
    ended = folder.zerotune("grids", "mine.yaml", "--batch-size", "1024")
    assert (ended.code, ended.err) == (0, "")
    said = " ".join(ended.out.split("\n\n")[0].split())
    assert said == (
        "Tuned at 64 samples, tune again at 1,024? No: the rule sqrt stays within 0.01 nats of the best learning rate's"
        " loss on 9 of 9 grids (median 0.0000 above it). With nothing to fit: constant on 0 (median 0.0320) and"
        " linear on 0 (median 0.0320)."
    )
    assert "From 64 the median loss stays within 0.01 nats: sqrt" in " ".join(ended.out.split())
    assert max(len(line) for line in ended.out.splitlines()) <= PLAIN_WIDTH


def test_few_grids_give_a_careful_answer(folder: CommandFolder) -> None:
    write_table(folder.folder, number=4)
    ended = folder.zerotune("grids", "mine.yaml")
    assert "tune again at 256? Probably not: the rule sqrt" in " ".join(ended.out.split())


def test_where_no_rule_is_good_enough_the_model_must_be_tuned_again(folder: CommandFolder) -> None:
    """With a tolerance of nearly nothing, only a rule that hits the best is good, and none does."""
    with (folder.folder / "sweep.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["model", "lr", "batch_size", "loss", "parameters", "tokens"])
        for place in range(9):
            tilt = 3.0 if place % 2 else -3.0  # up by three octaves on odd grids, down on even ones
            grid = trainings(lambda size, tilt=tilt: tilt if size == 1024 else 0.0, parameters=1e8 + place, tokens=2e9)
            rows.writerows([place, one.lr, one.batch_size, one.loss, one.parameters, one.tokens] for one in grid)
    ended = folder.zerotune("grids", "mine.yaml", "--batch-size", "1024")
    assert "tune again at 1,024? Not shown: the rule" in " ".join(ended.out.split())
    assert "of 9 grids" in ended.out
    ended = folder.zerotune("grids", "mine.yaml", "--batch-size", "1024", "--tolerance", "0.0001")
    assert "tune again at 1,024? Yes: no rule is good enough: the rule" in " ".join(ended.out.split())


def test_a_model_tuned_at_the_largest_batch_is_asked_downwards(
    folder: CommandFolder, without_images: list[str]
) -> None:
    ended = folder.zerotune("grids", "mine.yaml", "--baseline-batch-size", "1024", "--batch-size", "16", "--to", "out")
    assert (ended.code, ended.err) == (0, "")
    assert "Tuned at 1,024 samples, tune again at 16? No: the rule sqrt" in " ".join(ended.out.split())
    assert "the median loss stays within" not in " ".join(ended.out.split())


def test_json_has_the_losses_constants_and_costs(folder: CommandFolder) -> None:
    said = json.loads(folder.zerotune("grids", "mine.yaml", "--batch-size", "1024", "--format", "json").out)
    (found,) = [one for one in said["losses"] if one["rule"] == "constant" and one["batch_size"] == 1024]
    assert (found["cases"], found["within_tolerance"], found["verdict"]) == (9, 0, "no")
    assert found["median"] == pytest.approx(0.032)
    assert [rule["value"] for rule in said["rules"] if rule["rule"] == "power"] == [0.5]
    assert len(said["tuning"]) == 9
    assert said["schema"] == "zerotune.grids"


def test_the_page_has_the_sentence_both_figures_and_every_rule_at_every_batch(
    folder: CommandFolder, without_images: list[str]
) -> None:
    ended = folder.zerotune("grids", "mine.yaml", "--batch-size", "1024", "--to", "out")
    assert ended.out.endswith("out/grids.html\nout/grids.csv\nout/grids_by_k.csv\nout/grids_best.csv\n")
    assert without_images == ["grids_losses.png", "grids_best_lr.png"]
    text = (folder.folder / "out" / "grids.html").read_text(encoding="utf-8")
    assert "Tuned at 64 samples, tune again at 1,024? No: the rule sqrt" in text
    page = Read(text)
    assert len(page.tables["numbers"]) == 1 + 3 * 7
    with (folder.folder / "out" / "grids_best.csv").open(encoding="utf-8") as file:
        bests = [row for row in csv.DictReader(file) if row["batch_size"] == "1024"]
    assert [float(row["best_lr"]) for row in bests] == pytest.approx([4.0] * 9)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--tolerance", "0"), "--tolerance must be a positive number, got 0"),
        (("--baseline-batch-size", "48"), "no grid has a best learning rate at 48 and at a larger batch size"),
        (
            ("--batch-size", "2048"),
            "at both 64 and 2,048: choose --baseline-batch-size and --batch-size of 16, 64, 256",
        ),
        (("--data", "elsewhere"), "mine: there is no sweep.csv in elsewhere: name its folder by --data"),
    ],
)
def test_what_the_table_cannot_answer_is_refused_in_a_sentence(
    folder: CommandFolder, words: tuple[str, str], sentence: str
) -> None:
    said = folder.refuse("grids", "mine.yaml", *words)
    assert sentence in said
    assert said.count("\n") == 1


def test_a_table_whose_bests_all_lie_on_the_edge_is_refused(folder: CommandFolder) -> None:
    write_table(folder.folder, octaves=range(4, 7))
    assert "no grid has a best learning rate at any batch size" in folder.refuse("grids", "mine.yaml")
