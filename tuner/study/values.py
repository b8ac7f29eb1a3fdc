"""Values of a study file that have a short and a long form: search ranges, optimizers and decays.

A `parse_*` function turns plain values into a dataclass of `tuner.study.search_space` or `trainers.spec`, and
`*_to_plain` turns it back. Names in a stored definition are text, and not looked up. This module must not know where in
a study the values stand.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Final, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
)
from pydantic_core import CoreSchema

from ...trainers.applications.registry import find_application
from ...trainers.optimizers import OPTIMIZERS, check_optimizer
from ...trainers.schedules import WARMUPS, check_schedule
from ...trainers.spec import DecaySpec, OptimizerSpec, OptionValue, Recipe, ScheduleSpec
from ...trainers.tables import UnknownName, lookup
from .fields import is_stored
from .search_space import Choice, Float, Int, Param, is_number

RANGE_KEYS: Final = ("low", "high", "scale", "type", "num")

ANCHORED: Final = "anchored"
"""Stands for the range of a solver's learning rate around its rule's proposal, which it has if none is stated."""


def parse_param(value: object) -> Param:
    """Parse a search range: `{low, high, scale, type, num}` or `{choices: [...]}`.

    `type` is "float" (the default) or "int"; `scale` is "linear" (the default) or "log".

    Raises:
        ValueError: it is neither; says what was found.

    >>> parse_param({"low": 1, "high": 8, "type": "int"})
    Int(low=1, high=8, scale='linear', num=None)
    """
    if value == ANCHORED:
        raise ValueError(
            "anchored is a range of a solver's lr: write it in solvers, as in solvers: {adam: {lr: anchored}}"
        )
    if not isinstance(value, dict):
        raise ValueError(f"must be a range such as {{low: 0.1, high: 1.0}} or {{choices: [1, 2]}}, got {value!r}")
    if "choices" in value:
        _check_keys(value, ("choices",))
        if not isinstance(value["choices"], list):
            raise ValueError(f"choices must be a list, got {value['choices']!r}")
        return Choice(choices=_same_kind([parse_option(choice) for choice in value["choices"]]))
    _check_keys(value, RANGE_KEYS)
    scale, kind = value.get("scale", "linear"), value.get("type", "float")
    lookup("scale", dict.fromkeys(("linear", "log")), str(scale))
    lookup("type", dict.fromkeys(("float", "int")), str(kind))
    num = value.get("num")
    if num is not None and not _is_whole(num):
        raise ValueError(f"num must be a whole number, got {num!r}")
    for key in ("low", "high"):
        number = value.get(key)
        if number is None:
            raise ValueError(f"{key} is missing: a range needs low and high")
        if kind == "int" and not _is_whole(number):
            raise ValueError(f"{key} must be a whole number, got {number!r}")
        if not is_number(number):
            raise ValueError(f"{key} must be a number, got {number!r}")
    if kind == "int":
        return Int(low=value["low"], high=value["high"], scale=scale, num=num)
    return Float(low=float(value["low"]), high=float(value["high"]), scale=scale, num=num)


def parse_option(value: object) -> OptionValue:
    """Parse an option's value: a number, a text, true, false, or a list of numbers.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list) and all(is_number(item) for item in value):
        return tuple(float(item) for item in value)
    raise ValueError(f"must be a number, a word, true, false or a list of numbers, got {value!r}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_keys(value: Mapping[str, object], known: tuple[str, ...]) -> None:
    for key in value:
        lookup("key", dict.fromkeys(known), key)


def _same_kind(choices: list[OptionValue]) -> tuple[OptionValue, ...]:
    """Check that the choices are of one kind; integers among floats become floats."""
    if all(is_number(choice) for choice in choices):
        if any(isinstance(choice, float) for choice in choices):
            return tuple(float(choice) for choice in choices if isinstance(choice, int | float))
        return tuple(choices)
    if len({type(choice) for choice in choices}) > 1:
        raise ValueError(f"choices must be all numbers, all words or all true and false, got {choices!r}")
    return tuple(choices)


def _name_and_options(kind: str, value: object) -> tuple[str, dict[str, OptionValue]]:
    """Parse `NAME` or `{name: NAME, option: value, ...}`."""
    if isinstance(value, str):
        return value, {}
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise ValueError(f"must be the name of {kind} or {{name: ..., option: value}}, got {value!r}")
    options = {}
    for name, option in value.items():
        try:
            options[name] = parse_option(option)
        except ValueError as error:
            raise ValueError(f"option {name!r} {error}") from None
    return value["name"], {name: option for name, option in options.items() if name != "name"}


def parse_optimizer(value: object, info: ValidationInfo) -> OptimizerSpec:
    """Parse an optimizer: its name, or a mapping of `name` and options; options left out are not filled in."""
    name, options = _name_and_options("an optimizer", value)
    spec = OptimizerSpec(name=name, options=options)
    if not is_stored(info):
        check_optimizer(spec)
    return spec


def parse_decay(value: object, info: ValidationInfo) -> DecaySpec:
    """Parse a decay: its name, or a mapping of `name` and options."""
    name, options = _name_and_options("a decay", value)
    spec = DecaySpec(name=name, options=options)
    if not is_stored(info):
        check_schedule(ScheduleSpec(peak_lr=1.0, decay=spec))
    return spec


def parse_warmup(value: object, info: ValidationInfo) -> str:
    """Parse the name of a warm-up."""
    if is_stored(info):
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"must be the name of a warm-up, got {value!r}")
    lookup("warm-up", WARMUPS, value)
    return value


