"""Pareto fronts and their hypervolume."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.synthetic_study import result
from zerotune.tuner.analysis.pareto import ParetoPoint, hypervolume, pareto_front, trial_points


def point(name: str, cost: float, score: float) -> ParetoPoint:
    return ParetoPoint(name=name, batch_size=64, cost=cost, score=score)


points_strategy = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6)).map(lambda pair: point("p", float(pair[0]), float(pair[1]))),
    max_size=12,
)


def dominates(one: ParetoPoint, other: ParetoPoint, sign: int) -> bool:
    no_worse = one.cost <= other.cost and sign * one.score >= sign * other.score
    return no_worse and (one.cost, one.score) != (other.cost, other.score)


@given(points_strategy, st.booleans())
def test_the_front_is_exactly_the_points_that_nothing_dominates(points, higher_is_better):
    sign = 1 if higher_is_better else -1
    expected = [p for p in points if not any(dominates(q, p, sign) for q in points)]
    front = pareto_front(points, higher_is_better=higher_is_better)
    assert sorted((p.cost, p.score) for p in front) == sorted((p.cost, p.score) for p in expected)


def test_exact_ties_are_kept_and_the_order_does_not_depend_on_the_input():
    points = [point("b", 1.0, 0.9), point("a", 1.0, 0.9), point("c", 2.0, 0.9), point("d", 3.0, 0.95)]
    random.Random(3).shuffle(points)
    assert [p.name for p in pareto_front(points, higher_is_better=True)] == ["a", "b", "d"]


@given(points_strategy, st.booleans())
def test_the_hypervolume_equals_a_count_of_unit_squares(points, higher_is_better):
    worst_score = 0.0 if higher_is_better else 6.0
    sign = 1 if higher_is_better else -1
    squares = {
        (x, y) for p in points for x in range(int(p.cost), 6) for y in range(int(sign * (p.score - worst_score)))
    }
    area = hypervolume(points, worst_cost=6.0, worst_score=worst_score, higher_is_better=higher_is_better)
    assert area == pytest.approx(len(squares))


@pytest.fixture(scope="module")
def oracle():
    return pytest.importorskip("optuna._hypervolume", reason="this optuna keeps its hypervolume elsewhere")


@given(points=points_strategy)
def test_the_hypervolume_is_optunas(oracle, points):
    losses = np.array([(p.cost, -p.score) for p in [*points, point("corner", 6.5, -0.5)]])
    area = hypervolume(points, worst_cost=6.5, worst_score=-0.5, higher_is_better=True)
    assert area == pytest.approx(oracle.compute_hypervolume(losses, np.array([6.5, 0.5])))


def test_trials_without_a_score_have_no_point():
    trials = [
        result("tuned", 1024, "search", 0, validation=0.8, epochs=10),
        result("tuned", 1024, "search", 1, validation=None, status="failed"),
    ]
    expected = (ParetoPoint(name="tuned B=1,024 search 1", batch_size=1024, cost=10.0, score=0.8),)
    assert trial_points(trials, "epochs") == expected
