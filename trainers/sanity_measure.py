"""Sanity check of a metric that needs a pass of its own, by measuring an untrained model.

This module must not know losses or batches.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from .applications.application import Application, Split
from .applications.failure import ApplicationError, attribute_to, describe_value
from .applications.metric_names import bound_problem
from .data import TensorSplit
from .data.loaded import LoadedSplit
from .evaluation import reset_state
from .spec import MAX_SCORE

MOST_FLOPS = 3e10
"""Operations of the pass: seconds on one core."""
MOST_LOADED = 500
"""Samples of the pass if they are loaded one by one."""
LEAST_SAMPLES = 64
"""Samples of the pass, whatever they cost."""


def check_measure(application: Application, model: nn.Module, split: Split, flops: int) -> None:
    """Measure the untrained model on validation samples, as many as take seconds, and on the same ones twice."""
    if application.measure is None:
        return
    most = int(MOST_FLOPS // max(1, flops // 3))  # a forward pass is a third of a training's
    number = min(len(split), max(LEAST_SAMPLES, most))
    is_whole = number == len(split)
    repeated = None
    if isinstance(split, LoadedSplit) and number > MOST_LOADED:
        number, is_whole = MOST_LOADED, False
    if isinstance(split, TensorSplit | LoadedSplit):
        positions = torch.linspace(0, len(split) - 1, number).round().long().tolist()
        repeated = split.select(positions * 2)
        split = split if is_whole else split.select(positions)
    elif not is_whole:
        return
    about = f": it was called with the untrained model and {number} samples of validation"
    try:
        score = _measure(application, model, split, about)
    except ApplicationError as error:
        if not is_whole and isinstance(error.__cause__, ValueError | ArithmeticError):
            return  # a class may be missing among so few
        raise
    if not is_whole and not math.isfinite(score):
        return
    check_number("measure", score)
    problem = bound_problem(application.metric, score, application.chance_score)
    if problem is not None:
        raise ApplicationError(f"measure: {problem}")
    if repeated is not None and score != 0:
        try:
            twice = _measure(application, model, repeated, about)
        except ApplicationError:
            return
        if math.isclose(twice, 2 * score, rel_tol=1e-3):
            raise ApplicationError(
                "measure: doubles if every sample occurs twice: it must return the metric of the split, not a sum over "
                "its samples"
            )


def _measure(application: Application, model: nn.Module, split: Split, about: str) -> float:
    assert application.measure is not None
    reset_state(model.eval())
    torch.manual_seed(0)
    with torch.inference_mode(), attribute_to("measure", "it", about):
        value = application.measure(model, split)
    if isinstance(value, int) and abs(value) > MAX_SCORE:
        return math.inf
    if isinstance(value, float) and not math.isfinite(value):
        return value
    return check_number("measure", value)


def check_number(field: str, value: Any) -> float:
    """Return a metric, checked to be a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        hint = ": .item() makes a number of it" if isinstance(value, Tensor) and value.numel() == 1 else ""
        raise ApplicationError(f"{field}: must return a number, got {describe_value(value)}{hint}")
    if not math.isfinite(value):
        raise ApplicationError(f"{field}: is {value} before any training")
    return float(value)
