"""What an application is: the neutral specification of a workload that every configuration of a study trains."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..data import Dataset, DataSource, Split
from ..options import NO_OPTIONS, Options
from ..spec import Baseline, OptionValue

__all__ = ["Application", "DataSource", "Dataset", "SmoothedLoss", "Split"]


class SmoothedLoss(Protocol):
    """A loss on classes whose targets can be smoothed."""

    def __call__(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float) -> Tensor:
        """Mean loss over the samples, a share in [0, 1) of each target spread over all classes: a scalar in nats."""


ScoreSum = Callable[[Tensor, Tensor], Tensor]
"""(outputs, targets) -> a score summed over the samples, a scalar."""


def _identity(mean: float) -> float:
    return mean


@dataclass(frozen=True, kw_only=True)
class Application:
    """A workload.

    Every loss and score is a mean over samples: whatever a split counts as one (an image, a sentence pair, a window of
    text).

    Attributes:
        build_model: makes the model with torch's global generator for its initial values. Called with the dataset
            info and the model's options as keyword arguments; each of them has a default there.
        data_sources: the data sources by name; the first is the default.
        loss: (outputs, targets) -> mean loss over the samples, a scalar in nats.
        score_sum: (outputs, targets) -> the metric summed over the samples (correct answers for accuracy), a scalar;
            None where `measure` gives the metric.
        metric: name of the metric, such as "accuracy".
        higher_is_better: direction of the metric.
        chance_score: what guessing scores; a diverged training is recorded with it.
        target: the papers' target of the metric; None where there is none.
        epochs: the papers' number of epochs; None where a study must state it.
        baseline: the papers' tuned small-batch configuration; None where there is none.
        description: one line; every application that is shipped has one.
        source: the papers' table or section it comes from.
        model_options: sizes of the model that a study may state, with the papers' as defaults.
        smoothed_loss: the loss with label smoothing; None where the application does not classify.
        finish_score: the metric of the mean of `score_sum`, such as exp for perplexity.
        measure: the metric by a pass of its own, such as a translation of the whole split for BLEU: (model in
            evaluation mode, split) -> metric.
        other_scores: further scores to record, such as top-5 accuracy, as `score_sum`, by name.
        packages: packages that the model or the data need, by name, with the extra of zerotune that brings them.
    """

    build_model: Callable[..., nn.Module]
    data_sources: Mapping[str, DataSource]
    loss: Callable[[Tensor, Tensor], Tensor]
    score_sum: ScoreSum | None = None
    metric: str
    higher_is_better: bool
    chance_score: float
    target: float | None = None
    epochs: int | None = None
    baseline: Baseline | None = None
    description: str = ""
    source: str = ""
    model_options: Options = NO_OPTIONS
    smoothed_loss: SmoothedLoss | None = None
    finish_score: Callable[[float], float] = _identity
    measure: Callable[[nn.Module, Split], float] | None = None
    other_scores: Mapping[str, ScoreSum] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)

    def new_model(self, info: Mapping[str, Any], options: Mapping[str, OptionValue]) -> nn.Module:
        """The model for data of this info, its initial values drawn from torch's global generator.

        Raises:
            UnknownName: there is no such option.
            ValueError: an option is of the wrong kind or out of its range.
        """
        return self.build_model(**info, **self.model_options.complete("model", options))

    def meta_model(self, options: Mapping[str, OptionValue]) -> nn.Module | None:
        """The model without values, on torch's meta device: what can be known of it at the cost of its shapes.

        None where it cannot be made so: a package is missing, or the model computes with its own values.

        Raises:
            ValueError: the model refuses the options.
        """
        try:
            with torch.device("meta"), torch.random.fork_rng(devices=[]):
                return self.new_model({}, options)
        except (ImportError, RuntimeError):  # NotImplementedError is a RuntimeError
            return None

    def missing_packages(self) -> list[str]:
        """A sentence for every package that is needed and not installed; nothing is imported."""
        return [
            f"the package {name} is not installed: pip install 'zerotune[{extra}]'"
            for name, extra in self.packages.items()
            if importlib.util.find_spec(name) is None
        ]
