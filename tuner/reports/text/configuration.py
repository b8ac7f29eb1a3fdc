"""Configurations as text: what was trained, what was searched, and what a definition states.

This module must not know how tables or pages are drawn. It escapes nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from ....trainers.scaling import RULES
from ....trainers.spec import DecaySpec, OptimizerSpec, Recipe, TrainConfig
from ...search import METHODS
from ...search.comprehensive import num_raced
from ...search.solver_union import shared_params
from ...study import ArmDefinition, BaselineDefinition, SearchDefinition, Study
from ...study.comprehensive import proposing_rules, searches_solver, solver_spaces, solvers_of
from ...study.configure import MODEL, SCHEDULE_NAMES
from ...study.definition import ScheduleDefinition, TuneDefinition
from ...study.methods import COMPREHENSIVE
from ...study.search_space import Space, describe_param
from ...trial import TrialResult
from .carrying import describe_keys
from .costs import cost_unit
from .format import format_epochs, format_lr, join_names, pluralize
from .search_fronts import format_tolerance
from .searches import format_early_end


def confirmed_config(results: Iterable[TrialResult], arm: str, batch_size: int) -> TrainConfig | None:
    """Return the configuration of the last confirmation run of an arm's first search, or None before there is one."""
    runs = [
        result
        for result in results
        if (result.trial.arm, result.trial.batch_size, result.trial.role) == (arm, batch_size, "confirmation")
        and not result.trial.repeat
    ]
    return max(runs, key=lambda result: result.finished_at).trial.config if runs else None


def format_config(config: TrainConfig, shown: Iterable[str] = ()) -> str:
    """Format schedule and optimizer with every option, and the options of the model that are `shown`."""
    schedule, optimizer = config.schedule, config.optimizer
    warmup = "no warm-up"
    if schedule.warmup_epochs:
        start = f" from {format_lr(schedule.warmup_start * schedule.peak_lr)}" if schedule.warmup_start else ""
        warmup = f"{schedule.warmup} warm-up{start} over {format_epochs(schedule.warmup_epochs)}"
    decay, solver = format_value(schedule.decay), format_value(optimizer)
    recipe = format_recipe(config.recipe)
    around = f"; {recipe}" if recipe else ""
    model = format_model_options(config, shown)
    return f"lr {format_lr(schedule.peak_lr)}, {warmup}, decay {decay}; {solver}{around}{f'; {model}' if model else ''}"


def format_model_options(config: TrainConfig, shown: Iterable[str]) -> str:
    """Format options of the model by their names as hyperparameters, such as "model.num_hidden"."""
    return format_values({name: config.model_options.get(name.removeprefix(MODEL)) for name in shown})


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
        return f"{_format_comprehensive(study, arm)}{_format_runs(study, arm)}{longer}"
    if arm.is_search:
        fixed = f"; fixed: {format_values(arm.fixed)}" if arm.fixed else ""
        searched = _format_solver_search(study, arm) if searches_solver(arm) else f"{_format_search(arm)}; {solver}"
        return f"{searched}{_format_objectives(study, arm)}{fixed}{_format_runs(study, arm)}{longer}"
    probed = f"guarded by up to {pluralize(arm.guard, 'probe')}" if arm.guard else "no search"
    start = f"{probed}: rule {arm.method}, {RULES[arm.method].description}; from"
    if arm.baseline is not None and arm.baseline.tune is not None:
        return f"{start} a baseline of its own, found by {_format_tune(arm.baseline.tune)}; {solver}{longer}"
    stated = "" if arm.baseline is None else format_values(_stated(arm.baseline, arm.baseline.model_fields_set))
    return f"{start} the study's baseline{f' with {stated}' if stated else ''}; {solver}{longer}"


def _format_runs(study: Study, arm: ArmDefinition) -> str:
    """Describe how often a search is run, what it starts from, and when it ends early."""
    repeated = f"; run {arm.repeats} times, every choice confirmed" if arm.repeats > 1 else ""
    start = describe_start(study, arm)
    return f"{repeated}{f'; {start}' if start else ''}{format_early_end(study, arm)}"


