"""Axes of hyperparameters: where a value lies between the ends of its axis, and the ticks.

This module must not know plotly, nor what is drawn on the axes.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ....trainers.spec import OptionValue
from ...study.search_space import Choice, Param
from ...trial import TrialResult, is_score
from ..text.format import format_option
from ..text.scores import format_score
from .style import escape, log_ticks

LOG_SPAN = 20.0
"""Positive values with a larger ratio get a logarithmic axis, even if they were searched on a linear one."""
_MAX_TICKS = 6


@dataclass(frozen=True, kw_only=True)
class ParamAxis:
    """The axis of a hyperparameter, from 0 to 1.

    Attributes:
        low: smallest number; 0 if the values are not all numbers.
        high: largest number, above `low`.
        logarithmic: whether equal ratios have equal distances.
        categories: the values as text in their order; empty if they are numbers.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    logarithmic: bool = False
    categories: tuple[str, ...] = ()

    def place(self, value: OptionValue) -> float:
        """Return the position of a value on the axis, in [0, 1].

        >>> ParamAxis(name="lr", low=0.01, high=1.0, logarithmic=True).place(0.1)
        0.5
        """
        if self.categories:
            return (self.categories.index(format_option(value)) + 0.5) / len(self.categories)
        assert isinstance(value, int | float)  # ensured by param_axis
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> tuple[list[float], list[str]]:
        """Return positions and escaped labels of a few readable values."""
        if self.categories:
            return [self.place(category) for category in self.categories], [escape(text) for text in self.categories]
        values = log_ticks(self.low, self.high) if self.logarithmic else _linear_ticks(self.low, self.high)
        if len(values) > _MAX_TICKS and self.logarithmic:
            decades = [value for value in values if math.isclose(math.log10(value) % 1, 0, abs_tol=1e-9)]
            values = decades if len(decades) > 1 else values[:: math.ceil(len(values) / _MAX_TICKS)]
        return [self.place(value) for value in values], [f"{value:g}" for value in values]


def param_axis(name: str, values: Iterable[OptionValue], ranges: Sequence[Param]) -> ParamAxis:
    """Return an axis that includes these values, at least one, and the ends of these ranges, if any.

    >>> from zerotune.tuner.study.search_space import Float
    >>> param_axis("lr", [0.1, 0.2], [Float(low=0.01, high=1.0, scale="log")])
    ParamAxis(name='lr', low=0.01, high=1.0, logarithmic=True, categories=())
    >>> param_axis("decay", ["poly"], [Choice(choices=("constant", "poly"))]).categories
    ('constant', 'poly')
    """
    choices = [value for param in ranges if isinstance(param, Choice) for value in param.choices]
    known = [*choices, *values]
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in known):
        return ParamAxis(name=name, categories=tuple(dict.fromkeys(format_option(value) for value in known)))
    bounds = [param for param in ranges if not isinstance(param, Choice)]
    numbers = [float(value) for value in known if isinstance(value, int | float)]
    numbers += [float(end) for param in bounds for end in (param.low, param.high)]
    low, high = min(numbers), max(numbers)
    if low == high:
        low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
    logarithmic = low > 0 and (high / low > LOG_SPAN or any(param.scale == "log" for param in bounds))
    return ParamAxis(name=name, low=low, high=high, logarithmic=logarithmic)


def param_names(searched: Iterable[Mapping[str, OptionValue]]) -> list[str]:
    """Return the hyperparameters of trials, with the learning rate and its warm-up first.

    >>> param_names([{"decay": "poly", "lr": 0.1}, {"momentum": 0.9}])
    ['lr', 'decay', 'momentum']
    """
    names = dict.fromkeys(name for params in searched for name in params)
    first = [name for name in ("lr", "warmup_epochs") if name in names]
    return [*first, *(name for name in names if name not in first)]


def trial_hover(result: TrialResult, metric: str) -> str:
    """Return a trial's name, score, how it ended unless it finished, and hyperparameters, escaped."""
    score = f"{metric} {format_score(result.validation_score, metric)}" if is_score(result.validation_score) else ""
    params = [f"{name} = {format_option(value)}" for name, value in result.trial.params.items()]
    ended = "" if result.status == "finished" else result.status
    lines = [result.trial.name, ", ".join(part for part in (score, ended) if part), *params]
    return "<br>".join(escape(line) for line in lines)


def _linear_ticks(low: float, high: float) -> list[float]:
    """Return three to six multiples of 1, 2 or 5 times a power of ten.

    >>> _linear_ticks(0.0, 4.0)
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    rough = (high - low) / (_MAX_TICKS - 1)
    decade = 10.0 ** math.floor(math.log10(rough))
    step = next(multiple * decade for multiple in (1, 2, 5, 10) if multiple * decade >= rough * (1 - 1e-9))
    return [round(i * step, 12) for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
