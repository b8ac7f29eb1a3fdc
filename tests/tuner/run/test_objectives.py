"""A study on a table with a search for score and cost, from its file to its answer."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.own_table import LAYOUT
from tests.user_applications import forgotten
from zerotune.trainers.applications import APPLICATIONS
from zerotune.tuner.analysis.provenance import Origin
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.errors import BadInput
from zerotune.tuner.execution.replay import run_replay
from zerotune.tuner.reports.answer import Answer
from zerotune.tuner.reports.tables.markup import report_json
from zerotune.tuner.reports.text.configuration import format_arm
from zerotune.tuner.reports.text.methods_section import methods
from zerotune.tuner.run.answer import build_answer, stored_definition
from zerotune.tuner.study import Study, load_study
from zerotune.tuner.trial import Trial, TrialResult

STUDY = """
name: ours
application: our_sweep
batch_sizes: [64]
seeds: [1, 2]
search_seed: 4
reference: tuned
baseline: {batch_size: 16, optimizer: {name: momentum, momentum: 0.9}, lr: 0.01}
arms:
  - {name: tuned, method: optuna, trials: 8, space: {lr: {low: 0.01, high: 1, scale: log}}}
  - name: thrifty
    method: optuna
    trials: 8
    objectives: [score, device_seconds]
    space: {lr: {low: 0.01, high: 1, scale: log}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a table whose larger learning rates are a little better and take longer."""
    found = tmp_path_factory.mktemp("sweep")
    cells = [(lr, size, seed) for lr in (0.01, 0.1, 1.0) for size in (16, 64) for seed in (1, 2, 3, 4)]
    lines = [f"{lr},{size},{seed},{0.9 + 0.004 * lr},{100 * (1 + lr)}" for lr, size, seed in cells]
    (found / "sweep.csv").write_text("\n".join(["rate,bs,seed,acc,time", *lines]) + "\n", encoding="utf-8")
    (found / "sweep.yaml").write_text(LAYOUT, encoding="utf-8")
    (found / "ours.yaml").write_text(STUDY, encoding="utf-8")
    with forgotten():
        yield found


class Answering(Campaign):
    """A campaign as a driver takes it, which keeps the results."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self.told: list[TrialResult] = []

    def mark_started(self, trial: Trial) -> None:
        """Do nothing."""

    def tell(self, result: TrialResult) -> None:
        """Keep the result."""
        self.told.append(result)
        super().tell(result)


@pytest.fixture(scope="module")
def answer(folder: Path) -> Answer:
    study = load_study(folder / "ours.yaml", app=str(folder / "sweep.yaml"))
    look_up = APPLICATIONS[study.application].look_up
    assert look_up is not None
    agenda = Answering(study)
    run_replay(agenda, look_up)
    origin = Origin(definition=stored_definition(study), fingerprint=study.fingerprint, sessions=(), command="")
    return build_answer(agenda.told, origin)


def test_the_cheapest_trial_within_the_margin_is_confirmed_and_told(answer: Answer) -> None:
    (front,) = answer.comparison.search_fronts
    assert (front.arm, front.batch_size, front.currency, front.num_finished) == ("thrifty", 64, "device_seconds", 8)
    searched = [one for one in answer.results if (one.trial.arm, one.trial.role) == ("thrifty", "search")]
    assert front.chosen.cost == min(one.cost.device_seconds for one in searched)
    lr = answer.comparison.row("thrifty", 64).params["lr"]
    assert lr == min(float(one.trial.params["lr"]) for one in searched)  # type: ignore[arg-type]
    assert answer.comparison.row("tuned", 64).params["lr"] != lr
    arm = answer.origin.study.arm("thrifty")
    assert "for score and device-seconds: the choice is the cheapest trial within 0.5%" in format_arm(
        answer.origin.study, arm
    )
    told = " ".join(sentence for passage in methods(answer) for sentence in passage.sentences)
    assert "thrifty searches the Pareto front of that score and of device-seconds instead: its choice is the" in told


def test_the_front_stands_in_the_json(answer: Answer) -> None:
    (front,) = json.loads(report_json(answer))["comparison"]["search_fronts"]
    assert front["chosen"]["cost"] == answer.comparison.search_fronts[0].chosen.cost


def test_a_cost_that_a_table_does_not_know_is_refused(folder: Path) -> None:
    file = folder / "flops.yaml"
    file.write_text(STUDY.replace("device_seconds]", "flops]"), encoding="utf-8")
    with pytest.raises(BadInput, match=r"arms\[1\]\.objectives: flops of past trainings in a table are not known or"):
        load_study(file, app=str(folder / "sweep.yaml"))
