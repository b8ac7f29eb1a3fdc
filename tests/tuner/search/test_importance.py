"""Importances where not every trial has every hyperparameter, or a score."""

import random

import optuna
import pytest

from zerotune.trainers.spec import OptionValue
from zerotune.tuner.search import importance
from zerotune.tuner.search.importance import by_importance, importances
from zerotune.tuner.study.search_space import Choice, Float, Space, sample

UNION: Space = {"optimizer": Choice(choices=("momentum", "adam")), "lr": Float(low=1e-4, high=1.0, scale="log")}
SOLVERS: dict[str, Space] = {
    "momentum": {"lr": Float(low=0.01, high=1.0, scale="log"), "momentum": Float(low=0.8, high=0.98)},
    "adam": {"lr": Float(low=1e-4, high=1e-2, scale="log")},
}


def tried(number: int) -> list[dict[str, OptionValue]]:
    """Return configurations of two solvers in turn, of which one has a momentum."""
    generator = random.Random(1)
    solvers = ["momentum", "adam"] * (number // 2)
    return [{"optimizer": solver, **sample(SOLVERS[solver], generator)} for solver in solvers]


def test_a_hyperparameter_of_one_solver_that_decides_there_is_the_most_important(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The learning rates of the solvers lie apart, which is no effect of the learning rate."""
    monkeypatch.setattr(importance, "NUM_RESAMPLES", 20)
    params = tried(80)
    scores = [1 - abs(float(one["momentum"]) - 0.9) if "momentum" in one else 0.0 for one in params]
    found = importances(UNION, params, scores, higher_is_better=True)
    assert found.keys() == {"optimizer", "lr", "momentum"}
    assert by_importance(UNION, params, scores, higher_is_better=True)[0] == "momentum"
    assert found["momentum"].chance == 1 / 21
    assert found["lr"].chance > 0.05
    assert sum(one.share for one in found.values()) == pytest.approx(1.0)


def test_the_solver_that_decides_is_the_most_important() -> None:
    params = tried(80)
    scores = [float(one["optimizer"] == "adam") + 0.001 * number for number, one in enumerate(params)]
    assert by_importance(UNION, params, scores, higher_is_better=True)[0] == "optimizer"


def test_importances_of_solvers_are_those_of_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "NUM_RESAMPLES", 2)
    params = tried(60)
    losses = [abs(float(one["lr"]) - 0.1) for one in params]
    ranges = {
        solver: (min(lrs), max(lrs))
        for solver in SOLVERS
        for lrs in [[float(one["lr"]) for one in params if one["optimizer"] == solver]]
    }
    momenta = [float(one["momentum"]) for one in params if "momentum" in one]
    study = optuna.create_study()
    for one, loss in zip(params, losses, strict=True):
        own: dict[str, optuna.distributions.BaseDistribution] = {
            "optimizer": optuna.distributions.CategoricalDistribution(("momentum", "adam")),
            "lr": optuna.distributions.FloatDistribution(*ranges[str(one["optimizer"])], log=True),
            "momentum": optuna.distributions.FloatDistribution(min(momenta), max(momenta)),
        }
        distributions = {name: own[name] for name in one}
        study.add_trial(optuna.trial.create_trial(params=dict(one), distributions=distributions, value=loss))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
    expected = optuna.importance.get_param_importances(study, evaluator=evaluator)
    found = importances(UNION, params, losses, higher_is_better=False)
    assert {name: one.share for name, one in found.items()} == pytest.approx(expected)


def test_a_pruned_trial_is_none_of_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is pruned counts as worse than all scores, so that a range where all were pruned is told apart."""
    monkeypatch.setattr(importance, "NUM_RESAMPLES", 2)
    space: Space = {"lr": Float(low=0.0, high=1.0), "momentum": Float(low=0.0, high=1.0)}
    generator = random.Random(3)
    params = [sample(space, generator) for _ in range(40)]
    scores = [0.9 if float(one["lr"]) > 0.8 else None for one in params]
    worst = [0.9 if score else 0.1 for score in scores]
    found = importances(space, params, scores, higher_is_better=True)
    assert found == importances(space, params, worst, higher_is_better=True)
    assert by_importance(space, params, scores, higher_is_better=True) == ["lr", "momentum"]
    with pytest.raises(ValueError, match="and 5 scores, got 2, 40 and 0"):
        importances(space, params, [None] * 40, higher_is_better=True)
