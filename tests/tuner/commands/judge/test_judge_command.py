"""The command `zerotune judge`: what it prints and writes, and how it refuses."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tests.outputs import read_csv
from tests.past_trainings import TABLE_HEADER, leaderboard_lines, table_line, write_table
from zerotune.tuner.commands.judge.command import NAMES, judge
from zerotune.tuner.errors import BadInput
from zerotune.tuner.past_trainings import COLLECTIONS

APP = typer.Typer()
APP.command()(judge)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A download with two leaderboards."""
    folder = tmp_path_factory.mktemp("download")
    write_table(folder, [*leaderboard_lines(), table_line(leaderboard="algoperf_v06")])
    return folder


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(APP, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def test_the_help_names_every_collection() -> None:
    assert sorted(NAMES) == sorted(COLLECTIONS)


def test_the_answer_begins_with_a_sentence_and_has_a_row_a_workload(folder: Path) -> None:
    text = run("algoperf", "--data", folder, "--arm", "quick")
    assert (
        "algoperf_v05: On 2 of 2 workloads tuning can be skipped: one training of quick, not tuned, does as well as "
        "the best of 5 trials of tuned_one and saves 63% of the device-seconds there."
    ) in text
    assert "ogbg 5/5 5/5 0/5 +0.1% yes 5 0.1 0.0 64%" in text
    assert "quick: as good on ogbg and wmt. None of 10 trainings was lost; up to 25.9% could still fail." in text


def test_a_lost_training_and_worse_workloads_are_told(folder: Path) -> None:
    text = run("algoperf", "--data", folder)
    assert "lossy: as good on ogbg; unreliable on wmt. 1 of 10 trainings lost (true rate 0% to 45%)." in text
    assert "poor: worse on ogbg (-10.1%) and wmt (-10.1%)." in text
    assert "tuned_one, 1 of the zero-tuned arms. They count as lost and cost nothing here." in text
    assert "more than 5" not in text


def test_an_arm_that_spares_nothing_leads_with_that(folder: Path) -> None:
    text = run("algoperf", "--data", folder, "--arm", "poor")
    assert (
        "On none of 2 workloads is one training of poor, not tuned, shown to do as well as the best of 5 trials" in text
    )


def test_the_reference_decides(folder: Path) -> None:
    text = run("algoperf", "--data", folder, "--arm", "poor", "--reference", "tuned_two")
    assert "On 2 of 2 workloads (2 of them less certain) tuning can be skipped: one training of poor" in text
    assert "takes 100% more device-seconds there" in text
    assert "wmt 0/5 0/5 0/5 +0.0% yes, but 1 - - -100%" in text


def test_a_reference_that_guesses_is_named(tmp_path: Path) -> None:
    """tuned_one's test scores are about those of the first evaluations."""
    lines = leaderboard_lines()
    test_at_best = TABLE_HEADER.split(",").index("test_at_best")
    for line in lines:
        line[test_at_best] = "0.0001" if "tuned_one" in line else line[test_at_best]
    write_table(tmp_path, lines)
    text = run("algoperf", "--data", tmp_path, "--arm", "quick", "--reference", "tuned_one")
    assert "quick: not judged on ogbg and wmt." in text
    assert "Not judged: ogbg and wmt, where tuned_one lost most of its searches or is no better than almost" in text


def test_a_reference_of_the_same_name_is_marked(tmp_path: Path) -> None:
    lines = [["tuned_one" if cell == "quick" else cell for cell in line] for line in leaderboard_lines()]
    write_table(tmp_path, lines)
    text = run("algoperf", "--data", tmp_path, "--arm", "tuned_one")
    assert "one training of tuned_one, not tuned, does as well as the best of 5 trials of tuned_one (tuned)" in text


def test_workloads_that_the_benchmark_does_not_know_need_a_stated_reference(tmp_path: Path) -> None:
    renamed = {"wmt_jax": "cifar_jax", "ogbg_jax": "mnist_jax"}
    write_table(tmp_path, [[renamed.get(cell, cell) for cell in line] for line in leaderboard_lines()])
    with pytest.raises(BadInput, match="no score says which tuned arm is best; add --reference with one of tuned_one"):
        run("algoperf", "--data", tmp_path)
    text = run("algoperf", "--data", tmp_path, "--reference", "tuned_one", "--arm", "quick")
    assert "On 2 of 2 workloads tuning can be skipped" in text
    assert "No target is stated for cifar and mnist: it is tuned_one's median best." in text


def test_json_has_the_answer_and_every_arm_and_workload(folder: Path) -> None:
    result = CliRunner().invoke(APP, ["algoperf", "--data", str(folder), "--format", "json"])
    content = json.loads(result.stdout)
    assert (content["schema"], content["reference"], content["trials"]) == ("zerotune.judge", "tuned_one", 5)
    found = {(row["arm"], row["workload"]): row["verdict"] for row in content["workloads"]}
    assert found["lossy", "wmt"] == "unreliable"
    assert len(found) == 6
    assert content["published"] == []


def test_files_hold_the_same_numbers_and_both_figures(folder: Path, tmp_path: Path, without_images: list[str]) -> None:
    run("algoperf", "--data", folder, "--arm", "poor", "--arm", "quick", "--export", tmp_path / "to")
    rows = {(row["arm"], row["workload"]): row for row in read_csv(tmp_path / "to" / "judge.csv")}
    assert (rows["quick", "wmt"]["saved"], rows["poor", "wmt"]["saved"]) == ("0.625", "")
    assert rows["quick", "wmt"]["reference_device_seconds"] == "800.0"
    page = (tmp_path / "to" / "judge.html").read_text(encoding="utf-8")
    assert "On 2 of 2 workloads tuning can be skipped" in page
    assert "expected best validation score of k trials" in page
    assert without_images == ["judge_scores.png", "judge_best_of_k.png"]
    assert json.loads((tmp_path / "to" / "judge.json").read_text(encoding="utf-8"))["collection"] == "algoperf_v05"


def test_a_leaderboard_without_zero_tuned_arms_shows_what_searches_find(
    folder: Path, tmp_path: Path, without_images: list[str]
) -> None:
    words = ("algoperf", "--data", folder, "--leaderboard", "algoperf_v06", "--export", tmp_path)
    text = run(*words)
    assert "algoperf_v06: nothing was trained without tuning" in text
    assert "wmt tuned_one - 1 0 bleu 30 30 - -" in text
    (row,) = read_csv(tmp_path / "judge.csv")
    assert (row["num_trials"], row["expected_best_of_1"]) == ("1", "30.0")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("algoperv",), "COLLECTION: unknown collection 'algoperv': did you mean 'algoperf'?"),
        (("algoperf", "--arm", "quik"), "--arm: unknown arm that was not tuned 'quik': did you mean 'quick'?"),
        (("algoperf", "--reference", "quick"), "--reference: unknown tuned arm 'quick'"),
        (("algoperf", "--leaderboard", "v07"), "--leaderboard: unknown leaderboard 'v07'"),
    ],
)
def test_unknown_names_are_refused_with_those_there_are(words: tuple[str, ...], sentence: str, folder: Path) -> None:
    with pytest.raises(BadInput) as error:
        run(*words, "--data", folder)
    assert sentence in str(error.value)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"--data .*nowhere: is not a folder"):
        run("algoperf", "--data", tmp_path / "nowhere")


def test_zero_tuned_arms_alone_cannot_be_judged(tmp_path: Path) -> None:
    write_table(tmp_path, [table_line(ruleset="self_tuning")])
    with pytest.raises(BadInput, match="no arm of algoperf_v05 was tuned, so there is nothing to judge"):
        run("algoperf", "--data", tmp_path)
