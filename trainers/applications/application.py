"""What an application is: the neutral specification of a workload that every configuration of a study trains."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from trainers.data import Dataset, DataSource, Split
from trainers.spec import Baseline

__all__ = ["Application", "DataSource", "Dataset", "SmoothedLoss", "Split"]


class SmoothedLoss(Protocol):
    """A loss on classes whose targets can be smoothed."""

    def __call__(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float) -> Tensor:
        """Mean loss over the samples, a share in [0, 1) of each target spread over all classes: a scalar in nats."""


@dataclass(frozen=True, kw_only=True)
class Application:
    """A workload.

    Attributes:
        description: one line.
        source: the papers' table or section it comes from.
        build_model: makes the model with torch's global generator for its initial values.
        data_sources: the data sources by name; the first is the default.
        loss: (outputs, targets) -> mean loss over the samples, a scalar in nats.
        score_sum: (outputs, targets) -> the metric summed over the samples (correct answers for accuracy), a scalar.
        metric: name of the metric, such as "accuracy".
        higher_is_better: direction of the metric.
        chance_score: what guessing scores; a diverged training is recorded with it.
        target: the papers' target of the metric.
        epochs: the papers' number of epochs.
        baseline: the papers' tuned small-batch configuration.
        smoothed_loss: the loss with label smoothing; None where the application does not classify.
    """

    description: str
    source: str
    build_model: Callable[[], nn.Module]
    data_sources: Mapping[str, DataSource]
    loss: Callable[[Tensor, Tensor], Tensor]
    score_sum: Callable[[Tensor, Tensor], Tensor]
    metric: str
    higher_is_better: bool
    chance_score: float
    target: float
    epochs: int
    baseline: Baseline
    smoothed_loss: SmoothedLoss | None = None
