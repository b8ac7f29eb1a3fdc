"""Evaluation of a model on a split, at the weights that its optimizer wants evaluated.

Some optimizers train at other weights than those they are evaluated at: Schedule-Free's iterates and their average, or
any that keeps an average. They say so with the methods `train()` and `eval()`, the protocol of the package
schedulefree. Some models carry a state from one batch to the next, and must forget it before a pass over other data.
This module must not know any of them, nor epochs.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from .applications.application import Application, ScoreSum, Split


@runtime_checkable
class SwitchesWeights(Protocol):
    """An optimizer that is evaluated at other weights than it trains: both methods change the parameters in place."""

    def train(self) -> None:
        """Puts the training weights into the parameters; needed before `step`."""

    def eval(self) -> None:
        """Puts the evaluation weights into the parameters; needed before evaluating and before saving."""


@runtime_checkable
class CarriesState(Protocol):
    """A model that carries a state from one batch to the next, as a language model does along a text."""

    def reset_state(self) -> None:
        """Forgets the state: the next batch begins its texts anew."""


def reset_state(model: nn.Module) -> None:
    """Makes a model forget what it carries from batch to batch; nothing happens where it carries nothing."""
    if isinstance(model, CarriesState):
        model.reset_state()


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What an evaluation found on a split.

    Attributes:
        loss: mean over the samples (nats).
        score: the application's metric.
        other_scores: its other scores by name.
    """

    loss: float
    score: float
    other_scores: Mapping[str, float]


@torch.inference_mode()
def evaluate(
    model: nn.Module, forward: Callable[[Any], Tensor], application: Application, split: Split, device: torch.device
) -> Evaluation:
    """Loss and scores on a split.

    Args:
        model: in evaluation mode.
        forward: inputs -> outputs, of that model.
        application: its loss and scores.
        split: at least one sample, on `device`.
        device: where the sums are kept until the end, so that no batch waits for the host.
    """
    sums_of = score_sums(application)
    sums = torch.zeros(1 + len(sums_of), dtype=torch.float64, device=device)
    reset_state(model)
    for inputs, targets in split.batches(split.evaluation_keys()):
        outputs = forward(inputs)
        sums[0] += application.loss(outputs, targets) * len(targets)
        for position, score_sum in enumerate(sums_of.values(), start=1):
            sums[position] += score_sum(outputs, targets)
    loss, *means = (total / len(split) for total in sums.tolist())
    if application.score_sum is not None:
        return make_evaluation(application, loss, means)
    if application.measure is None:
        raise ValueError("the application has neither score_sum nor measure: give one of them.")
    reset_state(model)
    score = application.measure(model, split) if math.isfinite(loss) else math.nan  # diverged: nothing to measure
    return Evaluation(loss=loss, score=score, other_scores=dict(zip(sums_of, means, strict=True)))


def score_sums(application: Application) -> dict[str, ScoreSum]:
    """What is summed over a split's samples besides the loss, by the score's name."""
    sums_of = dict(application.other_scores)
    if application.score_sum is not None:
        sums_of[application.metric] = application.score_sum
    return sums_of


def make_evaluation(application: Application, loss: float, means: Sequence[float]) -> Evaluation:
    """The evaluation of an application that sums its score over samples.

    Args:
        application: one with `score_sum`.
        loss: mean over the samples.
        means: means of what `score_sums` names, in its order.
    """
    scores = dict(zip(score_sums(application), means, strict=True))
    score = application.finish_score(scores.pop(application.metric))
    return Evaluation(loss=loss, score=score, other_scores=scores)


def recompute_batch_norm(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replaces the running statistics of batch normalisation by the mean over the batches at the model's weights now.

    The statistics that training gathered belong to the training weights. Nothing happens where the model has no batch
    normalisation. Uses torch's random numbers where the model has dropout.

    Args:
        model: its mode is left as it is.
        batches: inputs (B, ...), as training sees them.
    """
    torch.optim.swa_utils.update_bn(batches, model)
