"""Type and range checks of an application's fields, before anything is built or loaded.

A dataclass accepts any value, so a user application is checked field by field. `trainers.sanity_check` checks what only
a batch can show.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..options import Options
from ..spec import Baseline
from ..tabulated.look_up import LookUp
from .application import Application, DataSource, train_nothing
from .metric_names import metric_bounds

_PART = "[A-Za-z0-9_][A-Za-z0-9_. -]*"
_SCORE_NAME = re.compile(rf"(?=.{{1,200}}$){_PART}(/{_PART})*")
"""Metric names that MLflow accepts, of which it makes paths; it takes 250 characters with our prefix."""

RESERVED_SCORES = frozenset({"loss", "score"})
"""Names of other scores that would stand under the names of our own metrics."""

_CALLABLES = {
    "build_model": "a function (**info, **options) -> torch.nn.Module",
    "loss": "a function (outputs, targets) -> mean loss over the samples",
    "score_sum": "a function (outputs, targets) -> score summed over the samples",
    "smoothed_loss": "a function (outputs, targets, *, label_smoothing) -> mean loss over the samples",
    "finish_score": "a function mean -> metric",
    "measure": "a function (model, split) -> metric",
}
_MAY_BE_NONE = frozenset({"look_up", "score_sum", "smoothed_loss", "measure", "target", "epochs", "baseline"})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **{field: (f"must be {words}", callable) for field, words in _CALLABLES.items()},
    "data_sources": (
        "must map at least one name to a DataSource",
        lambda value: (
            isinstance(value, Mapping)
            and bool(value)
            and all(isinstance(name, str) and isinstance(source, DataSource) for name, source in value.items())
        ),
    ),
    "look_up": ("must be a zerotune.trainers.tabulated.look_up.LookUp", lambda value: isinstance(value, LookUp)),
    "metric": ("must be its name, such as 'accuracy'", lambda value: isinstance(value, str) and value.isprintable()),
    "higher_is_better": ("must be True or False", lambda value: isinstance(value, bool)),
    "chance_score": ("must be a finite number: the metric of random guessing", _is_number),
    "target": ("must be a finite number, or left out", _is_number),
    "epochs": (
        "must be a whole number of at least 1, or left out",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1,
    ),
    "baseline": ("must be a zerotune.Baseline, or left out", lambda value: isinstance(value, Baseline)),
    "description": ("must be text", lambda value: isinstance(value, str)),
    "source": ("must be text", lambda value: isinstance(value, str)),
    "model_options": ("must be a zerotune.trainers.options.Options", lambda value: isinstance(value, Options)),
    "other_scores": (
        "must map names of at most 200 letters, digits and _ . - to functions (outputs, targets) -> summed score; a / "
        "may stand between two parts of a name",
        lambda value: (
            isinstance(value, Mapping)
            and all(isinstance(name, str) and _SCORE_NAME.fullmatch(name) for name in value)
            and all(callable(score) for score in value.values())
        ),
    ),
    "packages": ("must map names of packages to extras", lambda value: isinstance(value, Mapping)),
    "environment": (
        "must list names of environment variables, such as ['MODEL_SIZE']",
        lambda value: (
            isinstance(value, Sequence)
            and not isinstance(value, str)
            and all(isinstance(name, str) and name.isidentifier() for name in value)
        ),
    ),
}


def field_problems(application: Application) -> Iterator[str]:
    """Yield one sentence per invalid field, starting with the field's name.

    >>> from dataclasses import replace
    >>> from zerotune.trainers.applications import APPLICATIONS
    >>> list(field_problems(replace(APPLICATIONS["lenet_mnist"], metric=3)))
    ["metric: must be its name, such as 'accuracy', got 3"]
    """
    wrong = set()
    for field, (must, fits) in _KINDS.items():
        value = getattr(application, field)
        if not fits(value) and not (value is None and field in _MAY_BE_NONE):
            wrong.add(field)
            shown = repr(value)
            yield f"{field}: {must}, got {shown if len(shown) <= 60 else type(value).__name__}"
    if application.score_sum is None and application.measure is None:
        yield "score_sum: is missing, and so is measure: one of them must compute the metric"
    if application.look_up is not None and "look_up" not in wrong and application.build_model is not train_nothing:
        yield "look_up: is for applications that train nothing, but build_model is given: leave one of them out"
    if not wrong & {"target", "chance_score", "higher_is_better"} and application.target is not None:
        better = application.target > application.chance_score
        if better != application.higher_is_better:
            yield (
                f"target: must be better than chance_score, got {application.target:g} and "
                f"{application.chance_score:g} with higher_is_better={application.higher_is_better}"
            )
    if not wrong & {"metric", "chance_score"}:
        low, high = metric_bounds(application.metric, application.chance_score)
        for field in ("chance_score", "target"):
            value = getattr(application, field)
            if field not in wrong and value is not None and not low <= value <= high:
                yield f"{field}: must be from {low:g} to {high:g} for the metric {application.metric!r}, got {value:g}"
    if not wrong & {"metric", "other_scores"} and application.metric in application.other_scores:
        yield f"other_scores: {application.metric!r} is the metric itself: remove it"
    if "other_scores" not in wrong:
        for name in RESERVED_SCORES & application.other_scores.keys():
            yield f"other_scores: {name!r} would replace validation_{name} in MLflow: choose another name"
