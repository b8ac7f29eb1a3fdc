"""Answers in a notebook give DataFrames, plotly figures and sentences; a plan is a table."""

from dataclasses import replace
from pathlib import Path

import plotly.graph_objects as go
import pytest
from pandas import DataFrame

from tests.complete_study import few_results
from tests.reported_study import SESSION, definition, reported
from tests.user_applications import NUM_TRIALS, forgotten, write
from zerotune import load_study, plan_study, read_answer, run_study
from zerotune.tuner.errors import BadInput
from zerotune.tuner.reports.answer import Answer
from zerotune.tuner.reports.export import comparison_records, ledger_records, trial_records
from zerotune.tuner.reports.text.findings import findings
from zerotune.tuner.reports.text.verdict import verdict_text
from zerotune.tuner.store import Store, default_tracking_uri
from zerotune.tuner.store.connection import sqlite_file


@pytest.fixture(scope="module")
def answer() -> Answer:
    return reported()


def test_the_table_has_a_row_for_every_arm_at_every_batch_size(answer: Answer) -> None:
    table = answer.table
    assert table.index.names == ["batch_size", "arm"]
    assert list(table.index) == [(row["batch_size"], row["arm"]) for row in comparison_records(answer.comparison)]
    row = answer.comparison.row("legw", 2048)
    assert row.score is not None
    assert table.loc[(2048, "legw"), "test_score"] == row.score.mean
    assert table.loc[(2048, "legw"), "search_trials"] == 0


def test_trials_and_bill_hold_what_the_exported_tables_do(answer: Answer) -> None:
    trials = answer.trials
    assert len(trials) == len(answer.results)
    assert list(trials["trial"]) == [record["trial"] for record in trial_records(answer.results)]
    bill, records = answer.bill, ledger_records(answer.comparison)
    assert list(bill["device_seconds"]) == [record["device_seconds"] for record in records]
    assert bill.iloc[-1]["arm"] == "TOTAL"
    assert bill.iloc[-1]["trials"] == answer.comparison.ledger.total.trials


def test_figures_are_plotly_objects_drawn_once(answer: Answer) -> None:
    figures = answer.figures
    assert "pareto_arms" in figures
    assert "learning_curves" in figures
    assert len(figures) == len(list(figures))
    assert isinstance(figures["pareto_arms"], go.Figure)
    assert figures["pareto_arms"] is answer.figures["pareto_arms"]
    with pytest.raises(KeyError, match="no figure 'pareto'"):
        figures["pareto"]


def test_another_currency_is_another_answer(answer: Answer) -> None:
    flops = replace(answer, cost="flops")
    assert flops.verdict == verdict_text(answer.comparison, cost="flops")
    assert flops.figures["pareto_arms"].layout.xaxis.title.text != answer.figures["pareto_arms"].layout.xaxis.title.text


def test_verdict_and_findings_are_the_reports(answer: Answer) -> None:
    assert answer.verdict == verdict_text(answer.comparison, cost="device_seconds")
    assert answer.findings == findings(answer.comparison, cost="device_seconds")


def test_a_notebook_shows_verdict_and_arms_and_names_are_escaped(answer: Answer) -> None:
    assert repr(answer) == f"<Answer synthetic: 6 arms at B=1,024, 2,048 and 4,096, {len(answer.results)} trials>"
    html = answer._repr_html_()
    assert html.count("<tr") == 1 + 1 + 3 * 6  # headings, baseline, arms by batch size
    assert "skip tuning at B=1,024" in html
    hostile = reported(definition(question="<script>alert(1)</script>"))
    assert "<script>" not in hostile._repr_html_()
    assert "&lt;script&gt;" in hostile._repr_html_()


def test_an_answer_is_read_back_by_name_from_a_store(uri: str) -> None:
    study = definition(batch_sizes=[1024])
    answer = reported(study, few_results())
    folder = sqlite_file(uri).parent  # type: ignore[union-attr]
    store = Store(uri, "synthetic", "0123456789ab", study, {})
    store.write_sessions([SESSION])
    store.sync(answer.results)
    assert default_tracking_uri(folder) == uri
    found = read_answer("synthetic", store=folder)
    assert replace(found, origin=answer.origin) == answer
    assert found.origin.command == f"zerotune report synthetic --store '{folder}'"
    with pytest.raises(BadInput, match="no study 'other'"):
        read_answer("other", store=str(folder))


def test_a_plan_is_a_table_too(tmp_path: Path) -> None:
    plan = plan_study("quickstart")
    table = plan.table
    assert isinstance(table, DataFrame)
    assert list(table["search_trials"]) == [cell.search_trials for cell in plan]
    assert list(table.index) == [(cell.batch_size, cell.arm) for cell in plan]
    assert plan._repr_html_().count("<tr") >= len(plan) + 1


def test_a_study_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    for call in (run_study, plan_study, read_answer):
        with pytest.raises(BadInput, match=r"no/study\.yaml"):
            call(str(tmp_path / "no" / "study.yaml"))


def test_a_study_of_an_own_application_is_run_from_a_program(tmp_path: Path) -> None:
    file = write(tmp_path)
    with forgotten():
        study = load_study(tmp_path / "plane.yaml", app=f"{file}:sides")
        found = run_study(study, store=tmp_path, driver="serial")
    assert len(found.trials) == NUM_TRIALS
    assert found.table.loc[(20, "baseline"), "test_score"] > 0.6


@pytest.mark.parametrize(
    ("study", "app", "sentence"),
    [
        ("quickstart", "{}/plane.py:sides", "has no effect: study 'quickstart' names the application 'lenet_mnist'"),
        ("{}/plane.yaml", "{}/plane.py:side", "there is no 'side' at its top level: did you mean 'sides'?"),
        ("{}/plane.yaml", "{}/gone.py:sides", "no such file"),
    ],
)
def test_an_application_that_cannot_be_used_is_refused(study: str, app: str, sentence: str, tmp_path: Path) -> None:
    write(tmp_path)
    with forgotten(), pytest.raises(BadInput) as refused:
        load_study(study.format(tmp_path), app=app.format(tmp_path))
    assert str(refused.value).startswith(f"app='{app.format(tmp_path)}': ")
    assert sentence in str(refused.value)
