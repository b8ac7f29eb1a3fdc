"""Search spaces: grids, random draws and edges."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerotune.tuner.study.search_space import (
    MAX_GRID_POINTS,
    Choice,
    Float,
    Int,
    Param,
    Scale,
    Space,
    describe_param,
    grid_points,
    grid_size,
    grid_values,
    largest,
    middle,
    params_on_edge,
    sample,
)


@pytest.mark.parametrize(
    ("param", "points"),
    [
        (Float(low=0.1, high=0.7, num=7), (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)),
        (Float(low=0.005, high=0.04, scale="log", num=4), (0.005, 0.01, 0.02, 0.04)),
        (Int(low=1, high=4), (1, 2, 3, 4)),
        (Int(low=1, high=64, scale="log", num=4), (1, 4, 16, 64)),
    ],
)
def test_a_grid_has_exact_ends_and_readable_points(param: Param, points: tuple[float, ...]) -> None:
    assert grid_values(param) == points


def test_the_last_parameter_of_a_grid_moves_fastest() -> None:
    space: Space = {"lr": Float(low=1.0, high=2.0, num=2), "decay": Choice(choices=("constant", "poly"))}
    assert grid_points(space) == [
        {"lr": 1.0, "decay": "constant"},
        {"lr": 1.0, "decay": "poly"},
        {"lr": 2.0, "decay": "constant"},
        {"lr": 2.0, "decay": "poly"},
    ]
    assert grid_size(space) == 4


@pytest.mark.parametrize(
    ("param", "message"),
    [
        (Float(low=0.1, high=1.0), "a grid over a real range needs num, its number of points"),
        (Int(low=1, high=3, num=4), "4 grid points do not fit between 1 and 3: lower num"),
        (Int(low=1, high=10**6), "a grid over 1000000 whole numbers is too large: give num, the number of points"),
    ],
)
def test_a_range_that_spans_no_grid_is_refused(param: Param, message: str) -> None:
    with pytest.raises(ValueError) as error:
        grid_values(param)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("low", "high", "scale", "num", "message"),
    [
        (1.6, 0.1, "linear", None, "low must be below high, got low=1.6, high=0.1"),
        (1.0, 1.0, "linear", None, "low must be below high, got low=1, high=1"),
        (0.0, 1.0, "log", None, "a log scale needs low above 0, got low=0"),
        (0.0, math.inf, "linear", None, "low and high must be finite, got low=0, high=inf"),
        (math.nan, 1.0, "linear", None, "low and high must be finite, got low=nan, high=1"),
        (0.0, 1.0, "linear", 1, f"num must be 2 .. {MAX_GRID_POINTS} (both ends are grid points), got num=1"),
    ],
)
def test_bounds_that_span_nothing_are_refused(low: float, high: float, scale: Scale, num: int, message: str) -> None:
    with pytest.raises(ValueError) as error:
        Float(low=low, high=high, scale=scale, num=num)
    assert str(error.value) == message


def test_choices_that_leave_no_choice_are_refused() -> None:
    with pytest.raises(ValueError, match="two or more values, got 1"):
        Choice(choices=(0.9,))
    with pytest.raises(ValueError, match=r"choices holds 0\.9 twice"):
        Choice(choices=(0.9, 0.8, 0.9))


SCALES = st.sampled_from(["linear", "log"])
FLOATS = st.builds(
    lambda low, ratio, scale: Float(low=low, high=low * ratio, scale=scale),
    st.floats(1e-6, 1e3),
    st.floats(1.1, 1e6),
    SCALES,
)
INTS = st.builds(
    lambda low, width, scale: Int(low=low, high=low + width, scale=scale),
    st.integers(1, 1000),
    st.integers(1, 1000),
    SCALES,
)


@given(param=FLOATS | INTS, seed=st.integers(0, 100))
def test_a_draw_lies_in_its_range_and_is_fixed_by_its_seed(param: Float | Int, seed: int) -> None:
    drawn = sample({"x": param}, random.Random(seed))["x"]
    assert isinstance(drawn, int if isinstance(param, Int) else float)
    assert param.low <= drawn <= param.high
    assert drawn == sample({"x": param}, random.Random(seed))["x"]


@given(param=FLOATS | INTS)
def test_the_middle_lies_between_the_ends(param: Float | Int) -> None:
    value = middle(param)
    assert isinstance(value, int | float)
    assert param.low <= value <= param.high
    assert largest(param) == param.high


def test_a_logarithmic_draw_gives_every_decade_the_same_weight() -> None:
    generator = random.Random(0)
    space: Space = {"lr": Float(low=1e-4, high=1.0, scale="log"), "width": Int(low=1, high=2, scale="log")}
    draws = [sample(space, generator) for _ in range(4000)]
    share_below_the_middle = sum(float(draw["lr"]) < 1e-2 for draw in draws) / len(draws)  # type: ignore[arg-type]
    assert abs(share_below_the_middle - 0.5) < 0.03
    # In the widened range, log(1.5 / 0.5) / log(2.5 / 0.5) rounds to 1.
    share_of_ones = sum(draw["width"] == 1 for draw in draws) / len(draws)
    assert abs(share_of_ones - math.log(3) / math.log(5)) < 0.03


def test_every_choice_is_drawn() -> None:
    generator = random.Random(0)
    space: Space = {"decay": Choice(choices=("constant", "poly", "date"))}
    assert {sample(space, generator)["decay"] for _ in range(100)} == {"constant", "poly", "date"}


def test_a_best_value_at_the_end_of_its_range_is_on_the_edge() -> None:
    space: Space = {
        "lr": Float(low=0.01, high=1.0, scale="log"),
        "warmup_epochs": Float(low=0.0, high=10.0),
        "momentum": Choice(choices=(0.8, 0.9)),
    }
    assert params_on_edge(space, {"lr": 1.0, "warmup_epochs": 9.6, "momentum": 0.9}) == ["lr", "warmup_epochs"]
    assert params_on_edge(space, {"lr": 0.01, "warmup_epochs": 5.0, "momentum": 0.8}) == ["lr"]
    assert params_on_edge(space, {"lr": 0.1, "warmup_epochs": 9.0}) == []


def test_zero_is_the_end_of_what_there_is_and_no_edge() -> None:
    assert params_on_edge({"warmup_epochs": Float(low=0.0, high=10.0)}, {"warmup_epochs": 0.0}) == []


def test_the_ends_of_a_list_of_numbers_are_edges_and_those_of_any_other_list_are_not() -> None:
    space: Space = {
        "lr": Choice(choices=(0.04, 0.01, 0.02)),
        "warmup_epochs": Choice(choices=(0, 1, 2)),
        "weight_decay": Choice(choices=(1e-4, 5e-4)),
        "nesterov": Choice(choices=(True, False)),
        "decay": Choice(choices=("constant", "poly", "date")),
    }
    others = {"weight_decay": 5e-4, "nesterov": True, "decay": "date"}
    assert params_on_edge(space, {"lr": 0.04, "warmup_epochs": 2, **others}) == ["lr", "warmup_epochs"]
    assert params_on_edge(space, {"lr": 0.01, "warmup_epochs": 0, **others}) == ["lr"]
    assert params_on_edge(space, {"lr": 0.02, "warmup_epochs": 1, **others}) == []


@pytest.mark.parametrize(
    ("param", "text"),
    [
        (Float(low=0.01, high=1.0, scale="log"), "0.01 to 1, log"),
        (Float(low=0.0, high=6.0, num=4), "0 to 6, 4 points"),
        (Int(low=1, high=6), "whole numbers 1 to 6"),
        (Choice(choices=(0.8, 0.9, 0.95)), "0.8, 0.9 or 0.95"),
    ],
)
def test_a_description_says_what_is_searched(param: Param, text: str) -> None:
    assert describe_param(param) == text
