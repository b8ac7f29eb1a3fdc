"""Studies that search the solver and the model: what is trained, chosen, confirmed, shown and estimated."""

import io
import json
import math
from collections import Counter
from dataclasses import replace

import pytest
from rich.console import Console

from tests.campaigns import completed, execute
from tests.tuner.study.example_study import edited
from zerotune.tuner.analysis.comparison import Comparison, compare
from zerotune.tuner.analysis.study_facts import facts_of
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.campaign.plan import Plan, plan_study
from zerotune.tuner.execution.packing import trial_pack_key
from zerotune.tuner.reports.figures.registry import FIGURES
from zerotune.tuner.reports.json_text import format_json
from zerotune.tuner.reports.tables.plan import plan_as_json, print_plan
from zerotune.tuner.reports.text.configuration import format_arm, format_config
from zerotune.tuner.reports.text.methods_section import _workload
from zerotune.tuner.search import importance
from zerotune.tuner.store.record import params
from zerotune.tuner.study import Study
from zerotune.tuner.study.searched import chosen_model_options
from zerotune.tuner.trial import Trial, TrialResult

TEXT = """\
name: example
application: lstm_mnist
data: {source: mnist5k}
model: {num_hidden: 16}
epochs: 8
batch_sizes: [128, 512]
seeds: [1, 2]
reference: tuned
baseline:
  batch_size: 32
  optimizer: {name: momentum, momentum: 0.9, nesterov: true}
  tune: {method: grid, space: {lr: {choices: [0.02, 0.05]}}}
arms:
  - name: tuned
    method: sobol
    trials: 16
    solvers:
      adam: {beta1: {low: 0.8, high: 0.98}}
      momentum: {momentum: {low: 0.8, high: 0.98}}
    space:
      warmup_epochs: {low: 0, high: 4}
      model.num_hidden: {low: 8, high: 32, type: int}
  - {name: legw, method: legw}
  - {name: plain, method: random, trials: 4, space: {lr: {low: 0.01, high: 1, scale: log}}}
"""


def study(*edits: tuple[str, str]) -> Study:
    return edited(TEXT, *edits)


def adam_is_best(trial: Trial) -> float:
    """Return a score that no solver but Adam reaches, best at a learning rate of 0.003 and with a wide model."""
    config = trial.config
    distance = abs(math.log(config.schedule.peak_lr / 0.003))
    width = float(config.model_options["num_hidden"])  # type: ignore[arg-type]
    return 0.9 - 0.01 * distance - 0.3 * (config.optimizer.name != "adam") + 0.001 * width


def results(example: Study) -> list[TrialResult]:
    return list(completed(example, adam_is_best).values())


def trials_of(found: list[TrialResult], arm: str, role: str) -> list[Trial]:
    return [one.trial for one in found if (one.trial.arm, one.trial.role) == (arm, role)]


def compared(example: Study, found: list[TrialResult]) -> Comparison:
    return compare(facts_of(example, metric="accuracy", higher_is_better=True), found)


@pytest.mark.parametrize("method", ["sobol", "random", "optuna", "comprehensive"])
def test_the_best_of_all_solvers_and_models_is_confirmed(method: str) -> None:
    found = results(study(("method: sobol", f"method: {method}")))
    searched, confirmed = trials_of(found, "tuned", "search"), trials_of(found, "tuned", "confirmation")
    assert {trial.config.optimizer.name for trial in searched} == {"adam", "momentum"}
    for batch_size in (128, 512):
        best = max((trial for trial in searched if trial.batch_size == batch_size), key=adam_is_best)
        there = [trial for trial in confirmed if trial.batch_size == batch_size]
        assert [replace(trial.config, seed=0) for trial in there] == [replace(best.config, seed=0)] * 2
        assert there[0].params == best.params
        assert there[0].config.optimizer.name == "adam"
        assert there[0].config.model_options["num_hidden"] == best.params["model.num_hidden"]


def test_a_trial_trains_its_solver_with_its_own_options_and_its_model() -> None:
    for trial in trials_of(results(study()), "tuned", "search"):
        options = trial.config.optimizer.options
        if trial.params["optimizer"] == "adam":
            assert options["beta1"] == trial.params["beta1"]
        else:
            assert (options["momentum"], options["nesterov"]) == (trial.params["momentum"], True)
        assert trial.config.model_options == {"num_hidden": trial.params["model.num_hidden"], "num_layers": 1}
        assert params(trial)["model.num_hidden"] == str(trial.params["model.num_hidden"])


