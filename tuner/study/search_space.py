"""Search spaces: the values of hyperparameters, their grids and random samples.

Pure values and maths. This module must not know which hyperparameters exist or who searches them.
"""

import itertools
import math
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeGuard, TypeVar

from ...trainers.spec import OptionValue

Scale = Literal["linear", "log"]
"""Scale of a range; "log" gives 0.01..0.1 and 0.1..1 the same weight."""

MAX_GRID_POINTS = 10_000
"""Most points of a grid: at a second a trial they take three hours."""

EDGE_FRACTION = 0.05
"""A value is on the edge within this fraction of the range's width from a bound."""

SIGNIFICANT_DIGITS = 12
"""Digits that grid points are rounded to, so that 0.1 is 0.1 and not 0.09999999999999999."""


Number = TypeVar("Number", int, float)


@dataclass(frozen=True, kw_only=True)
class Range(Generic[Number]):
    """Numeric hyperparameter in [low, high].

    Attributes:
        low: smallest value; above 0 on a log scale.
        high: largest value, above `low`.
        scale: "linear" or "log".
        num: grid points, both ends included; None for every integer of an `Int`, and for a `Float` without a grid.

    Raises:
        ValueError: the bounds span nothing.
    """

    low: Number
    high: Number
    scale: Scale = "linear"
    num: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ValueError(f"low and high must be finite, got low={self.low:g}, high={self.high:g}")
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got low={self.low:g}, high={self.high:g}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"a log scale needs low above 0, got low={self.low:g}")
        if self.num is not None and not 2 <= self.num <= MAX_GRID_POINTS:
            raise ValueError(f"num must be 2 .. {MAX_GRID_POINTS} (both ends are grid points), got num={self.num}")


class Float(Range[float]):
    """Real hyperparameter."""


class Int(Range[int]):
    """Integer hyperparameter."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Categorical hyperparameter: a list of allowed values.

    Raises:
        ValueError: fewer than two values, or one twice.
    """

    choices: tuple[OptionValue, ...]

    def __post_init__(self) -> None:
        if len(self.choices) < 2:
            raise ValueError(f"choices needs two or more values, got {len(self.choices)}: a single one is no search")
        if len(self.choices) > MAX_GRID_POINTS:
            raise ValueError(f"choices may hold at most {MAX_GRID_POINTS} values, got {len(self.choices)}")
        seen: set[OptionValue] = set()
        for choice in self.choices:
            if choice in seen:
                raise ValueError(f"choices holds {choice!r} twice")
            seen.add(choice)


Param = Float | Int | Choice
"""Allowed values of one hyperparameter."""

Space = Mapping[str, Param]
"""Hyperparameters by name; grids and random draws follow the order of the names."""


def _from_unit(param: Float | Int, fraction: float) -> float:
    """Return the value at a fraction 0 .. 1 of a range, on its scale."""
    if param.scale == "log":
        return math.exp((1 - fraction) * math.log(param.low) + fraction * math.log(param.high))
    return (1 - fraction) * param.low + fraction * param.high


def place_in(param: Float | Int, value: float) -> float:
    """Return where a value lies in a range on its scale, 0 at `low` and 1 at `high`."""
    convert: Callable[[float], float] = math.log if param.scale == "log" else float
    return (convert(value) - convert(param.low)) / (convert(param.high) - convert(param.low))


def grid_values(param: Param) -> tuple[OptionValue, ...]:
    """Return the grid points of one hyperparameter, ascending; choices as listed.

    Raises:
        ValueError: a real range has no `num`, or there are more points than numbers in the range, or too many points.

    >>> grid_values(Float(low=0.1, high=0.4, num=4))
    (0.1, 0.2, 0.3, 0.4)
    >>> grid_values(Float(low=0.01, high=1.0, scale="log", num=3))
    (0.01, 0.1, 1.0)
    >>> grid_values(Int(low=2, high=5))
    (2, 3, 4, 5)
    """
    if isinstance(param, Choice):
        return param.choices
    num = param.num
    if num is None:
        if isinstance(param, Float):
            raise ValueError("a grid over a real range needs num, its number of points")
        num = param.high - param.low + 1
        if num > MAX_GRID_POINTS:
            raise ValueError(f"a grid over {num} whole numbers is too large: give num, the number of points")
    inner = [_from_unit(param, i / (num - 1)) for i in range(1, num - 1)]
    if isinstance(param, Int):
        values: tuple[float, ...] = (param.low, *(round(value) for value in inner), param.high)
    else:
        values = (param.low, *(float(f"{value:.{SIGNIFICANT_DIGITS}g}") for value in inner), param.high)
    if any(a >= b for a, b in itertools.pairwise(values)):
        raise ValueError(f"{num} grid points do not fit between {param.low:g} and {param.high:g}: lower num")
    return values


