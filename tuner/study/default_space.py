"""The default search space of a tuned arm: everything that a careful engineer tunes at a new batch size.

A comparison is only as good as its tuned arm. Nesterov momentum matches LARS at batch size 32,768 once warm-up, decay,
momentum, weight decay and label smoothing are tuned too (Nado et al., arXiv 2102.06356). `space: default` in an arm
stands for the ranges below. They are written out when a study is read, so that its records show them. This module works
on the plain content of a study, before its values are checked, and leaves alone what it cannot read.
"""

import math
from collections.abc import Mapping
from typing import Any

from ...trainers.applications import Application
from ...trainers.optimizers import OPTIMIZERS
from .methods import COMPREHENSIVE

DEFAULT_SPACE = "default"
"""Value of an arm's `space` that stands for the default space."""

LR_FACTOR = 4.0
"""The learning rate is searched from lr0 / LR_FACTOR to lr0 k LR_FACTOR, with k the largest batch size over B0."""

OPTION_RANGES: Mapping[str, Mapping[str, Any]] = {
    "momentum": {"low": 0.8, "high": 0.98},
    "beta1": {"low": 0.8, "high": 0.98},
    "weight_decay": {"low": 1e-6, "high": 1e-2, "scale": "log"},
}
"""Ranges of optimizer options; an arm searches those that its optimizer has."""


def fill_in_default_spaces(content: Mapping[str, Any], application: Application | None) -> dict[str, Any]:
    """Return a study's plain content with every `space: default` written out."""
    arms = content.get("arms")
    if application is None or not isinstance(arms, list):
        return dict(content)
    return {**content, "arms": [_fill_in_space(arm, content, application) for arm in arms]}


def _fill_in_space(arm: Any, content: Mapping[str, Any], application: Application) -> Any:
    if not isinstance(arm, dict) or arm.get("space") != DEFAULT_SPACE:
        return arm
    if arm.get("solvers") is not None or arm.get("method") == COMPREHENSIVE:
        return arm  # it is the space of one optimizer
    baseline = content.get("baseline")
    epochs = arm.get("epochs", content.get("epochs"))
    learning_rates = _learning_rates(baseline, content.get("batch_sizes"))
    if learning_rates is None or not isinstance(baseline, dict) or not isinstance(epochs, int):
        return arm
    optimizer = _name(arm.get("optimizer", baseline.get("optimizer")))
    if optimizer not in OPTIMIZERS or optimizer != _name(baseline.get("optimizer")):
        return arm  # the baseline's learning rate does not fit another optimizer
    low, high = learning_rates
    space: dict[str, Any] = {
        "lr": {"low": low, "high": high, "scale": "log"},
        "warmup_epochs": {"low": 0, "high": epochs / 2},
        "decay": {"choices": ["constant", "poly", "cosine"]},
    }
    options = OPTIMIZERS[optimizer].defaults
    space |= {option: dict(values) for option, values in OPTION_RANGES.items() if option in options}
    if application.smoothed_loss is not None:
        space["label_smoothing"] = {"low": 0, "high": 0.2}
    stated = arm.get("fixed", {})
    return {**arm, "space": {name: values for name, values in space.items() if name not in stated}}


def _name(optimizer: Any) -> str:
    return str(optimizer.get("name") if isinstance(optimizer, dict) else optimizer)


def _learning_rates(baseline: Any, batch_sizes: Any) -> tuple[float, float] | None:
    """Return both ends of the learning rate's range; None if the baseline's learning rate cannot be read."""
    try:
        lowest = highest = baseline.get("lr")
        if lowest is None:
            searched = baseline["tune"]["space"]["lr"]
            choices = searched.get("choices") or [searched["low"], searched["high"]]
            lowest, highest = min(choices), max(choices)
        k = max(1.0, max(batch_sizes) / baseline["batch_size"])
        ends = float(lowest) / LR_FACTOR, float(highest) * k * LR_FACTOR
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return ends if 0 < ends[0] and math.isfinite(ends[1]) else None
