"""A study on a table of one's own, from the layout to the store: told apart, billed, and not resumed if changed."""

import csv
import json
import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.own_table import LAYOUT
from tests.user_applications import forgotten
from zerotune.tuner.campaign.plan import plan_study
from zerotune.tuner.errors import BadInput, StudyChanged
from zerotune.tuner.execution.ray import local_cluster
from zerotune.tuner.reports.answer import Answer
from zerotune.tuner.reports.export import export
from zerotune.tuner.reports.figures.registry import applicable_figures, draw_figure
from zerotune.tuner.reports.tables.markup import report_json
from zerotune.tuner.reports.text.verdict import TABULATED_LINE
from zerotune.tuner.run import run as run_module
from zerotune.tuner.run.answer import read_answer
from zerotune.tuner.run.command_text import format_application
from zerotune.tuner.run.journal import Journal
from zerotune.tuner.run.run import run_study
from zerotune.tuner.study import load_study

STUDY = """
name: ours
question: Must the sweep be repeated at 64?
application: our_sweep
batch_sizes: [64]
seeds: [1, 2, 3]
search_seed: 4
reference: tuned
baseline: {batch_size: 16, optimizer: {name: momentum, momentum: 0.9}, lr: 0.01}
arms:
  - {name: tuned, method: grid, space: {lr: {choices: [0.01, 0.1, 0.5]}}}
  - {name: sqrt, method: sqrt}
"""


def rows(bonus: float = 0.0) -> str:
    cells = [(lr, size, seed) for lr in (0.01, 0.1) for size in (16, 64) for seed in (1, 2, 3, 4)]
    lines = [f"{lr},{size},{seed},{0.8 + lr + seed / 1000 + bonus},{1000 / size}" for lr, size, seed in cells]
    return "\n".join(["rate,bs,seed,acc,time", *lines]) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    found = tmp_path_factory.mktemp("sweep")
    (found / "sweep.csv").write_text(rows(), encoding="utf-8")
    (found / "sweep.yaml").write_text(LAYOUT, encoding="utf-8")
    (found / "ours.yaml").write_text(STUDY, encoding="utf-8")
    with forgotten():
        yield found


def run(folder: Path, store: str = "store") -> Answer:
    study = load_study(folder / "ours.yaml", app=str(folder / "sweep.yaml"))
    return run_study(study, store=folder / store, driver="ray")


@pytest.fixture(scope="module")
def answer(folder: Path) -> Iterator[Answer]:
    """The answer of a run that names Ray as driver, and must not start it."""

    def refuse(*_: object) -> None:
        raise AssertionError("Ray was started for a table")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_cluster, "LocalHead", refuse)
        patch.setattr(run_module, "write_report", lambda *_: [])
        yield run(folder)


def test_a_study_on_a_table_says_so_first_and_bills_tabulated_seconds(answer: Answer) -> None:
    assert answer.first_lines[0] == TABULATED_LINE
    row = answer.comparison.row("sqrt", 64)
    assert row.bill is not None
    assert row.bill["device_seconds"] == pytest.approx(1000 / 64)
    assert [round(score, 4) for score in row.seeds.scores.values()] == pytest.approx(
        [0.8 + (0.01 + 0.1 * 0) + 0.09 * 0.30103 + seed / 1000 for seed in (1, 2, 3)], abs=1e-4
    )  # lr 0.02, between 0.01 and 0.1 in the logarithm


def test_a_trial_that_the_table_lacks_has_failed_and_the_study_goes_on(answer: Answer) -> None:
    failed = [result for result in answer.results if result.status == "failed"]
    assert [result.error for result in failed] == [
        "our_sweep has no trainings with learning rate 0.5: it has 0.01, 0.1: outside of them nothing is answered"
    ]


def test_what_a_table_does_not_state_is_shown_nowhere_as_a_measured_zero(answer: Answer, tmp_path: Path) -> None:
    assert {"flops", "modelled_joules", "samples", "iterations"} <= answer.comparison.unknown
    assert "energy" not in applicable_figures(answer.comparison, answer.results)
    assert "learning_curves" not in applicable_figures(answer.comparison, answer.results)
    with pytest.raises(BadInput, match=r"cost axis 'flops': the table of past trainings does not state it"):
        draw_figure("pareto_arms", answer.comparison, answer.results, "flops")
    row = json.loads(report_json(answer))["comparison"]["rows"][1]
    assert (row["bill"]["flops"], row["bill"]["trials"]) == (None, 1.0)
    export(answer, tmp_path, pictures=False)
    with (tmp_path / "ledger.csv").open(encoding="utf-8") as file:
        assert {(line["flops"], line["samples"]) for line in csv.DictReader(file)} == {("", "")}
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "tabulated seconds" in page
    assert "Nothing was trained: the results are those of past trainings of 10 epochs" in page
    assert "device-seconds: " not in page
    assert "FLOPs not known" in page


