"""Evaluation of a model on a split, at the weights that its optimizer wants evaluated.

Some optimizers are evaluated at other weights than those they train at: Schedule-Free at an average of its iterates,
for example. They offer the methods `train()` and `eval()`, the protocol of the package schedulefree. Some models carry
a state from one batch to the next, and must reset it before a pass over other data. This module must not know any of
them, nor epochs.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from .applications.application import Application, ScoreSum, Split
from .applications.failure import ApplicationError

PROBE_SAMPLES = 256
"""Most samples on which the untrained model is measured, once a training: enough to tell a blow-up from noise."""


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

    Sums are kept on the device until the end, so that no batch waits for the host. A loss or score that is too large
    for a float is infinite.

    Raises:
        ApplicationError: a score is no number.
        ValueError: the application has neither `score_sum` nor `measure`.
    """
    sums_of = score_sums(application)
    sums = torch.zeros(1 + len(sums_of), dtype=torch.float64, device=device)
    reset_state(model)
    for inputs, targets in split.batches(split.evaluation_keys()):
        outputs = forward(inputs)
        sums[0] += _scalar("loss", application.loss, outputs, targets) * len(targets)
        for position, (name, score_sum) in enumerate(sums_of.items(), start=1):
            place = "score_sum" if name == application.metric else f"other_scores[{name!r}]"
            sums[position] += _scalar(place, score_sum, outputs, targets)
    loss, *means = (total / len(split) for total in sums.tolist())
    if application.score_sum is not None:
        return make_evaluation(application, loss, means)
    if application.measure is None:
        raise ValueError("the application has neither score_sum nor measure: give one of them.")
    reset_state(model)
    # Diverged if not: nothing to measure.
    score = float(_scalar("measure", application.measure, model, split)) if math.isfinite(loss) else math.nan
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
    mean = scores.pop(application.metric)
    score = float(_scalar("finish_score", application.finish_score, mean)) if math.isfinite(mean) else mean
    return Evaluation(loss=loss, score=score, other_scores=scores)


@torch.no_grad()
def probe_loss(model: nn.Module, forward: Callable[[Any], Tensor], application: Application, split: Split) -> float:
    """Return the loss on a split's first samples, at most `PROBE_SAMPLES`, with the model in evaluation mode.

    The model keeps its mode. Not in torch's inference mode: a model that keeps what it computes first must be able to
    train with it.
    """
    mode = model.training
    reset_state(model.eval())
    keys = next(iter(split.evaluation_keys()))[:PROBE_SAMPLES]
    inputs, targets = next(iter(split.batches([keys])))
    loss = float(_scalar("loss", application.loss, forward(inputs), targets))
    model.train(mode)
    return loss


def _scalar(field: str, function: Callable[..., object], *arguments: object) -> Tensor | float:
    """Return the number that a function of the application gives; infinity if it is too large for a float."""
    try:
        value = function(*arguments)
        if isinstance(value, Real):
            return float(value)
    except OverflowError:
        return math.inf
    if isinstance(value, Tensor) and value.numel() == 1:
        return value.reshape(())
    kind = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
    raise ApplicationError(f"{field}: must return a single number, got {kind}")


def recompute_batch_norm(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the running statistics of batch normalisation by their mean over the batches at the current weights.

    The statistics gathered in training belong to the training weights. No effect on a model without batch
    normalisation. Draws from torch's random numbers if the model has dropout. The model keeps its mode.
    """
    torch.optim.swa_utils.update_bn(batches, model)
