"""Success rates and averaged searches, by closed forms and brute force."""

import itertools
import math
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.synthetic_study import result
from zerotune.tuner.analysis.evidence import Incumbent, best_of_k, incumbents
from zerotune.tuner.analysis.search_statistics import average_incumbents, success_rate


def outcomes(num_successes: int, num_trials: int) -> list[float]:
    """Return scores of which `num_successes` reach 1."""
    return [1.0] * num_successes + [0.0] * (num_trials - num_successes)


def at_least(count: int, num_trials: int, rate: float) -> float:
    """Return P(X >= count) for binomial X, by summation."""
    return math.fsum(
        math.comb(num_trials, i) * rate**i * (1 - rate) ** (num_trials - i) for i in range(count, num_trials + 1)
    )


# Success


@pytest.mark.parametrize(("num_successes", "num_trials"), [(1, 4), (3, 16), (16, 30), (29, 30), (1, 64)])
def test_each_end_of_the_interval_leaves_a_fortieth_by_binomial_sums(num_successes, num_trials):
    found = success_rate(outcomes(num_successes, num_trials), 1.0, higher_is_better=True)
    assert at_least(num_successes, num_trials, found.low) == pytest.approx(0.025)
    assert 1 - at_least(num_successes + 1, num_trials, found.high) == pytest.approx(0.025)
    assert found.rate == num_successes / num_trials


@pytest.mark.parametrize("num_trials", [1, 2, 5, 16, 64])
def test_where_no_trial_succeeds_the_interval_ends_at_its_exact_bound(num_trials):
    found = success_rate(outcomes(0, num_trials), 1.0, higher_is_better=True)
    assert (found.num_successes, found.rate, found.low, found.trials_for_confidence) == (0, 0.0, 0.0, None)
    assert (1 - found.high) ** num_trials == pytest.approx(0.025)


def test_where_all_trials_succeed_one_is_enough():
    found = success_rate(outcomes(8, 8), 1.0, higher_is_better=True)
    assert (found.rate, found.high, found.trials_for_confidence) == (1.0, 1.0, 1)


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_the_level_itself_is_a_success_and_a_failed_trial_is_none(higher_is_better):
    sign = 1 if higher_is_better else -1
    scores = [sign * 0.5, None, sign * 0.7, sign * 0.4]
    found = success_rate(scores, sign * 0.5, higher_is_better=higher_is_better)
    assert (found.num_successes, found.num_trials) == (2, 4)


def test_no_trials_have_no_success_rate():
    with pytest.raises(ValueError, match="at least one trial"):
        success_rate([], 0.5, higher_is_better=True)


def test_the_trials_for_confidence_are_the_first_number_that_suffices_in_whole_numbers():
    for num_trials in range(1, 21):
        for num_successes in range(1, num_trials + 1):
            num_failures = num_trials - num_successes
            needed = next(n for n in itertools.count(1) if 20 * num_failures**n <= num_trials**n)
            found = success_rate(outcomes(num_successes, num_trials), 1.0, higher_is_better=True)
            assert found.trials_for_confidence == needed, (num_successes, num_trials)


# Averaged searches


def steps(*pairs: tuple[float, float]) -> list[Incumbent]:
    return [Incumbent(cost=float(cost), score=score) for cost, score in pairs]


def test_the_average_runs_from_where_all_have_started_to_where_the_cheapest_ends():
    curves = [steps((1, 0.2), (4, 0.5), (9, 0.9)), steps((2, 0.4), (3, 0.6), (5, 0.7)), steps((1, 0.3), (6, 0.4))]
    averaged = average_incumbents(curves)
    assert [step.cost for step in averaged] == [2.0, 3.0, 4.0, 5.0]
    assert [step.score for step in averaged] == pytest.approx([0.3, 1.1 / 3, 1.4 / 3, 0.5])


def test_one_repeat_is_its_own_average():
    one = steps((1, 0.2), (4, 0.5))
    assert average_incumbents([one]) == tuple(one)


def test_searches_that_never_ran_together_have_no_average():
    assert average_incumbents([steps((1, 0.2), (2, 0.3)), steps((3, 0.4), (4, 0.5))]) == ()
    assert average_incumbents([steps((1, 0.2)), []]) == ()
    assert average_incumbents([]) == ()


curves_strategy = st.lists(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=5).map(
        lambda moves: steps(
            *zip(
                itertools.accumulate(cost for cost, _ in moves),
                itertools.accumulate(float(gain) for _, gain in moves),
                strict=True,
            )
        )
    ),
    min_size=1,
    max_size=4,
)


@given(curves_strategy)
def test_the_average_is_that_of_the_step_functions_at_every_cost_and_never_worsens(curves):
    averaged = average_incumbents(curves)
    for cost in range(1, 26):
        inside = max(curve[0].cost for curve in curves) <= cost <= min(curve[-1].cost for curve in curves)
        if inside:
            reached = [max(step.score for step in curve if step.cost <= cost) for curve in curves]
            assert [step.score for step in averaged if step.cost <= cost][-1] == pytest.approx(fmean(reached))
    assert all(b.score >= a.score - 1e-12 for a, b in itertools.pairwise(averaged))


def test_all_orders_of_a_random_search_average_to_its_best_of_k_curve():
    scores = [0.3, 0.9, 0.1, 0.5]
    orders = [
        [result("tuned", 1024, "search", place, validation=score) for place, score in enumerate(order)]
        for order in itertools.permutations(scores)
    ]
    curves = [incumbents(order, "trials", higher_is_better=True) for order in orders]
    averaged = average_incumbents(curves)
    assert [step.score for step in averaged] == pytest.approx(best_of_k(scores, higher_is_better=True))
    assert [step.cost for step in averaged] == [1.0, 2.0, 3.0, 4.0]