def complete_optimizer(spec: OptimizerSpec) -> OptimizerSpec:
    """Fill in the optimizer's defaults, so that records say what was trained."""
    return OptimizerSpec(name=spec.name, options={**OPTIMIZERS[spec.name].defaults, **spec.options})


def param_to_plain(param: Param) -> dict[str, Any]:
    """Return plain values that `parse_param` reads back to an equal parameter."""
    if isinstance(param, Choice):
        return {"choices": [option_to_plain(choice) for choice in param.choices]}
    plain = {**asdict(param), "type": "int" if isinstance(param, Int) else "float"}
    return {key: value for key, value in plain.items() if value is not None}


def option_to_plain(value: OptionValue) -> Any:
    """Return a plain value that `parse_option` reads back to an equal one."""
    return list(value) if isinstance(value, tuple) else value


def options_to_plain(options: Mapping[str, OptionValue]) -> dict[str, Any]:
    """Return plain values of options by name."""
    return {name: option_to_plain(value) for name, value in options.items()}


def optimizer_to_plain(spec: OptimizerSpec) -> dict[str, Any]:
    """Return plain values that `parse_optimizer` reads back to the same optimizer, with all options."""
    return spec_to_plain(complete_optimizer(spec))


def spec_to_plain(spec: DecaySpec | OptimizerSpec) -> dict[str, Any]:
    """Return plain values that `parse_decay` or `parse_optimizer` reads back to an equal one."""
    return {"name": spec.name, **options_to_plain(spec.options)}


def _from_keys(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    """Return the schema of a dataclass that may be read from keys and values; a strict one takes instances only."""
    schema: Any = handler.resolve_ref_schema(handler(source))
    return cast(CoreSchema, {**{key: value for key, value in schema.items() if key != "ref"}, "strict": False})


def _known_application(name: str, info: ValidationInfo) -> str:
    if is_stored(info):
        return name
    try:
        find_application(name)
    except UnknownName as error:
        raise ValueError(f"{error} Your own comes in with --app FILE.py:{name}.") from None
    return name


def parse_solvers(value: object) -> object:
    """Return a mapping of solvers to their ranges; a list of names has none, nor has `lr: anchored`.

    >>> parse_solvers(["adam", "lars"]), parse_solvers({"adam": {"lr": "anchored"}, "lars": None})
    ({'adam': {}, 'lars': {}}, {'adam': {}, 'lars': {}})
    """
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return {name: {} for name in value}
    if not isinstance(value, dict):
        raise ValueError(f"must be a list of optimizers, or a mapping of optimizers to their ranges, got {value!r}")
    return {solver: _without_anchored(ranges) for solver, ranges in value.items()}


def _without_anchored(ranges: object) -> object:
    if not isinstance(ranges, dict):
        return {} if ranges is None else ranges
    return {name: param for name, param in ranges.items() if (name, param) != ("lr", ANCHORED)}


def solvers_to_plain(solvers: Mapping[str, Mapping[str, Param]]) -> Any:
    """Return plain values that `parse_solvers` and `parse_param` read back: a list of names if no ranges are stated."""
    plain = {
        solver: {name: param_to_plain(param) for name, param in ranges.items()} for solver, ranges in solvers.items()
    }
    return plain if any(plain.values()) else list(plain)


ApplicationName = Annotated[str, AfterValidator(_known_application)]
ParamValue = Annotated[Param, PlainValidator(parse_param), PlainSerializer(param_to_plain)]
SolversValue = Annotated[
    dict[str, dict[str, ParamValue]],
    BeforeValidator(parse_solvers),
    PlainSerializer(solvers_to_plain),
    Field(min_length=1, max_length=20),
]
OptionPlain = Annotated[OptionValue, PlainValidator(parse_option), PlainSerializer(option_to_plain)]
OptionValues = dict[str, OptionPlain]
OptimizerValue = Annotated[OptimizerSpec, PlainValidator(parse_optimizer), PlainSerializer(optimizer_to_plain)]
DecayValue = Annotated[DecaySpec, PlainValidator(parse_decay), PlainSerializer(spec_to_plain)]
WarmupValue = Annotated[str, PlainValidator(parse_warmup)]
RecipeValue = Annotated[Recipe, GetPydanticSchema(_from_keys)]
