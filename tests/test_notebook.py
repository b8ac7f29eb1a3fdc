"""docs/notebook.ipynb: every cell runs from the notebook's folder and shows what the page claims."""

import ast
import json
import shutil
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from pandas import DataFrame

from zerotune import Study, load_study
from zerotune.tuner.campaign.campaign import Campaign

DOCS = Path(__file__).parents[1] / "docs"
NOTEBOOK = json.loads((DOCS / "notebook.ipynb").read_text(encoding="utf-8"))
CODE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Run a cell as Jupyter does, and return what it shows: the value of its last line if that is an expression."""
    *rest, last = ast.parse(source).body
    if not isinstance(last, ast.Expr):
        exec(source, names)
        return None
    exec(compile(ast.Module(body=rest, type_ignores=[]), "cell", "exec"), names)
    return eval(compile(ast.Expression(body=last.value), "cell", "eval"), names)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what each cell shows, by its last line, run in a folder with a copy of the notebook's study."""
    folder = tmp_path_factory.mktemp("notebook")
    shutil.copy(DOCS / "first_look.yaml", folder)
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return {source.splitlines()[-1]: run_cell(source, names) for source in CODE}


def test_the_notebook_is_stored_without_outputs() -> None:
    assert NOTEBOOK["nbformat"] == 4
    assert all(cell["outputs"] == [] for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code")


def test_the_notebook_shows_the_plan_of_its_study(shown: dict[str, Any]) -> None:
    planned = shown['plan_study(study).table[["search_trials", "confirmation_trials", "iterations"]]']
    assert planned["search_trials"].to_dict() == {(32, "baseline"): 0, (128, "tuned"): 2, (128, "sqrt"): 0}


def test_the_header_of_the_notebooks_study_counts_its_trainings() -> None:
    study: Study = load_study(str(DOCS / "first_look.yaml"))
    (hardware,) = [line for line in (DOCS / "first_look.yaml").read_text("utf-8").splitlines() if "# Hardware" in line]
    planned = sum(cell.num_planned for cell in Campaign(study).cells)
    assert hardware.endswith(f"{planned} trainings of {study.epochs} epochs")


def test_the_notebook_shows_the_answer_as_tables_and_figures(shown: dict[str, Any]) -> None:
    table = shown['answer.table[["test_score", "verdict", "search_trials", "cost_to_a_model.epochs"]]']
    assert isinstance(table, DataFrame)
    assert table["cost_to_a_model.epochs"].to_dict() == {(32, "baseline"): 3, (128, "tuned"): 6, (128, "sqrt"): 3}
    assert table.loc[(32, "baseline"), "test_score"] > 0.9
    assert isinstance(shown['answer.figures["pareto_arms"]'], go.Figure)
    assert 'answer.figures["pareto_arms"]' in CODE
    assert "pareto_arms" in shown["list(answer.figures)"]
    assert shown["answer"]._repr_html_().startswith("<p><strong>")
    assert shown["answer.verdict"].endswith(".")


def test_the_notebook_reads_the_same_answer_back(shown: dict[str, Any]) -> None:
    assert shown['read_answer("first_look").verdict == answer.verdict'] is True


def test_the_notebook_scales_a_baseline_up(shown: dict[str, Any]) -> None:
    spec = shown["scheduler.schedule.spec"]
    assert (spec.peak_lr, spec.warmup_epochs) == (pytest.approx(0.04), 2.0)
