"""Evaluation of a model on a split, at the weights that its optimizer wants evaluated.

Some optimizers are evaluated at other weights than those they train at: Schedule-Free at an average of its iterates,
for example. They offer the methods `train()` and `eval()`, the protocol of the package schedulefree. Some models carry
a state from one batch to the next, and must reset it before a pass over other data. This module must not know any of
them, nor epochs.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from .applications.application import Application, ScoreSum, Split


@runtime_checkable
class SwitchesWeights(Protocol):
    """An optimizer whose evaluation weights are not its training weights; both methods change the parameters in place.

    Call `train` before `step`, and `eval` before evaluating or saving.
    """

    def train(self) -> None:
        """Put the training weights into the parameters."""

    def eval(self) -> None:
        """Put the evaluation weights into the parameters."""


@runtime_checkable
class CarriesState(Protocol):
    """A model that carries a state from one batch to the next, as a language model does along a text."""

    def reset_state(self) -> None:
        """Reset the state: the next batch begins new texts."""


def reset_state(model: nn.Module) -> None:
    """Reset a model's state between batches; no effect on a model without one."""
    if isinstance(model, CarriesState):
        model.reset_state()


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Loss and scores on a split.

    Attributes:
        loss: mean over the samples (nats).
        score: the application's metric.
        other_scores: the application's other scores by name.
    """

    loss: float
    score: float
    other_scores: Mapping[str, float] = field(default_factory=dict)


NOT_EVALUATED = Evaluation(loss=math.nan, score=math.nan)
"""Stands for the evaluation of a training that has diverged, or that another worker evaluates."""


@torch.inference_mode()
def evaluate(
    model: nn.Module, forward: Callable[[Any], Tensor], application: Application, split: Split, device: torch.device
) -> Evaluation:
    """Compute loss and scores on a split of at least one sample, with the model in evaluation mode.

    Sums are kept on the device until the end, so that no batch waits for the host.

    Raises:
        ValueError: the application has neither `score_sum` nor `measure`.
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
    """Return the functions that are summed over a split's samples besides the loss, by the score's name."""
    sums_of = dict(application.other_scores)
    if application.score_sum is not None:
        sums_of[application.metric] = application.score_sum
    return sums_of


def make_evaluation(application: Application, loss: float, means: Sequence[float]) -> Evaluation:
    """Make the evaluation of an application with `score_sum` from the mean loss and the means of its `score_sums`."""
    scores = dict(zip(score_sums(application), means, strict=True))
    score = application.finish_score(scores.pop(application.metric))
    return Evaluation(loss=loss, score=score, other_scores=scores)


def recompute_batch_norm(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the running statistics of batch normalisation by their mean over the batches at the current weights.

    The statistics gathered in training belong to the training weights. No effect on a model without batch
    normalisation. Draws from torch's random numbers if the model has dropout. The model keeps its mode.
    """
    torch.optim.swa_utils.update_bn(batches, model)
