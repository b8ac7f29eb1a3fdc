"""Loss and metric of single-label classification, shared by the applications that classify.

Shape suffixes: B batch, K classes.
"""

from functools import partial

import torch.nn.functional as F
from torch import Tensor

from .application import Application


def cross_entropy(logits_BK: Tensor, labels_B: Tensor) -> Tensor:
    """Return the mean cross-entropy over the samples, a scalar in nats."""
    return F.cross_entropy(logits_BK, labels_B)


def smoothed_cross_entropy(outputs: Tensor, targets: Tensor, *, label_smoothing: float) -> Tensor:
    """Return the mean cross-entropy to smoothed labels, a scalar in nats.

    Source: Szegedy et al., arXiv 1512.00567, Section 7.

    Args:
        outputs: logits (B, K).
        targets: labels (B,).
        label_smoothing: probability mass spread evenly over all K classes, in [0, 1).
    """
    return F.cross_entropy(outputs, targets, label_smoothing=label_smoothing)


def num_correct(logits_BK: Tensor, labels_B: Tensor) -> Tensor:
    """Count the samples whose label has the largest logit, a scalar."""
    return (logits_BK.argmax(dim=1) == labels_B).sum()


def num_correct_in_top5(logits_BK: Tensor, labels_B: Tensor) -> Tensor:
    """Count the samples whose label is among the five largest logits, a scalar; all samples if K <= 5."""
    top_B5 = logits_BK.topk(min(5, logits_BK.shape[1]), dim=1).indices
    return (top_B5 == labels_B.unsqueeze(1)).sum()


classifier = partial(
    Application,
    loss=cross_entropy,
    smoothed_loss=smoothed_cross_entropy,
    score_sum=num_correct,
    metric="accuracy",
    higher_is_better=True,
)
"""An application that classifies; takes the other fields of `Application`."""