def test_rules_and_other_arms_train_the_studys_own_model() -> None:
    found = results(study())
    others = [*trials_of(found, "legw", "confirmation"), *trials_of(found, "plain", "search")]
    others += trials_of(found, "baseline", "baseline")
    assert len(others) == 2 * 2 + 2 * 4 + 2
    assert {trial.config.model_options["num_hidden"] for trial in others} == {16}


def test_a_rule_trains_the_model_that_its_baselines_tuning_chose_and_a_search_does_not() -> None:
    tuned = ("{choices: [0.02, 0.05]}}", "{choices: [0.02, 0.05]}, model.num_hidden: {choices: [8, 24]}}")
    found = results(study(tuned))
    assert {trial.config.model_options["num_hidden"] for trial in trials_of(found, "legw", "confirmation")} == {24}
    assert {trial.config.model_options["num_hidden"] for trial in trials_of(found, "baseline", "confirmation")} == {24}
    assert {trial.config.model_options["num_hidden"] for trial in trials_of(found, "plain", "search")} == {16}


def test_trials_of_other_models_share_no_pack_and_no_identity() -> None:
    one, *others = trials_of(results(study()), "plain", "search")
    wider = replace(one, config=replace(one.config, model_options={"num_hidden": 32, "num_layers": 1}))
    assert {trial_pack_key(other) for other in others if other.batch_size == one.batch_size} == {trial_pack_key(one)}
    assert trial_pack_key(wider) != trial_pack_key(one)
    assert wider.content_id != one.content_id


def test_a_stopped_search_over_solvers_goes_on_with_the_same_trials() -> None:
    whole = execute(Campaign(study()), adam_is_best, num_workers=3)
    part = execute(Campaign(study()), adam_is_best, num_workers=3, stop_after=17, seed=1)
    rest = execute(Campaign(study(), part.results), adam_is_best, num_workers=2, known=part.results, seed=2)
    assert whole.ids() == rest.ids()


def test_repeats_over_solvers_draw_anew() -> None:
    found = results(study(("trials: 16", "trials: 16\n    repeats: 2")))
    repeats = trials_of(found, "tuned", "repeat")
    assert Counter(str(trial.params["optimizer"]) for trial in repeats) == {"adam": 16, "momentum": 16}
    drawn = {trial.params["lr"] for trial in [*repeats, *trials_of(found, "tuned", "search")]}
    assert len(drawn) == 2 * 32


def test_comprehensive_confirms_the_mean_over_seeds_of_models_too() -> None:
    found = results(study(("method: sobol", "method: comprehensive"), ("trials: 16", "trials: 24")))
    searched = [trial for trial in trials_of(found, "tuned", "search") if trial.batch_size == 512]
    assert "legw" in {trial.params.get("rule") for trial in searched}
    raced = [trial for trial in searched if trial.config.seed != 0]
    assert len({trial.params["model.num_hidden"] for trial in raced}) > 1


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_a_choice_on_the_edge_is_told_by_the_range_of_its_solver() -> None:
    example = study(("solvers:\n      adam: {", "solvers:\n      adam: {lr: {low: 0.003, high: 0.1, scale: log}, "))
    found = [one for one in results(example) if one.trial.batch_size == 512]
    best = max(trials_of(found, "tuned", "search"), key=adam_is_best)
    (best_result,) = [one for one in found if one.trial.role == "search" and one.trial.id == best.id]
    on_edge = replace(best, params={**best.params, "lr": 0.0031, "beta1": 0.9, "model.num_hidden": 32})
    other = replace(best, index=99, params={**best.params, "optimizer": "momentum", "lr": 0.0001})
    spoilt = [replace(best_result, trial=on_edge), replace(best_result, trial=other, validation_score=0.1)]
    edges = {edge.name: (edge.low, edge.high) for edge in compared(example, spoilt).edges}
    assert edges == {"lr": (0.003, 0.1), "model.num_hidden": (8, 32)}


def test_the_edges_of_a_comprehensive_search_include_what_its_space_states() -> None:
    example = study(("method: sobol", "method: comprehensive"), ("{low: 8, high: 32,", "{low: 8, high: 9,"))
    assert "model.num_hidden" in {edge.name for edge in compared(example, results(example)).edges}


