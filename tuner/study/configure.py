"""Build the `trainers.spec.Configuration` of a definition and some hyperparameters.

Pure functions. A hyperparameter is one of `SCHEDULE_NAMES`, one of `RECIPE_NAMES`, an option of the optimizer, or after
`MODEL` an option of the model. One that is not given has the arm's fixed value, else the baseline's or the study's,
else the optimizer's or the model's default.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from ...trainers.optimizers import OPTIMIZERS
from ...trainers.scaling import scale
from ...trainers.spec import Configuration, DecaySpec, OptimizerSpec, OptionValue, Recipe, ScheduleSpec
from .comprehensive import OPTIMIZER
from .defaults import DEFAULT, DEFAULTS
from .definition import ArmDefinition, BaselineDefinition, Study
from .search_space import is_number
from .values import complete_optimizer

SCHEDULE_NAMES: Final = ("lr", "warmup_epochs", "warmup", "warmup_start", "decay")
"""Hyperparameters of the schedule."""

RECIPE_NAMES: Final = ("label_smoothing", "clip_norm", "ghost_batch_size")
"""Hyperparameters of the recipe."""

MODEL: Final = "model."
"""Prefix of hyperparameters that are options of the application's model, such as "model.num_hidden"."""


def hyperparameter_names(optimizer: str, model_options: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the names of the hyperparameters that can be searched or fixed with an optimizer and a model.

    >>> hyperparameter_names("momentum", ["num_hidden"])[7:]
    ('ghost_batch_size', 'momentum', 'weight_decay', 'nesterov', 'model.num_hidden')
    """
    of_model = (f"{MODEL}{name}" for name in model_options)
    return (*SCHEDULE_NAMES, *RECIPE_NAMES, *OPTIMIZERS[optimizer].defaults, *of_model)


def baseline_config(definition: BaselineDefinition, recipe: Recipe, params: Mapping[str, OptionValue]) -> Configuration:
    """Return the configuration of a baseline at its own batch size.

    Args:
        definition: `Study.baseline`, or `Study.baseline_of(arm)`.
        recipe: the study's.
        params: the hyperparameters that `definition.tune` chose, by name; empty where the baseline is stated.

    Raises:
        ValueError: neither the definition nor `params` gives a learning rate, or a value is of the wrong kind.
    """
    lr = params.get("lr", definition.lr)
    if lr is None:
        raise ValueError("no learning rate: state lr, or search it")
    decay = _word("decay", params.get("decay", definition.decay.name))
    schedule = ScheduleSpec(
        peak_lr=_number("lr", lr),
        warmup_epochs=_number("warmup_epochs", params.get("warmup_epochs", definition.warmup_epochs)),
        warmup=_word("warmup", params.get("warmup", definition.warmup)),
        warmup_start=_number("warmup_start", params.get("warmup_start", definition.warmup_start)),
        # A searched decay with the stated decay's name has its options; any other has its defaults.
        decay=definition.decay if decay == definition.decay.name else DecaySpec(name=decay),
    )
    others = {name: value for name, value in params.items() if name not in (*SCHEDULE_NAMES, *RECIPE_NAMES)}
    options = {name: value for name, value in others.items() if not name.startswith(MODEL)}
    stated: dict[str, Any] = {name: _number(name, params[name]) for name in RECIPE_NAMES if name in params}
    if "ghost_batch_size" in stated:
        stated["ghost_batch_size"] = _whole_number("ghost_batch_size", params["ghost_batch_size"])
    return Configuration(
        batch_size=definition.batch_size,
        schedule=schedule,
        optimizer=_optimizer(definition.optimizer.name, {**definition.optimizer.options, **options}),
        recipe=replace(recipe, **stated),
        model_options={name.removeprefix(MODEL): others[name] for name in others if name.startswith(MODEL)},
    )


def rule_config(
    study: Study, arm: ArmDefinition, params: Mapping[str, OptionValue], *, batch_size: int, epochs: int
) -> Configuration:
    """Return the configuration that an arm's rule makes of its baseline.

    `params` are the hyperparameters that tuning the baseline chose, by name; empty where the baseline is stated.

    Raises:
        ValueError: the rule gives nothing to train with, such as a warm-up that outlasts the run.
    """
    baseline = baseline_config(study.baseline_of(arm), study.recipe, params)
    return scale(
        arm.method,
        baseline,
        batch_size=batch_size,
        epochs=epochs,
        on_long_warmup=arm.on_long_warmup,
        numbers=arm.rule_numbers,
    )


def search_config(
    study: Study, arm: ArmDefinition, params: Mapping[str, OptionValue], *, batch_size: int
) -> Configuration:
    """Return the configuration of a searching arm's trial with the hyperparameters that the method proposes, by name.

    Values that are neither searched nor fixed are the baseline's. Its learning rate is not taken, nor what its tuning
    chose: a search stands on its own.

    Raises:
        ValueError: there is no learning rate, or a value is of the wrong kind.
    """
    if DEFAULT in params:
        default = DEFAULTS[_word(DEFAULT, params[DEFAULT])]
        return Configuration(
            batch_size=batch_size,
            schedule=default.schedule(study.epochs_of(arm)),
            optimizer=complete_optimizer(default.optimizer),
            recipe=study.recipe,
        )
    if OPTIMIZER in params:
        solver = _word(OPTIMIZER, params[OPTIMIZER])
        own = study.baseline.optimizer.options if solver == study.baseline.optimizer.name else {}
        arm = arm.model_copy(update={"optimizer": OptimizerSpec(name=solver, options=own)})
        params = {name: value for name, value in params.items() if name != OPTIMIZER}
    optimizer = arm.optimizer or study.baseline.optimizer
    start = study.baseline.model_copy(update={"lr": None, "batch_size": batch_size, "optimizer": optimizer})
    return baseline_config(start, study.recipe, {**arm.fixed, **params})


def describe_schedule(schedule: ScheduleSpec) -> dict[str, OptionValue]:
    """Return the hyperparameters of a schedule that every search has, by name."""
    return {"lr": schedule.peak_lr, "warmup_epochs": schedule.warmup_epochs, "decay": schedule.decay.name}


def _optimizer(name: str, options: Mapping[str, OptionValue]) -> OptimizerSpec:
    """Return an optimizer with all its options; whole numbers become floats if the default is one (0 is 0.0)."""
    defaults = OPTIMIZERS[name].defaults
    return OptimizerSpec(
        name=name,
        options={
            option: float(value) if type(value) is int and isinstance(defaults.get(option), float) else value
            for option, value in {**defaults, **options}.items()
        },
    )


def _number(name: str, value: OptionValue) -> float:
    if not is_number(value):
        raise ValueError(f"{name} must be a number, got {value!r}")
    return float(value)


def _whole_number(name: str, value: OptionValue) -> int:
    if not isinstance(value, int):
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    return value


def _word(name: str, value: OptionValue) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a name, got {value!r}")
    return value
