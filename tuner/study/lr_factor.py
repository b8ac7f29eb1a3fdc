"""A configuration with a multiple of its learning rate: what the probes of a guarded rule train."""

from dataclasses import replace
from typing import Final

from ...trainers.spec import Configuration, OptionValue

LR_FACTOR: Final = "lr_factor"
"""Name of the hyperparameter that holds the multiple of the rule's learning rate."""


def with_lr_factor(rule: Configuration, factor: OptionValue) -> Configuration:
    """Return a rule's configuration with `factor` times its peak learning rate.

    Its warm-up starts at the same learning rate, as it does at every batch size, but not above the peak.

    >>> from zerotune.trainers.spec import OptimizerSpec, ScheduleSpec
    >>> schedule = ScheduleSpec(peak_lr=0.4, warmup_epochs=2, warmup_start=0.25)
    >>> rule = Configuration(batch_size=512, schedule=schedule, optimizer=OptimizerSpec(name="adam"))
    >>> half = with_lr_factor(rule, 0.5).schedule
    >>> half.peak_lr, half.warmup_start
    (0.2, 0.5)
    """
    if isinstance(factor, bool) or not isinstance(factor, int | float):
        raise ValueError(f"{LR_FACTOR} must be a number, got {factor!r}")
    schedule = rule.schedule
    start = min(1.0, schedule.warmup_start / factor)
    return replace(rule, schedule=replace(schedule, peak_lr=schedule.peak_lr * factor, warmup_start=start))