def grid_size(space: Space) -> int:
    """Return the number of points of a grid without making them; ValueError if one of its parameters has no grid."""
    return math.prod(len(grid_values(param)) for param in space.values())


def grid_points(space: Space) -> list[dict[str, OptionValue]]:
    """Return every combination of the parameters' grid values; the last parameter changes fastest.

    Raises:
        ValueError: one of its parameters has no grid.

    >>> grid_points({"lr": Choice(choices=(0.1, 0.2)), "decay": Choice(choices=("constant", "poly"))})[:2]
    [{'lr': 0.1, 'decay': 'constant'}, {'lr': 0.1, 'decay': 'poly'}]
    """
    return [
        dict(zip(space, values, strict=True))
        for values in itertools.product(*(grid_values(param) for param in space.values()))
    ]


def _draw(param: Param, generator: random.Random) -> OptionValue:
    if isinstance(param, Choice):
        return generator.choice(param.choices)
    if isinstance(param, Float):
        return min(max(_from_unit(param, generator.random()), param.low), param.high)
    if param.scale == "linear":
        return generator.randint(param.low, param.high)
    # Half a step beyond both ends, so that the end values are as likely as the others.
    widened = Float(low=param.low - 0.5, high=param.high + 0.5, scale="log")
    return min(max(round(_from_unit(widened, generator.random())), param.low), param.high)


def value_at(param: Param, fraction: float) -> OptionValue:
    """Return the value at a fraction 0 .. 1 of a parameter: equal shares for choices and whole numbers.

    >>> value_at(Float(low=0.01, high=1.0, scale="log"), 0.5), value_at(Int(low=2, high=5), 0.99)
    (0.1, 5)
    >>> [value_at(Choice(choices=("a", "b")), fraction) for fraction in (0.0, 0.49, 0.5, 1.0)]
    ['a', 'a', 'b', 'b']
    """
    if isinstance(param, Choice):
        return param.choices[min(int(fraction * len(param.choices)), len(param.choices) - 1)]
    if isinstance(param, Float):
        return min(max(float(f"{_from_unit(param, fraction):.{SIGNIFICANT_DIGITS}g}"), param.low), param.high)
    # Half a step beyond both ends, so that the end values are as likely as the others.
    widened = Float(low=param.low - 0.5, high=param.high + 0.5, scale=param.scale)
    return min(max(round(_from_unit(widened, fraction)), param.low), param.high)


def sample(space: Space, generator: random.Random) -> dict[str, OptionValue]:
    """Draw every parameter independently, uniformly on its scale.

    >>> sample({"lr": Float(low=0.1, high=0.2)}, random.Random(0)) == sample(
    ...     {"lr": Float(low=0.1, high=0.2)}, random.Random(0))
    True
    """
    return {name: _draw(param, generator) for name, param in space.items()}


