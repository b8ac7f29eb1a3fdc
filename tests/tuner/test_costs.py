"""Costs add in any order, unknown parts stay unknown, and wall-clock time counts each second once."""

from dataclasses import asdict, fields, replace
from functools import reduce
from operator import add
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tuner.analysis.synthetic_results import make_result
from zerotune.tuner.analysis.ledger import cost_ledger, wall_seconds
from zerotune.tuner.cost import Cost, device_cost, total_cost
from zerotune.tuner.trial import TrialResult

INTEGERS = ("trials", "epochs", "iterations", "samples", "flops", "words")
SECONDS = ("device_seconds", "searcher_seconds")

# -- energy in the ledger ----------------------------------------------------------------------------------------------


def test_measured_joules_add_up_and_say_what_part_of_the_time_they_cover() -> None:
    spent = total_cost([device_cost(2.0, 30.0), device_cost(3.0), device_cost(5.0, 70.0)])
    assert (spent.device_seconds, spent.measured_joules, spent.metered_seconds) == (10.0, 100.0, 7.0)


def test_what_no_meter_counted_is_unknown_and_never_zero() -> None:
    assert total_cost([device_cost(2.0), device_cost(3.0)]).measured_joules is None
    assert total_cost([device_cost(2.0, 0.0), device_cost(3.0)]).measured_joules == 0.0


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e9)), min_size=1, max_size=30))
def test_where_everything_was_metered_the_metered_seconds_are_the_device_seconds(parts: list[Any]) -> None:
    spent = total_cost(device_cost(seconds, joules) for seconds, joules in parts)
    assert spent.metered_seconds == spent.device_seconds


# -- addition ----------------------------------------------------------------------------------------------------------

COUNTS = st.integers(0, 2**80)  # more than a float can hold
QUARTERS = st.integers(0, 2**40).map(lambda number: number / 4)  # floats with exact sums
COSTS = st.builds(
    Cost,
    **dict.fromkeys((*INTEGERS, "peak_memory_bytes"), COUNTS),
    **dict.fromkeys((*SECONDS, "metered_seconds"), QUARTERS),
    measured_joules=st.none() | QUARTERS,
)


@settings(max_examples=30, deadline=None)
@given(COSTS, COSTS, COSTS)
def test_costs_add_in_any_order_and_grouping(a: Cost, b: Cost, c: Cost) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)


@settings(max_examples=30, deadline=None)
@given(COSTS)
def test_the_zero_cost_changes_nothing(cost: Cost) -> None:
    assert Cost() + cost == cost == cost + Cost()


@settings(max_examples=30, deadline=None)
@given(st.lists(COSTS, max_size=8), st.randoms())
def test_a_total_is_the_sum_of_each_field_in_any_order(costs: list[Cost], order: Any) -> None:
    shuffled = list(costs)
    order.shuffle(shuffled)
    spent = total_cost(shuffled)
    for name in {field.name for field in fields(Cost)} - {"peak_memory_bytes", "measured_joules"}:
        assert getattr(spent, name) == sum(getattr(cost, name) for cost in costs), name
    assert spent.peak_memory_bytes == max((cost.peak_memory_bytes for cost in costs), default=0)
    known = [cost.measured_joules for cost in costs if cost.measured_joules is not None]
    assert spent.measured_joules == (sum(known) if known else None)
    assert spent == reduce(add, costs, Cost())


def test_every_field_of_a_cost_takes_part_in_these_tests() -> None:
    named = {*INTEGERS, *SECONDS, "peak_memory_bytes", "measured_joules", "metered_seconds"}
    assert named == set(asdict(Cost()))


RESULTS = st.lists(
    st.builds(
        lambda arm, batch_size, role, cost, finished_at: replace(
            make_result(arm, batch_size=batch_size, role=role), cost=cost, finished_at=finished_at
        ),
        st.sampled_from(["tuned", "date"]),
        st.sampled_from([64, 128]),
        st.sampled_from(["baseline", "search", "confirmation"]),
        COSTS,
        QUARTERS,
    ),
    max_size=8,
)


@settings(max_examples=30, deadline=None)
@given(RESULTS)
def test_lines_arms_and_total_of_any_results_are_one_sum(results: list[TrialResult]) -> None:
    ledger = cost_ledger(results)
    assert ledger.total == total_cost(result.cost for result in results)
    assert ledger.total == total_cost(line.cost for line in ledger.lines) == total_cost(ledger.arms().values())


# -- wall-seconds ------------------------------------------------------------------------------------------------------


def span(begin: float, end: float) -> TrialResult:
    return replace(make_result(), cost=Cost(trials=1, device_seconds=end - begin), finished_at=end)


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([(0, 4)], 4),
        ([(0, 4), (4, 6)], 6),
        ([(0, 4), (1, 3), (2, 6)], 6),  # in parallel
        ([(0, 4), (0, 4)], 4),
        ([(0, 4), (100, 103)], 7),  # with an interruption between them
        ([(5, 5)], 0),
    ],
)
def test_wall_seconds_are_those_in_which_something_ran(spans: list[tuple[int, int]], seconds: int) -> None:
    assert wall_seconds(span(begin, end) for begin, end in spans) == seconds


def test_the_workers_of_a_trial_count_once() -> None:
    """Two workers ran for 4 s each and ended at 10, so device-seconds are 8. The other trial ran alone from 3 to 7."""
    together = replace(span(2, 10), num_workers=2)
    assert together.started_at == 6
    assert wall_seconds([together]) == 4
    assert wall_seconds([together, span(3, 7)]) == 7
    assert cost_ledger([together]).total.device_seconds == 8


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=10))
def test_wall_seconds_are_the_seconds_counted_one_by_one(spans: list[tuple[int, int]]) -> None:
    busy = {second for begin, length in spans for second in range(begin, begin + length)}
    assert wall_seconds(span(begin, begin + length) for begin, length in spans) == len(busy)