def describe_start(study: Study, arm: ArmDefinition) -> str:
    """Describe what a search tries first if it starts from a neighbour; empty if it starts anew."""
    if arm.start_from is None or len(study.batch_sizes) == 1:
        return ""
    own = ", every run from its own" if arm.repeats > 1 else ""
    return (
        f"from B={study.batch_sizes[1]:,} on it first tries its choice at the next smaller batch size{own}, the "
        "learning rate times the square root of the ratio"
    )


def _format_comprehensive(study: Study, arm: ArmDefinition) -> str:
    """Describe what a comprehensive search tries, with the ranges at the largest batch size."""
    trials, batch_size = num_planned_trials(arm), max(study.batch_sizes)
    rules = [each.name for each in proposing_rules(study, arm)]
    first = f"what {join_names(rules[: trials // 4])} would train with, then " if rules[: trials // 4] else ""
    raced = f", {num_raced(trials)} of the trials for a race of the best over seeds" if num_raced(trials) else ""
    return (
        f"comprehensive search of {pluralize(trials, 'trial')}: {first}Sobol points of up to "
        f"{len(solvers_of(study, arm))} solvers, further ones of the best solver, by Sobol and by TPE{raced}; "
        f"at B={batch_size:,}, {_format_solver_spaces(study, arm, batch_size)}"
    )


def _format_solver_search(study: Study, arm: ArmDefinition) -> str:
    """Describe a search over several solvers, with the ranges at the largest batch size."""
    batch_size = max(study.batch_sizes)
    spaces = solver_spaces(study, arm, batch_size)
    shared = shared_params(spaces)
    own = {solver: {name: space[name] for name in space if name not in shared} for solver, space in spaces.items()}
    parts = [f"{solver}: {_format_space(space)}" for solver, space in own.items() if space]
    if shared:
        parts.append(f"{'all: ' if len(spaces) > 1 else ''}{_format_space(shared)}")
    return (
        f"{_format_method(arm)} over {join_names(list(spaces))}{_format_pruner(arm)}; at B={batch_size:,}, "
        f"{' | '.join(parts)}"
    )


def _format_solver_spaces(study: Study, arm: ArmDefinition, batch_size: int) -> str:
    return " | ".join(
        f"{solver}: {_format_space(space)}" for solver, space in solver_spaces(study, arm, batch_size).items()
    )


def _format_space(space: Space) -> str:
    return "; ".join(f"{name} {describe_param(param)}" for name, param in space.items())


def format_baseline(baseline: BaselineDefinition) -> str:
    """Describe where the baseline's configuration comes from."""
    stated = format_values(_stated(baseline, SCHEDULE_NAMES))
    found = f"{_format_tune(baseline.tune)}; the rest stated: {stated}" if baseline.tune else f"stated: {stated}"
    return f"{found}; optimizer {format_value(baseline.optimizer)}"


def _stated(schedule: ScheduleDefinition, names: Iterable[str]) -> dict[str, object]:
    """Return the stated values of a schedule, in the order of `SCHEDULE_NAMES`."""
    values = {name: getattr(schedule, name) for name in SCHEDULE_NAMES if name in names}
    return {name: value for name, value in values.items() if value is not None}


def _format_objectives(study: Study, arm: ArmDefinition) -> str:
    """Describe the choice of a search for score and cost; empty for another."""
    if not arm.objectives:
        return ""
    return (
        f", for score and {cost_unit(arm.objectives[-1], []).label}: the choice is the cheapest trial within "
        f"{format_tolerance(study.margin)} of the best validation score"
    )


def _format_tune(tune: TuneDefinition) -> str:
    return f"{_format_search(tune)}{describe_keys(tune)}"


def _format_search(search: SearchDefinition) -> str:
    return f"{_format_method(search)} over {_format_space(search.space)}{_format_pruner(search)}"


def _format_method(search: SearchDefinition) -> str:
    sampler = "" if search.method != "optuna" or search.sampler == "tpe" else f" (sampler {search.sampler})"
    return f"{search.method}{sampler} search of {pluralize(num_planned_trials(search), 'trial')}"


def _format_pruner(search: SearchDefinition) -> str:
    return f", trials ended early by {search.pruner}" if search.pruner != "none" else ""
