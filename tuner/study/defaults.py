"""Published default configurations, which need no tuning.

The method `defaults` trains the first k of `DEFAULTS` and chooses the best on validation. The order of the table is
fixed, from the most used on, so that k means the same in every study. This module must not know who trains them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ...trainers.spec import DecaySpec, OptimizerSpec, ScheduleSpec

DEFAULT: Final = "default"
"""Name of the hyperparameter that holds the configuration's name, in trials of the method `defaults`."""


@dataclass(frozen=True, kw_only=True)
class PublishedDefault:
    """Published configuration, the same at every batch size.

    Attributes:
        optimizer: optimizer, with the options that differ from our defaults.
        peak_lr: learning rate at the end of the warm-up.
        warmup_share: warm-up as a fraction of the run's epochs.
        decay: name of the decay.
        source: where the values come from.
    """

    optimizer: OptimizerSpec
    peak_lr: float
    warmup_share: float = 0.0
    decay: str = "constant"
    source: str

    def schedule(self, epochs: int) -> ScheduleSpec:
        """Return the schedule of a run of this many epochs.

        >>> DEFAULTS["adamw"].schedule(40).warmup_epochs
        2.0
        """
        return ScheduleSpec(
            peak_lr=self.peak_lr, warmup_epochs=self.warmup_share * epochs, decay=DecaySpec(name=self.decay)
        )


DEFAULTS: Mapping[str, PublishedDefault] = {
    "adam": PublishedDefault(
        optimizer=OptimizerSpec(name="adam"),
        peak_lr=1e-3,
        source="Kingma and Ba, arXiv 1412.6980, Algorithm 1",
    ),
    "momentum": PublishedDefault(
        optimizer=OptimizerSpec(name="momentum", options={"momentum": 0.9, "weight_decay": 1e-4}),
        peak_lr=0.1,
        decay="cosine",
        source="He et al., arXiv 1512.03385, Section 3.4; cosine decay of Loshchilov and Hutter, arXiv 1608.03983",
    ),
    "adamw": PublishedDefault(
        optimizer=OptimizerSpec(name="adamw", options={"weight_decay": 0.01}),
        peak_lr=1e-3,
        warmup_share=0.05,
        decay="cosine",
        source="torch.optim.AdamW; warm-up and decay as of AlgoPerf's baselines, Dahl et al., arXiv 2306.07179",
    ),
    "rmsprop": PublishedDefault(
        optimizer=OptimizerSpec(name="rmsprop"),
        peak_lr=1e-2,
        source="torch.optim.RMSprop",
    ),
    "momentum-small": PublishedDefault(
        optimizer=OptimizerSpec(name="momentum", options={"momentum": 0.9, "weight_decay": 5e-4}),
        peak_lr=0.01,
        source="Krizhevsky et al., ImageNet classification with deep convolutional neural networks (2012), Section 5",
    ),
}
"""Published configurations by name, in the order in which they are tried."""
