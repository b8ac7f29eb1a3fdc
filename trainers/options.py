"""Named options of a table's entry: their kinds, ranges and defaults.

Shared by all tables whose entries take options, such as `trainers.schedules.DECAYS` and
`trainers.optimizers.OPTIMIZERS`, so that their error messages agree. This module must not know what an option does.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .spec import OptionValue
from .tables import lookup

Kind = type[float] | type[int] | type[bool] | type[str] | type[tuple[float, ...]]
"""Kind of an option's value; `float` includes whole numbers, `tuple` is a sequence of numbers."""

Range = tuple[float, float]
"""Lowest and highest allowed value, both included; for a tuple, of each of its numbers."""

KIND_NAMES: Mapping[Kind, str] = {
    float: "a finite number",
    int: "a whole number",
    bool: "true or false",
    str: "a name",
    tuple: "a sequence of numbers",
}


def complete_options(
    owner: str,
    given: Mapping[str, OptionValue],
    *,
    defaults: Mapping[str, OptionValue],
    required: Mapping[str, Kind],
    ranges: Mapping[str, Range],
) -> dict[str, Any]:
    """Check options and fill in the defaults of those left out.

    Args:
        owner: owner of the options, for the error message ("optimizer 'lars'").
        given: options by name.
        defaults: options that may be left out; the type of a default is the option's kind.
        required: kinds of the options without a default.
        ranges: allowed values, by option.

    Raises:
        UnknownName: an option is neither in `defaults` nor in `required`.
        ValueError: a required option is missing, or a value is of the wrong kind or out of its range.

    >>> complete_options("decay 'poly'", {}, defaults={"power": 2.0}, required={}, ranges={})
    {'power': 2.0}
    >>> complete_options("decay 'poly'", {"power": -1}, defaults={"power": 2.0}, required={}, ranges={"power": (0, 9)})
    Traceback (most recent call last):
    ...
    ValueError: decay 'poly': option 'power' must be from 0 to 9, got -1.
    """
    kinds: dict[str, Kind] = {**{name: type(value) for name, value in defaults.items()}, **required}
    missing = [name for name in required if name not in given]
    if missing:
        name = missing[0]
        raise ValueError(f"{owner}: option {name!r} is missing and has no default; give {KIND_NAMES[required[name]]}.")
    options: dict[str, Any] = dict(defaults)
    for name, value in given.items():
        if not kinds:
            raise ValueError(f"{owner} takes no options, got {name!r}.")
        options[name] = _check_value(owner, name, value, lookup(f"option of {owner}", kinds, name), ranges.get(name))
    return options


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options that an entry takes, with defaults and ranges.

    Attributes:
        defaults: default of every option; its type is the option's kind.
        ranges: lowest and highest allowed value, by option; options left out may have any value of their kind.

    >>> Options(defaults={"num_hidden": 200}, ranges={"num_hidden": (1, 9999)}).complete("the model", {})
    {'num_hidden': 200}
    >>> Options(defaults={"dropout": 0.5}).complete("the model", {"dropout": 0})
    {'dropout': 0.0}
    """

    defaults: Mapping[str, OptionValue] = field(default_factory=dict)
    ranges: Mapping[str, Range] = field(default_factory=dict)

    def complete(self, owner: str, given: Mapping[str, OptionValue]) -> dict[str, Any]:
        """Check options and fill in the defaults of those left out.

        Raises:
            UnknownName: there is no such option.
            ValueError: a value is of the wrong kind or out of its range; the message begins with `owner`.
        """
        complete = complete_options(owner, given, defaults=self.defaults, required={}, ranges=self.ranges)
        return {name: _as_floats(value, self.defaults[name]) for name, value in complete.items()}


NO_OPTIONS = Options()


def _check_value(owner: str, name: str, value: OptionValue, kind: Kind, allowed: Range | None) -> Any:
    """Return the value, a sequence as a tuple; raise ValueError if it is of the wrong kind or out of its range."""
    numbers: tuple[Any, ...] = ()
    if kind is tuple and isinstance(value, tuple | list):
        numbers, value = tuple(value), tuple(value)
        fits = all(_is_number(number) for number in numbers)
    elif kind is float or kind is int:
        numbers = (value,)
        fits = _is_number(value) and (kind is float or isinstance(value, int))
    else:
        fits = isinstance(value, kind)
    if not fits:
        raise ValueError(f"{owner}: option {name!r} must be {KIND_NAMES[kind]}, got {value!r}.")
    if allowed is not None and any(not allowed[0] <= number <= allowed[1] for number in numbers):
        raise ValueError(f"{owner}: option {name!r} must be {_format_range(allowed)}, got {value!r}.")
    return value


def _as_floats(value: OptionValue, default: OptionValue) -> OptionValue:
    """Convert whole numbers to floats if the default is one: 0 and 0.0 are the same configuration."""
    if isinstance(value, tuple):
        return tuple(float(number) for number in value)
    return float(value) if isinstance(default, float) and isinstance(value, int) else value


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)


def _format_range(allowed: Range) -> str:
    low, high = allowed
    return f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