@pytest.mark.parametrize("method", ["sobol", "comprehensive"])
def test_every_figure_that_applies_is_drawn_of_trials_with_different_hyperparameters(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importance, "NUM_RESAMPLES", 2)
    example = study(("method: sobol", f"method: {method}"))
    found = results(example)
    comparison = compared(example, found)
    drawn = {name for name, figure in FIGURES.items() if figure.applies(comparison, found)}
    assert {"importances", "slices", "parallel_coordinates"} <= drawn
    for name in drawn:
        assert FIGURES[name].draw(comparison, found, "trials").data


@pytest.mark.parametrize(
    ("keys", "learns"),
    [
        ("method: sobol", False),
        ("method: optuna", True),
        ("method: optuna\n    sampler: sobol", False),
        ("method: optuna\n    sampler: random", False),
        ("method: optuna\n    sampler: random\n    pruner: median", True),
    ],
)
def test_trials_are_exchangeable_where_nothing_rests_on_earlier_ones(keys: str, learns: bool) -> None:
    facts = facts_of(study(("method: sobol", keys)), metric="accuracy", higher_is_better=True)
    assert ("tuned" in facts.learned_arms) == learns


def test_a_stated_learning_rate_that_a_comprehensive_search_extended_is_on_no_edge_inside_what_was_tried() -> None:
    lr = ("adam: {", "adam: {lr: {low: 0.01, high: 0.02, scale: log}, ")
    example = study(("method: sobol", "method: comprehensive"), lr)
    assert "lr" not in facts_of(example, metric="accuracy", higher_is_better=True).solver_spaces["tuned"][512]["adam"]
    assert "lr" not in {edge.name for edge in compared(example, results(example)).edges}


def test_the_report_says_what_every_solver_is_searched_over() -> None:
    example = study()
    assert format_arm(example, example.arm("tuned")) == (
        "sobol search of 16 trials over adam and momentum; at B=512, adam: lr 0.0005 to 0.016, log; beta1 0.8 to 0.98 "
        "| momentum: lr 0.02 to 0.8, log; momentum 0.8 to 0.98 | all: warmup_epochs 0 to 4; model.num_hidden whole "
        "numbers 8 to 32"
    )
    learned = study(("method: sobol", "method: optuna\n    sampler: gp\n    pruner: median"))
    assert format_arm(learned, learned.arm("tuned")).startswith(
        "optuna (sampler gp) search of 16 trials over adam and momentum, trials ended early by median; at B=512, adam:"
    )


def test_the_report_shows_the_models_and_promises_no_equal_operations() -> None:
    example = study()
    (trial, *_) = trials_of(results(example), "legw", "confirmation")
    assert format_config(trial.config, chosen_model_options(example)).endswith("; model.num_hidden 16")
    said = list(_workload(example, tabulated=False))
    assert "Arms choose model.num_hidden: the floating-point operations of a training are those of its model." in said
    assert not any("same floating-point operations" in sentence for sentence in said)


def test_the_ranges_of_every_solver_stand_in_the_reports_json() -> None:
    example = study()
    facts = facts_of(example, metric="accuracy", higher_is_better=True)
    ranges = json.loads(format_json("report", {"facts": facts}))["facts"]["solver_spaces"]["tuned"]["512"]
    assert list(ranges) == ["adam", "momentum"]
    assert ranges["adam"]["beta1"]["low"] == 0.8


def test_the_plan_says_what_every_solver_is_searched_over() -> None:
    example, terminal = study(), Console(width=1_000, file=io.StringIO())
    what = format_arm(example, example.arm("tuned"))
    print_plan(example, (), terminal)
    assert f"\ntuned: {what}.\n" in terminal.file.getvalue()  # type: ignore[attr-defined]
    assert plan_as_json(example, Plan())["solver_searches"] == {"tuned": what}


def test_the_plan_estimates_the_model_in_the_middle_of_its_range_and_says_so() -> None:
    edit = ("model.num_hidden: {low: 8, high: 32, type: int}", "model.num_hidden: {choices: [8, 128, 64]}")
    plan = plan_study(study(edit))
    assert plan.remarks == (
        "FLOPs and seconds are those of the models in the middle of the ranges of model.num_hidden",
    )
    flops = {cell.arm: cell.flops / cell.samples for cell in plan if cell.flops is not None and cell.samples}
    assert flops["tuned"] > 10 * flops["legw"] == 10 * flops["plain"] == 10 * flops["baseline"]
    assert plan_study(study(("      " + edit[0] + "\n", ""))).remarks == ()
