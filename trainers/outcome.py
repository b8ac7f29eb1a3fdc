"""How an epoch changes a training's result: whether it has diverged, and its scores.

The same for a training alone and for one in a pack. This module must not know how an epoch is computed.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .applications.application import Application
from .evaluation import Evaluation
from .spec import EpochMetrics, TrainConfig, TrainResult


def has_diverged(config: TrainConfig, before: TrainResult, *, train_loss: float, validation_loss: float) -> bool:
    """Return whether an epoch ends the training as diverged.

    It does if a loss is not finite, or if the training loss exceeds `divergence_factor` times the first epoch's.
    `before` is the result before this epoch.
    """
    limit = config.divergence_factor * (before.epochs[0].train_loss if before.epochs else math.inf)
    return not math.isfinite(train_loss) or not math.isfinite(validation_loss) or train_loss > limit


def update_result(
    before: TrainResult, metrics: EpochMetrics, application: Application, *, diverged: bool, test: Evaluation | None
) -> TrainResult:
    """Return the result after an epoch; a diverged training gets the score of chance.

    `test` is the evaluation of the test split, None unless this was the last epoch and it did not diverge.
    """
    if diverged:
        metrics = replace(metrics, validation_score=application.chance_score, other_scores={})
    return replace(
        before,
        status="diverged" if diverged else "running" if test is None else "finished",
        epochs=(*before.epochs, metrics),
        validation_score=metrics.validation_score,
        test_score=application.chance_score if diverged else test.score if test else None,
        test_loss=test.loss if test else None,
        test_other_scores=test.other_scores if test else {},
    )


def result_from_state(state: Mapping[str, Any]) -> TrainResult:
    """Read the result so far from a checkpoint's state.

    Raises:
        KeyError, TypeError: another version of this program wrote it.
    """
    progress: dict[str, Any] = state["progress"]
    return TrainResult(**{**progress, "epochs": tuple(EpochMetrics(**metrics) for metrics in progress["epochs"])})
