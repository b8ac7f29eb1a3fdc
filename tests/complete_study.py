"""The synthetic study with everything a report can use: a grid over two hyperparameters, its ranges, and epochs."""

from dataclasses import replace
from typing import Any

from tests.synthetic_study import CHANCE, epoch_metrics, facts, study_results
from zerotune.tuner.analysis.study_facts import StudyFacts
from zerotune.tuner.study.search_space import Float, grid_points
from zerotune.tuner.trial import TrialResult

SPACE = {"lr": Float(low=0.01, high=0.08, scale="log", num=4), "warmup_epochs": Float(low=0.0, high=4.0, num=3)}
"""Twelve points: one for each search trial of the arm "tuned"."""


def complete_facts(**changes: Any) -> StudyFacts:
    """Return the facts of the study, with the ranges of its reference."""
    reference = changes.get("reference", "tuned")
    return facts(**{"spaces": {reference: SPACE}, **changes})


def complete_results() -> list[TrialResult]:
    """Return the results of `study_results` with the grid's hyperparameters and with epochs."""
    return [_with_epochs(_on_the_grid(result)) for result in study_results()]


def few_results() -> list[TrialResult]:
    """Return results of the study at its smallest batch size; few, since writing to a store is slow."""
    shown = [result for result in complete_results() if result.trial.batch_size in (256, 1024)]
    few = [result for result in shown if result.trial.role == "confirmation" or result.trial.index % 3 == 0]
    return [replace(result, epochs=result.epochs[:2]) for result in few]


def _on_the_grid(result: TrialResult) -> TrialResult:
    if result.trial.role != "search":
        return result
    return replace(result, trial=replace(result.trial, params=grid_points(SPACE)[result.trial.index]))


def _with_epochs(result: TrialResult) -> TrialResult:
    """Add epochs whose scores rise from chance to the result's score; each epoch but the last halves the distance."""
    last, end = result.cost.epochs, result.validation_score or CHANCE
    scores = [CHANCE + (end - CHANCE) * (1 - 0.5**epoch) for epoch in range(1, last)] + [end]
    return replace(result, epochs=tuple(epoch_metrics(epoch, score) for epoch, score in enumerate(scores, start=1)))
