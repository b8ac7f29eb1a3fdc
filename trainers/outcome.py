"""What an epoch makes of a training's result: whether it has diverged, and the scores it then has.

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
    """Whether an epoch ends the training as diverged.

    It does where a loss is not finite, or where the training loss is above `divergence_factor` times the first epoch's.

    Args:
        config: of the training.
        before: its result before this epoch.
        train_loss: mean over the epoch's samples (nats).
        validation_loss: mean over the validation split (nats).
    """
    limit = config.divergence_factor * (before.epochs[0].train_loss if before.epochs else math.inf)
    return not math.isfinite(train_loss) or not math.isfinite(validation_loss) or train_loss > limit


def update_result(
    before: TrainResult, metrics: EpochMetrics, application: Application, *, diverged: bool, test: Evaluation | None
) -> TrainResult:
    """The result after an epoch; a diverged training scores what chance scores.

    Args:
        before: the result before it.
        metrics: the epoch's; where it diverged its score is replaced.
        application: whose chance score counts.
        diverged: what `has_diverged` says.
        test: the evaluation of the test split; None unless this was the last epoch and it did not diverge.
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
    """The result so far that a checkpoint's state holds.

    Raises:
        KeyError, TypeError: it was written by another version of this program.
    """
    progress: dict[str, Any] = state["progress"]
    return TrainResult(**{**progress, "epochs": tuple(EpochMetrics(**metrics) for metrics in progress["epochs"])})
