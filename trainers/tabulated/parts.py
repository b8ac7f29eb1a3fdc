"""A configuration as named values: what the axes, columns and fixed values of a table are called."""

from collections.abc import Mapping

from ..optimizers import OPTIMIZERS
from ..schedules import DECAYS
from ..spec import OptionValue, Recipe, ScheduleSpec, TrainConfig
from ..tables import lookup

Part = OptionValue | None
"""A value of a part; None for a part of the recipe that is left out."""

WORDS = {"lr": "learning rate", "batch_size": "batch size"}
"""Names that are written differently in sentences."""

_PLAIN_SCHEDULE, _PLAIN_RECIPE = ScheduleSpec(peak_lr=1.0), Recipe()
PLAIN: Mapping[str, Part] = {
    "warmup_epochs": _PLAIN_SCHEDULE.warmup_epochs,
    "warmup": _PLAIN_SCHEDULE.warmup,
    "warmup_start": _PLAIN_SCHEDULE.warmup_start,
    "decay": _PLAIN_SCHEDULE.decay.name,
    **vars(_PLAIN_RECIPE),
}
"""Values that a part has if nothing states it."""

SETTINGS = frozenset({"lr", "batch_size", "epochs", "optimizer", *PLAIN})
"""The parts that every configuration has; the others are options of its optimizer, its decay and its model."""


def config_parts(config: TrainConfig) -> dict[str, Part]:
    """Return the parts of a configuration by name, without its seed.

    They are `SETTINGS`, the options of the optimizer and of the model by their own names, and the options of the decay
    as "decay.NAME". The shape and the start of a warm-up are left out where there is none.

    Raises:
        UnknownName: there is no such optimizer or decay.
    """
    schedule, optimizer = config.schedule, config.optimizer
    parts: dict[str, Part] = {
        "lr": schedule.peak_lr,
        "batch_size": config.batch_size,
        "epochs": config.epochs,
        "optimizer": optimizer.name,
        "warmup_epochs": schedule.warmup_epochs,
        "decay": schedule.decay.name,
    }
    if schedule.warmup_epochs:
        parts |= {"warmup": schedule.warmup, "warmup_start": schedule.warmup_start}
    parts |= vars(config.recipe)
    parts |= {**lookup("optimizer", OPTIMIZERS, optimizer.name).defaults, **optimizer.options}
    decay = {**lookup("decay", DECAYS, schedule.decay.name).defaults, **schedule.decay.options}
    parts |= {f"decay.{name}": value for name, value in decay.items()}
    return {**parts, **config.model_options}


def plain_value(name: str, config: TrainConfig) -> Part:
    """Return the value that a part has where nothing states it: the optimizer's or the decay's default, or `PLAIN`."""
    if name.startswith("decay."):
        return DECAYS[config.schedule.decay.name].defaults.get(name.removeprefix("decay."))
    return {**PLAIN, **OPTIMIZERS[config.optimizer.name].defaults}.get(name)


def format_part(name: str, value: Part) -> str:
    """Format a part with its value.

    >>> format_part("lr", 0.1), format_part("warmup_epochs", 2.0), format_part("clip_norm", None)
    ('learning rate 0.1', 'a warm-up of 2 epochs', 'no clip_norm')
    """
    if name == "warmup_epochs" and isinstance(value, int | float):
        return f"a warm-up of {format_value(value)} epoch{'' if value == 1 else 's'}" if value else "no warm-up"
    return f"no {WORDS.get(name, name)}" if value is None else f"{WORDS.get(name, name)} {format_value(value)}"


def format_value(value: OptionValue) -> str:
    """Format a value with six digits, which tell apart what `Axis.positions` does.

    >>> format_value(3.5938137e-05), format_value(64), format_value("cosine")
    ('3.59381e-05', '64', 'cosine')
    """
    return f"{value:.6g}" if isinstance(value, float) else str(value)
