"""Configurations in words: what was trained, what was searched, what a definition states.

This module must not know how tables or pages are drawn; names come out as they went in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ....trainers.scaling import RULES
from ....trainers.spec import Recipe, TrainConfig
from ...study import SEARCH_METHODS
from ...study.defaults import DEFAULTS
from ...study.search_space import Space, describe_param, grid_size
from ...study.values import parse_param
from ...trial import TrialResult
from .format import format_epochs, format_lr, pluralize

Definition = Mapping[str, Any]
"""A study, an arm or a search as the store keeps it: plain JSON values."""

_STATED = ("lr", "warmup_epochs", "warmup", "warmup_start", "decay")


def confirmed_config(results: Iterable[TrialResult], arm: str, batch_size: int) -> TrainConfig | None:
    """The configuration of an arm's last confirmation run; None before there is one."""
    runs = [
        result
        for result in results
        if (result.trial.arm, result.trial.batch_size, result.trial.role) == (arm, batch_size, "confirmation")
    ]
    return max(runs, key=lambda result: result.finished_at).trial.config if runs else None


def format_config(config: TrainConfig) -> str:
    """Schedule and optimizer, every option written out."""
    schedule, optimizer = config.schedule, config.optimizer
    warmup = "no warm-up"
    if schedule.warmup_epochs:
        start = f" from {format_lr(schedule.warmup_start * schedule.peak_lr)}" if schedule.warmup_start else ""
        warmup = f"{schedule.warmup} warm-up{start} over {format_epochs(schedule.warmup_epochs)}"
    decay = format_value({"name": schedule.decay.name, **schedule.decay.options})
    solver = format_value({"name": optimizer.name, **optimizer.options})
    recipe = {name: value for name, value in asdict(config.recipe).items() if value != getattr(Recipe(), name)}
    around = f"; {format_values(recipe)}" if recipe else ""
    return f"lr {format_lr(schedule.peak_lr)}, {warmup}, decay {decay}; {solver}{around}"


def format_value(value: object) -> str:
    """A value to four digits, as one would type it; an optimizer or a decay with its options behind its name.

    >>> format_value(0.00353553), format_value((0.9, 0.999)), format_value(True), format_value("poly")
    ('0.003536', '0.9 0.999', 'yes', 'poly')
    >>> format_value({"name": "poly", "power": 2.0})
    'poly (power 2)'
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        options = format_values({key: option for key, option in value.items() if key != "name"})
        return f"{value['name']} ({options})" if options else str(value["name"])
    if isinstance(value, list | tuple):
        return " ".join(format_value(item) for item in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def format_values(values: Mapping[str, object]) -> str:
    """Names and values in a row.

    >>> format_values({"lr": 0.1, "decay": "poly"})
    'lr 0.1, decay poly'
    """
    return ", ".join(f"{name} {format_value(value)}" for name, value in values.items())


def search_space(search: Definition) -> Space:
    """The ranges of a stored search, as `tuner.study.search_space` has them."""
    return {name: parse_param(plain) for name, plain in (search.get("space") or {}).items()}


def num_planned_trials(search: Definition) -> int:
    """How many trials a stored search was to make at a batch size, its repeats not counted."""
    if search.get("trials"):
        return int(search["trials"])
    return len(DEFAULTS) if search["method"] == "defaults" else grid_size(search_space(search))


def is_search(arm: Definition) -> bool:
    """Whether a stored arm spends trials on choosing."""
    return arm["method"] in SEARCH_METHODS


def format_arm(arm: Definition) -> str:
    """Where a stored arm's configuration comes from."""
    solver = f"optimizer {format_value(arm['optimizer'])}"
    longer = f"; {pluralize(arm['epochs'], 'epoch')} a training" if arm.get("epochs") else ""
    if is_search(arm):
        if arm["method"] == "defaults":
            return f"the best of {num_planned_trials(arm)} published default configurations{longer}"
        fixed = format_values(arm.get("fixed") or {})
        repeats = arm.get("repeats") or 1
        repeated = f"; run {repeats} times, of which the first chose" if repeats > 1 else ""
        return f"{_format_search(arm)}; {solver}{f'; fixed: {fixed}' if fixed else ''}{repeated}{longer}"
    own = arm.get("baseline") or {}
    start = f"no search: rule {arm['method']}, {RULES[arm['method']].description}; from"
    if own.get("tune"):
        return f"{start} a baseline of its own, found by {_format_search(own['tune'])}; {solver}{longer}"
    stated = format_values({name: value for name, value in own.items() if name != "tune"})
    return f"{start} the study's baseline{f' with {stated}' if stated else ''}; {solver}{longer}"


def format_baseline(baseline: Definition) -> str:
    """Where the stored baseline's configuration comes from."""
    stated = format_values({name: baseline[name] for name in _STATED if baseline.get(name) is not None})
    tune = baseline.get("tune")
    found = f"{_format_search(tune)}; the rest stated: {stated}" if tune else f"stated: {stated}"
    return f"{found}; optimizer {format_value(baseline['optimizer'])}"


def _format_search(search: Definition) -> str:
    space = "; ".join(f"{name} {describe_param(param)}" for name, param in search_space(search).items())
    pruner = search.get("pruner") or "none"
    ended = f", trials ended early by {pruner}" if pruner != "none" else ""
    return f"{search['method']} search of {pluralize(num_planned_trials(search), 'trial')} over {space}{ended}"