def middle(param: Param) -> OptionValue:
    """Return the value in the middle of a range on its scale, or of the list of choices.

    >>> middle(Float(low=0.01, high=1.0, scale="log"))
    0.1
    """
    if isinstance(param, Choice):
        return param.choices[len(param.choices) // 2]
    value = _from_unit(param, 0.5)
    return round(value) if isinstance(param, Int) else float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def middles(space: Space) -> dict[str, OptionValue]:
    """Return the point in the middle of a space."""
    return {name: middle(param) for name, param in space.items()}


def largest(param: Param) -> OptionValue:
    """Return the largest value of a range, or of choices that are numbers.

    >>> largest(Choice(choices=(2.0, 0.5)))
    2.0
    """
    if not isinstance(param, Choice):
        return param.high
    return max(choice for choice in param.choices if isinstance(choice, int | float))


def params_on_edge(space: Space, params: Mapping[str, OptionValue]) -> list[str]:
    """Return the parameters with a value on the edge of their numeric range, so that a better one may lie outside.

    The edge is 5% of the range's width on its scale; in a list of numbers, the lowest and the highest. A lower bound of
    0 is no edge, since these hyperparameters cannot be negative.

    >>> params_on_edge({"lr": Float(low=0.01, high=1.0, scale="log")}, {"lr": 0.99})
    ['lr']
    >>> params_on_edge({"lr": Choice(choices=(0.1, 0.2, 0.4))}, {"lr": 0.1})
    ['lr']
    """
    return [name for name, param in space.items() if name in params and _on_edge(param, params[name])]


def numeric_range(param: Param) -> tuple[float, float] | None:
    """Return the lowest and the highest value searched; None if the values have no order.

    Two numbers are no range: each would be on the edge, as in a choice between no weight decay and some.

    >>> numeric_range(Choice(choices=(0.1, 0.4, 0.2))), numeric_range(Choice(choices=("cosine", "linear", "none")))
    ((0.1, 0.4), None)
    """
    if not isinstance(param, Choice):
        return param.low, param.high
    numbers = [choice for choice in param.choices if is_number(choice)]
    if len(numbers) < len(param.choices) or len(numbers) < 3:
        return None
    return min(numbers), max(numbers)


def has_range(spaces: Iterable[Space]) -> bool:
    """Return whether any parameter of these spaces has a numeric range, so that a choice may lie on its edge.

    >>> has_range([{"lr": Choice(choices=(0.1, 0.2))}]), has_range([{}, {"lr": Float(low=0.1, high=0.2)}])
    (False, True)
    """
    return any(numeric_range(param) is not None for space in spaces for param in space.values())


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value is a number; booleans, which Python counts as integers, are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _on_edge(param: Param, value: OptionValue) -> bool:
    ends = numeric_range(param)
    if ends is None or not is_number(value):
        return False
    if isinstance(param, Choice):
        return value == ends[1] or (value == ends[0] != 0)
    fraction = place_in(param, value)
    return fraction >= 1 - EDGE_FRACTION or (fraction <= EDGE_FRACTION and param.low != 0)


def is_inside(space: Space, params: Mapping[str, OptionValue]) -> bool:
    """Return whether hyperparameters have a value for every parameter of a space, inside its range.

    >>> is_inside({"lr": Float(low=0.01, high=1.0)}, {"lr": 2.0})
    False
    """
    return all(name in params and _holds(param, params[name]) for name, param in space.items())


def _holds(param: Param, value: OptionValue) -> bool:
    if isinstance(param, Choice):
        return value in param.choices
    return is_number(value) and param.low <= value <= param.high


def nearest_inside(param: Param, value: float) -> OptionValue:
    """Return the value of a numeric parameter that is nearest to a number; of a choice of numbers, by their ratio.

    >>> nearest_inside(Float(low=0.01, high=1.0), 2.0), nearest_inside(Choice(choices=(0.1, 0.4, 1.6)), 0.5)
    (1.0, 0.4)
    """
    if isinstance(param, Choice):
        numbers = [choice for choice in param.choices if is_number(choice) and choice > 0]
        return min(numbers, key=lambda choice: abs(math.log(choice / value))) if numbers else param.choices[0]
    inside = min(max(value, param.low), param.high)
    return round(inside) if isinstance(param, Int) else inside


def describe_param(param: Param) -> str:
    """Describe the values of a parameter.

    >>> describe_param(Float(low=0.01, high=0.4, scale="log", num=4))
    '0.01 to 0.4, log, 4 points'
    >>> describe_param(Choice(choices=("constant", "poly")))
    'constant or poly'
    """
    if isinstance(param, Choice):
        *others, last = param.choices
        return f"{', '.join(map(str, others))} or {last}"
    kind = "whole numbers " if isinstance(param, Int) else ""
    scale = ", log" if param.scale == "log" else ""
    points = f", {param.num} points" if param.num is not None else ""
    return f"{kind}{param.low:g} to {param.high:g}{scale}{points}"
