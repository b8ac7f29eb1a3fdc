"""How an epoch changes a training's result: whether it has diverged, and its scores.

**Divergence.** A training has diverged if a loss, a score or a weight is not finite, if a score exceeds `MAX_SCORE`, or
if its loss is worse than that of the untrained model by a stated amount and does not come back. With L0 the untrained
model's loss on the first `PROBE_SAMPLES` training samples, the amount is `divergence_factor` x max(|L0|, 1): by default
ten times |L0|, and at least 10. The loss has not come back if the validation loss was beyond L0 + amount after every
epoch of the last `PATIENCE` updates, or is so after the last epoch, and the loss on those training samples is so too. A
loss below 0 needs no rule of its own, and a training at chance has not diverged.

The same for a training alone and for one in a pack. This module must not know how an epoch is computed.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor

from .applications.application import Application
from .evaluation import Evaluation
from .spec import MAX_SCORE, PATIENCE, EpochMetrics, TrainConfig, TrainResult


def find_divergence(
    config: TrainConfig,
    before: TrainResult,
    application: Application,
    *,
    train_loss: float,
    iterations: int,
    validation: Evaluation,
    untrained_loss: float,
    weights: Iterable[tuple[str, Tensor]],
    probe_loss: Callable[[], float],
) -> str | None:
    """Say why a training has diverged by the end of an epoch; None if it has not.

    Args:
        config: the training.
        before: its result before this epoch.
        application: what is trained.
        train_loss: mean loss over the epoch's samples.
        iterations: updates of this epoch.
        validation: the evaluation after it.
        untrained_loss: L0.
        weights: the weights by name, as evaluated.
        probe_loss: () -> the loss now on the samples of L0. Called only if the validation loss has not come back.
    """
    epoch = len(before.epochs) + 1
    if not math.isfinite(train_loss):
        return f"the training loss is {train_loss} in epoch {epoch}"
    found = find_not_finite("validation", validation, application.metric, epoch) or _find_bad_weight(weights, epoch)
    limit = untrained_loss + config.divergence_factor * max(abs(untrained_loss), 1.0)
    if found is not None or not validation.loss > limit:
        return found
    away = takewhile(lambda metrics: metrics.validation_loss > limit, reversed(before.epochs))
    waited = sum([iterations, *(metrics.iterations for metrics in away)][:-1])  # since the first epoch beyond the limit
    if (waited < PATIENCE and epoch < config.epochs) or not (loss := probe_loss()) > limit:
        return None
    return f"the training loss is {loss:.4g} in epoch {epoch}, and was {untrained_loss:.4g} before training"


def find_not_finite(split: str, evaluation: Evaluation, metric: str, epoch: int) -> str | None:
    """Say which loss or score of an evaluation is not finite, or too large to compute with; None if all are sound.

    >>> find_not_finite("test", Evaluation(loss=0.1, score=math.nan), "accuracy", 3)
    'the test accuracy is nan in epoch 3'
    """
    numbers = [("loss", evaluation.loss), (metric, evaluation.score), *evaluation.other_scores.items()]
    bad = (f"the {split} {name} is {value} in epoch {epoch}" for name, value in numbers if not abs(value) <= MAX_SCORE)
    return next(bad, None)


def _find_bad_weight(weights: Iterable[tuple[str, Tensor]], epoch: int) -> str | None:
    """Say which trained weight is not finite; None if all are. Reads the device once."""
    trained = ((name, weight.isfinite().all()) for name, weight in weights if weight.requires_grad)
    names, sound = zip(*trained, strict=True)
    flags = torch.stack(sound).tolist()
    bad = (name for name, is_sound in zip(names, flags, strict=True) if not is_sound)
    return next((f"the weights {name} are not finite in epoch {epoch}" for name in bad), None)


def update_result(
    before: TrainResult,
    metrics: EpochMetrics,
    application: Application,
    divergence: str | None,
    *,
    test: Evaluation | None = None,
    test_divergence: str | None = None,
    samples: tuple[int, int],
) -> TrainResult:
    """Return the result after an epoch; a diverged training gets the score of chance.

    Args:
        before: the result before this epoch.
        metrics: the epoch's.
        application: what is trained.
        divergence: why the training diverged by this epoch's loss, scores or weights; None if it did not.
        test: the evaluation of the test split; None unless this was the last epoch and it did not diverge.
        test_divergence: what of `test` is not finite; None if all is.
        samples: of the validation and of the test split.
    """
    chance = application.chance_score
    if divergence is not None:
        metrics = replace(metrics, validation_score=chance, other_scores={})
    diverged = divergence is not None or test_divergence is not None
    sound_test = None if diverged else test
    return replace(
        before,
        status="diverged" if diverged else "running" if test is None else "finished",
        epochs=(*before.epochs, metrics),
        validation_score=chance if diverged else metrics.validation_score,
        test_score=chance if diverged else sound_test.score if sound_test else None,
        test_loss=sound_test.loss if sound_test else None,
        test_other_scores=sound_test.other_scores if sound_test else {},
        test_samples=samples[1] if sound_test else None,
        validation_samples=samples[0],
        divergence=divergence or test_divergence,
        diverged_on_test=divergence is None and diverged,
    )


def result_from_state(state: Mapping[str, Any]) -> TrainResult:
    """Read the result so far from a checkpoint's state.

    Raises:
        KeyError, TypeError: another version of this program wrote it.
    """
    progress: dict[str, Any] = state["progress"]
    return TrainResult(**{**progress, "epochs": tuple(EpochMetrics(**metrics) for metrics in progress["epochs"])})
