"""Configurations as text: what was trained, what was searched, and what a definition states.

This module must not know how tables or pages are drawn. It escapes nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from ....trainers.scaling import RULES
from ....trainers.spec import DecaySpec, OptimizerSpec, Recipe, TrainConfig
from ...search import METHODS
from ...search.comprehensive import num_raced
from ...study import ArmDefinition, BaselineDefinition, SearchDefinition, Study
from ...study.comprehensive import solver_spaces
from ...study.configure import SCHEDULE_NAMES
from ...study.definition import COMPREHENSIVE, ScheduleDefinition
from ...study.search_space import describe_param
from ...trial import TrialResult
from .format import format_epochs, format_lr, join_names, pluralize


def confirmed_config(results: Iterable[TrialResult], arm: str, batch_size: int) -> TrainConfig | None:
    """Return the configuration of an arm's last confirmation run, or None before there is one."""
    runs = [
        result
        for result in results
        if (result.trial.arm, result.trial.batch_size, result.trial.role) == (arm, batch_size, "confirmation")
    ]
    return max(runs, key=lambda result: result.finished_at).trial.config if runs else None


def format_config(config: TrainConfig) -> str:
    """Format schedule and optimizer with every option."""
    schedule, optimizer = config.schedule, config.optimizer
    warmup = "no warm-up"
    if schedule.warmup_epochs:
        start = f" from {format_lr(schedule.warmup_start * schedule.peak_lr)}" if schedule.warmup_start else ""
        warmup = f"{schedule.warmup} warm-up{start} over {format_epochs(schedule.warmup_epochs)}"
    decay, solver = format_value(schedule.decay), format_value(optimizer)
    recipe = format_recipe(config.recipe)
    around = f"; {recipe}" if recipe else ""
    return f"lr {format_lr(schedule.peak_lr)}, {warmup}, decay {decay}; {solver}{around}"


def format_recipe(recipe: Recipe) -> str:
    """Format what differs from the plain recipe; empty if nothing does."""
    return format_values({name: value for name, value in asdict(recipe).items() if value != getattr(Recipe(), name)})


def format_value(value: object) -> str:
    """Format a value as a user would type it: floats to four digits, an optimizer or a decay as its name and options.

    >>> format_value(0.00353553), format_value((0.9, 0.999)), format_value(True), format_value("poly")
    ('0.003536', '0.9 0.999', 'yes', 'poly')
    >>> format_value(DecaySpec(name="poly", options={"power": 2.0}))
    'poly (power 2)'
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, DecaySpec | OptimizerSpec):
        return f"{value.name} ({format_values(value.options)})" if value.options else value.name
    if isinstance(value, list | tuple):
        return " ".join(format_value(item) for item in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def format_values(values: Mapping[str, object]) -> str:
    """Format names and values on one line.

    >>> format_values({"lr": 0.1, "decay": "poly"})
    'lr 0.1, decay poly'
    """
    return ", ".join(f"{name} {format_value(value)}" for name, value in values.items())


def num_planned_trials(search: SearchDefinition) -> int:
    """Return the number of trials planned for a search at a batch size, without its repeats."""
    return METHODS[search.method].num_trials(search)


def format_arm(study: Study, arm: ArmDefinition) -> str:
    """Describe where an arm's configuration comes from."""
    solver = f"optimizer {format_value(study.arm_optimizer(arm))}"
    longer = f"; {pluralize(arm.epochs, 'epoch')} a training" if arm.epochs else ""
    if arm.method == "defaults":
        return f"the best of {num_planned_trials(arm)} published default configurations{longer}"
    if arm.method == COMPREHENSIVE:
        repeated = f"; run {arm.repeats} times, of which the first chose" if arm.repeats > 1 else ""
        return f"{_format_comprehensive(study, arm)}{repeated}{longer}"
    if arm.is_search:
        fixed = f"; fixed: {format_values(arm.fixed)}" if arm.fixed else ""
        repeated = f"; run {arm.repeats} times, of which the first chose" if arm.repeats > 1 else ""
        return f"{_format_search(arm)}; {solver}{fixed}{repeated}{longer}"
    start = f"no search: rule {arm.method}, {RULES[arm.method].description}; from"
    if arm.baseline is not None and arm.baseline.tune is not None:
        return f"{start} a baseline of its own, found by {_format_search(arm.baseline.tune)}; {solver}{longer}"
    stated = "" if arm.baseline is None else format_values(_stated(arm.baseline, arm.baseline.model_fields_set))
    return f"{start} the study's baseline{f' with {stated}' if stated else ''}; {solver}{longer}"


def _format_comprehensive(study: Study, arm: ArmDefinition) -> str:
    """Describe what a comprehensive search tries, with the ranges at the largest batch size."""
    trials, batch_size = num_planned_trials(arm), max(study.batch_sizes)
    rules = [each.name for each in study.arms if not each.is_search and study.epochs_of(each) == study.epochs_of(arm)]
    first = f"what {join_names(rules[: trials // 4])} would train with, then " if rules[: trials // 4] else ""
    spaces = solver_spaces(study, arm, batch_size)
    ranges = " | ".join(
        f"{solver}: {'; '.join(f'{name} {describe_param(param)}' for name, param in space.items())}"
        for solver, space in spaces.items()
    )
    return (
        f"comprehensive search of {pluralize(trials, 'trial')}: {first}Sobol points of up to {len(spaces)} solvers, "
        f"{num_raced(trials)} of the trials for a race of the best over seeds; at B={batch_size:,}, {ranges}"
    )


def format_baseline(baseline: BaselineDefinition) -> str:
    """Describe where the baseline's configuration comes from."""
    stated = format_values(_stated(baseline, SCHEDULE_NAMES))
    found = f"{_format_search(baseline.tune)}; the rest stated: {stated}" if baseline.tune else f"stated: {stated}"
    return f"{found}; optimizer {format_value(baseline.optimizer)}"


def _stated(schedule: ScheduleDefinition, names: Iterable[str]) -> dict[str, object]:
    """Return the stated values of a schedule, in the order of `SCHEDULE_NAMES`."""
    values = {name: getattr(schedule, name) for name in SCHEDULE_NAMES if name in names}
    return {name: value for name, value in values.items() if value is not None}


def _format_search(search: SearchDefinition) -> str:
    space = "; ".join(f"{name} {describe_param(param)}" for name, param in search.space.items())
    ended = f", trials ended early by {search.pruner}" if search.pruner != "none" else ""
    return f"{search.method} search of {pluralize(num_planned_trials(search), 'trial')} over {space}{ended}"
