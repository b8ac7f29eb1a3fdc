"""Searches over solvers and model options whose trainings are looked up in a table."""

import numpy as np
import pytest

from tests.campaigns import completed
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.applications.tabulated import tabulated_application
from zerotune.trainers.options import Options
from zerotune.trainers.tabulated.table import Axis, Table
from zerotune.tuner.analysis.lost_seeds import Guessing
from zerotune.tuner.commands.replicate.truth import Truth
from zerotune.tuner.errors import BadInput
from zerotune.tuner.study import Study, study_from_text
from zerotune.tuner.study.table_check import check_table
from zerotune.tuner.trial import Trial

LRS, SOLVERS, WIDTHS, SIZES = (0.001, 0.01, 0.1), ("adam", "momentum"), (16, 32), (16, 64)
STUDY = """
name: solvers
application: solver_table
data: {between: nearest, along: lr}
epochs: 5
batch_sizes: [64]
seeds: [1, 2]
reference: tuned
baseline: {batch_size: 16, lr: 0.01, optimizer: momentum}
arms:
  - name: tuned
    method: grid
    solvers:
      adam: {lr: {choices: [0.001, 0.01, 0.1]}}
      momentum: {lr: {choices: [0.01, 0.1]}}
    space: {model.width: {choices: [16, 32]}}
"""


def solver_table() -> Table:
    """Scores of 0.5, and of 0.9 for Adam with 0.001 and 32 units at a batch size of 64."""
    places = [(i, j, k, m) for i in range(3) for j in range(2) for k in range(2) for m in range(2)]
    scores = np.array([[0.9 if place == (0, 0, 1, 1) else 0.5] * 3 for place in places])
    axes = [("lr", LRS), ("optimizer", SOLVERS), ("width", WIDTHS), ("batch_size", SIZES)]
    return Table(
        name="solvers",
        axes=tuple(Axis(name=name, values=values) for name, values in axes),  # type: ignore[arg-type]
        cells={place: row for row, place in enumerate(places)},
        seeds=(0, 1, 2),
        scores=scores,
        chance_score=0.1,
        fixed={"epochs": 5},
    )


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    application = tabulated_application(
        name="solver_table",
        load=solver_table,
        metric="accuracy",
        higher_is_better=True,
        chance_score=0.1,
        epochs=5,
        model_options=Options(defaults={"width": 16}),
    )
    monkeypatch.setitem(APPLICATIONS, "solver_table", application)


def study(old: str = "", new: str = "") -> Study:
    assert old in STUDY
    return study_from_text(STUDY.replace(old, new) if old else STUDY, "x.yaml")


def look_up(trial: Trial) -> float:
    found = APPLICATIONS["solver_table"].look_up
    assert found is not None
    return found(trial.config).validation_score


def test_the_table_answers_for_every_solver_and_model() -> None:
    check_table(study())
    found = [result.trial for result in completed(study(), look_up).values()]
    assert len([trial for trial in found if trial.role == "search"]) == 10
    confirmed = [trial for trial in found if (trial.arm, trial.role) == ("tuned", "confirmation")]
    assert {(trial.config.optimizer.name, trial.config.model_options["width"]) for trial in confirmed} == {("adam", 32)}


def test_a_solver_that_the_table_lacks_is_refused_before_the_first_trial() -> None:
    with pytest.raises(BadInput, match=r"arms\[0\] \(tuned\): .*lars"):
        check_table(study("      momentum: {lr", "      lars: {lr"))


def test_the_best_that_a_search_could_have_chosen_is_over_all_solvers_and_models() -> None:
    found = APPLICATIONS["solver_table"].look_up
    assert found is not None
    truth = Truth(
        all_seeds=found.all_seeds,
        guessing=Guessing(score=0.1, metric="accuracy", higher_is_better=True),
        margin=0.99,
    )
    like = next(result.trial.config for result in completed(study()).values() if result.trial.arm == "tuned")
    example = study()
    assert truth.best_in_space(found.table, example, example.arm("tuned"), like) == pytest.approx(0.9)
    narrow = study("[0.001, 0.01, 0.1]", "[0.01, 0.1]")
    assert truth.best_in_space(found.table, narrow, narrow.arm("tuned"), like) == pytest.approx(0.5)