def test_mlflow_tells_the_runs_of_a_table_apart_and_the_answer_is_read_again(answer: Answer, folder: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'store' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("ours")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], "tags.`zerotune.tabulated` = 'true'")
    assert len(found) == len(answer.results) + 1  # and the study's own run
    assert not [key for run in found for key in run.data.metrics if key.endswith("flops")]
    assert not [run for run in found if "not_finite" in run.data.tags]
    read = read_answer(
        "ours",
        store=folder / "store",
    )
    assert read.first_lines == answer.first_lines
    assert read.comparison.ledger == answer.comparison.ledger


def test_a_looked_up_result_is_written_without_waiting_for_the_disk(
    answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    with closing(Journal(tmp_path)) as journal:
        monkeypatch.setattr(os, "fsync", synced.append)
        journal.finish(answer.results[0])
        assert synced == []
        journal.finish(replace(answer.results[1], device="a CPU"))
        assert len(synced) == 1


def test_a_changed_table_is_not_resumed(answer: Answer, folder: Path) -> None:
    (folder / "sweep.csv").write_text(rows(bonus=0.01), encoding="utf-8")
    try:
        with pytest.raises(StudyChanged):
            run(folder)
    finally:
        (folder / "sweep.csv").write_text(rows(), encoding="utf-8")
        load_study(folder / "ours.yaml", app=str(folder / "sweep.yaml"))


def test_commands_name_the_layout_as_the_application(
    answer: Answer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert format_application("our_sweep") == "sweep.yaml"


def test_a_plan_says_that_nothing_is_trained(answer: Answer, folder: Path) -> None:
    plan = plan_study(load_study(folder / "ours.yaml"))
    assert plan.tabulated
    assert {(cell.iterations, cell.seconds) for cell in plan} == {(None, None)}
    assert [remark.partition(":")[0] for remark in plan.remarks] == ["data", "metric"]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[1, 2, 3]", "[1, 2, 9]", "seeds: our_sweep has no trainings with seed 9: its seeds are 1, 2, 3, 4"),
        ("search_seed: 4", "search_seed: 0", "search_seed: our_sweep has no trainings with seed 0"),
        ("[64]", "[32]", "our_sweep has no trainings with batch size 32: it has 16, 64: between them nothing"),
        (
            "method: sqrt",
            "method: date, baseline: {lr: 0.01}",
            "optimizer date: all of its trainings had",
        ),
        ("lr: 0.01}", "lr: 0.01, warmup_epochs: 1}", "baseline: our_sweep has no trainings with a warm-up of 1 epoch:"),
    ],
)
def test_what_no_training_of_the_table_had_is_refused_before_the_first_trial(
    old: str, new: str, sentence: str, answer: Answer, folder: Path, tmp_path: Path
) -> None:
    assert old in STUDY
    (tmp_path / "ours.yaml").write_text(STUDY.replace(old, new), encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        plan_study(load_study(tmp_path / "ours.yaml"))
    assert sentence in str(caught.value)


def test_a_table_without_seeds_confirms_once_and_says_that_a_choice_is_judged_by_its_own_score(tmp_path: Path) -> None:
    text = re.sub(r"^(.*,.*),[234],.*\n", "", rows(), flags=re.MULTILINE)
    (tmp_path / "sweep.csv").write_text(text, encoding="utf-8")
    (tmp_path / "sweep.yaml").write_text(LAYOUT.replace(" seed: seed,", ""), encoding="utf-8")
    (tmp_path / "ours.yaml").write_text(STUDY, encoding="utf-8")
    with forgotten():
        study = load_study(tmp_path / "ours.yaml", app=str(tmp_path / "sweep.yaml"))
        with pytest.raises(BadInput, match=r"seeds: our_sweep has one training of every configuration: state one seed"):
            plan_study(study)
        remarks = plan_study(study.model_copy(update={"seeds": (1,)})).remarks
    assert remarks[-1].startswith("seeds: the table has one training of every configuration, without seeds")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "metric: accuracy",
            "metrics: accuracy",
            "sweep.yaml:4: metrics: unknown key 'metrics': did you mean 'metric'?",
        ),
        ("epochs: 10, ", "", "sweep.yaml:8: fixed: epochs is missing: name its column, or give the value of all rows"),
        ("score: acc", "score: loss", "sweep.csv: has no column 'loss': its columns are rate, bs, seed, acc, time"),
        ("name: our_sweep", "name: lenet_mnist", "sweep.yaml: zerotune ships an application 'lenet_mnist'"),
        ("chance_score: 0.1", "chance_score: 10.0", "sweep.yaml: our_sweep: chance_score: must be from 0 to 1"),
    ],
)
def test_a_mistake_in_a_layout_is_a_sentence_with_its_line(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    assert old in LAYOUT
    (tmp_path / "sweep.csv").write_text(rows(), encoding="utf-8")
    (tmp_path / "sweep.yaml").write_text(LAYOUT.replace(old, new), encoding="utf-8")
    (tmp_path / "ours.yaml").write_text(STUDY, encoding="utf-8")
    with forgotten(), pytest.raises(BadInput) as caught:
        load_study(tmp_path / "ours.yaml", app=str(tmp_path / "sweep.yaml"))
    assert sentence in str(caught.value)
