"""The neutral specification of a workload, which every configuration of a study trains."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor, nn

from ..compiler import WithoutValues
from ..data import Dataset, DataSource, Split
from ..options import NO_OPTIONS, Options
from ..process_state import keep_process_state
from ..spec import Baseline, OptionValue
from ..tabulated.look_up import LookUp

__all__ = ["Application", "DataSource", "Dataset", "SmoothedLoss", "Split"]


class SmoothedLoss(Protocol):
    """A loss on classes whose targets can be smoothed."""

    def __call__(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float) -> Tensor:
        """Return the mean loss over the samples with smoothed targets, a scalar in nats; label_smoothing in [0, 1)."""


ScoreSum = Callable[[Tensor, Tensor], Tensor]
"""(outputs, targets) -> a score summed over the samples, a scalar."""


def train_nothing(*_: Any, **__: Any) -> NoReturn:
    """Stand for the model, the loss and the data of an application whose trainings are looked up."""
    raise RuntimeError("the trainings of this application are looked up in a table: it has no model and no data")


def _identity(mean: float) -> float:
    return mean


@dataclass(frozen=True, kw_only=True)
class Application:
    """A workload: a model, its data, loss, metric, target and tuned baseline.

    Losses and scores are means over samples. A sample is what the split counts as one: an image, a sentence pair or a
    window of text.

    Attributes:
        build_model: (**info, **options) -> model, called with the dataset info and the model options. Every parameter
            needs a default. Initial values are drawn from torch's global generator.
        data_sources: data sources by name; the first is the default.
        loss: (outputs, targets) -> mean loss over the samples, a scalar in nats.
        score_sum: (outputs, targets) -> the metric summed over the samples, a scalar: for accuracy the number of
            correct answers. None if `measure` computes the metric.
        metric: its name, such as "accuracy".
        higher_is_better: whether a higher metric is better.
        chance_score: the metric of random guessing; diverged trainings are recorded with it.
        target: the papers' target metric; None if they give none.
        epochs: the papers' number of epochs; None if a study must state it.
        baseline: the papers' tuned small-batch configuration; None if they give none.
        description: one line; required of shipped applications.
        source: table or section of the papers.
        model_options: model sizes that a study may set; the defaults are the papers'.
        smoothed_loss: the loss with label smoothing; None if the application does not classify.
        finish_score: mean of `score_sum` -> metric, such as exp for perplexity.
        measure: (model in evaluation mode, split) -> metric, for metrics that need a pass of their own, such as BLEU.
        other_scores: further scores to record by name, such as top-5 accuracy; functions like `score_sum`.
        packages: package name -> extra of zerotune that installs it, for packages that the model or the data need.
        environment: names of environment variables that change what is trained, such as one that sizes the model. A
            study whose results were trained with other values is not resumed; only digests of values are stored.
        look_up: (configuration) -> result of a training that was made before. None for an application that trains. Made
            by `trainers.applications.tabulated.tabulated_application`.
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
    environment: Sequence[str] = ()
    look_up: LookUp | None = None

    def new_model(self, info: Mapping[str, Any], options: Mapping[str, OptionValue]) -> nn.Module:
        """Build the model for a data set's `info`; initial values come from torch's global generator.

        Model options that are left out take their defaults.

        Raises:
            UnknownName: an option is unknown.
            ValueError: an option has the wrong type or is out of range.
        """
        return self.build_model(**info, **self.model_options.complete("model", options))

    def meta_model(self, options: Mapping[str, OptionValue]) -> nn.Module | None:
        """Build the model on torch's meta device: shapes without values, at almost no cost.

        Returns:
            The model; None if it cannot be built that way: a package is missing, it computes with its own values, or it
            needs a data set's `info`.

        Raises:
            ValueError: the model rejects the options.
        """
        try:
            with keep_process_state(), torch.device("meta"), WithoutValues():
                return self.new_model({}, options)
        except (ImportError, RuntimeError, TypeError):  # NotImplementedError is a RuntimeError
            return None

    def missing_packages(self) -> list[str]:
        """Return one sentence per required package that is not installed, without importing any."""
        return [
            f"the package {name} is not installed: pip install 'zerotune[{extra}]'"
            for name, extra in self.packages.items()
            if importlib.util.find_spec(name) is None
        ]
