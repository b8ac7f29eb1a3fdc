"""Evaluation of a model on a split, at the weights that its optimizer wants evaluated.

Some optimizers train at other weights than those they are evaluated at: Schedule-Free's iterates and their average, or
any that keeps an average. They say so with the methods `train()` and `eval()`, the protocol of the package
schedulefree. This module must not know any of them, nor epochs.
"""

from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from trainers.applications.application import Application, Split

EVALUATION_BATCH = 1_000
"""Samples evaluated at once; of no influence on any score."""


@runtime_checkable
class SwitchesWeights(Protocol):
    """An optimizer that is evaluated at other weights than it trains: both methods change the parameters in place."""

    def train(self) -> None:
        """Puts the training weights into the parameters; needed before `step`."""

    def eval(self) -> None:
        """Puts the evaluation weights into the parameters; needed before evaluating and before saving."""


@torch.inference_mode()
def evaluate(
    forward: Callable[[Tensor], Tensor], application: Application, split: Split, device: torch.device
) -> tuple[float, float]:
    """Mean loss and mean score on a split.

    Args:
        forward: inputs -> outputs, of a model in evaluation mode.
        application: its loss and score.
        split: at least one sample, on `device`.
        device: where the sums are kept until the end, so that no batch waits for the host.
    """
    loss_sum = torch.zeros((), dtype=torch.float64, device=device)
    score_sum = torch.zeros((), dtype=torch.float64, device=device)
    inputs_by_batch = torch.split(split.inputs, EVALUATION_BATCH)
    targets_by_batch = torch.split(split.targets, EVALUATION_BATCH)
    for inputs, targets in zip(inputs_by_batch, targets_by_batch, strict=True):
        outputs = forward(inputs)
        loss_sum += application.loss(outputs, targets) * len(targets)
        score_sum += application.score_sum(outputs, targets)
    return loss_sum.item() / len(split), score_sum.item() / len(split)


def recompute_batch_norm(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replaces the running statistics of batch normalisation by the mean over the batches at the model's weights now.

    The statistics that training gathered belong to the training weights. Nothing happens where the model has no batch
    normalisation. Uses torch's random numbers where the model has dropout.

    Args:
        model: its mode is left as it is.
        batches: inputs (B, ...), as training sees them.
    """
    torch.optim.swa_utils.update_bn(batches, model)
