"""Loss and metric of single-label classification, shared by the applications that classify.

Shape suffixes: B batch, K classes.
"""

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits_BK: Tensor, labels_B: Tensor) -> Tensor:
    """Mean cross-entropy over the samples, a scalar in nats."""
    return F.cross_entropy(logits_BK, labels_B)


def num_correct(logits_BK: Tensor, labels_B: Tensor) -> Tensor:
    """Samples whose largest logit is their label's, a scalar."""
    return (logits_BK.argmax(dim=1) == labels_B).sum()
