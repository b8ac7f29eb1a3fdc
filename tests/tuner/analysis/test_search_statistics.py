"""Success rates, expected running time, median best of k and averaged searches, by closed forms and brute force."""

import itertools
import math
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.synthetic_study import result
from zerotune.tuner.analysis.evidence import Incumbent, best_of_k, incumbents, trials_to_reach
from zerotune.tuner.analysis.search_statistics import (
    average_incumbents,
    cost_to_reach,
    expected_running_time,
    median_best_of_k,
    median_interval_range,
    success_rate,
    trials_to_succeed,
)

BOTH = pytest.mark.parametrize("higher_is_better", [True, False])
RANKS = {count: [float(rank) for rank in range(1, count + 1)] for count in range(1, 41)}


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
    assert found.upper_bound is None


@pytest.mark.parametrize("num_trials", [1, 2, 5, 16, 64])
def test_where_no_trial_succeeds_the_exact_bound_stands_below_the_rule_of_three(num_trials):
    found = success_rate(outcomes(0, num_trials), 1.0, higher_is_better=True)
    assert (found.num_successes, found.rate, found.low) == (0, 0.0, 0.0)
    assert (found.expected_trials, found.trials_for_confidence) == (None, None)
    assert (1 - found.upper_bound) ** num_trials == pytest.approx(0.05)
    assert (1 - found.high) ** num_trials == pytest.approx(0.025)
    assert found.upper_bound < 3 / num_trials


def test_where_all_trials_succeed_one_is_expected_and_one_is_enough():
    found = success_rate(outcomes(8, 8), 1.0, higher_is_better=True)
    assert (found.rate, found.high) == (1.0, 1.0)
    assert (found.expected_trials, found.trials_for_confidence) == (1.0, 1)


@BOTH
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


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize("rate", [0.001, 0.05, 0.3, 0.77])
def test_the_trials_to_succeed_reach_the_confidence_and_one_less_does_not(rate, confidence):
    needed = trials_to_succeed(rate, confidence)
    assert 1 - (1 - rate) ** needed >= confidence > 1 - (1 - rate) ** (needed - 1)


# Expected running time


def test_the_expected_running_time_is_that_of_drawing_trials_until_one_succeeds():
    costs, succeeded = [5.0, 1.0, 2.0, 9.0, 3.0], [False, True, False, False, True]
    rate = fmean(succeeded)
    failing = fmean(cost for cost, good in zip(costs, succeeded, strict=True) if not good)
    succeeding = fmean(cost for cost, good in zip(costs, succeeded, strict=True) if good)
    expected = math.fsum((1 - rate) ** n * rate * (n * failing + succeeding) for n in range(2_000))  # n failures first
    assert expected_running_time(costs, sum(succeeded)) == pytest.approx(expected)


def test_without_a_success_no_running_time_is_expected():
    assert expected_running_time([5.0, 1.0], 0) is None


# The median best of k


def brute_force_ranks(num_trials: int, quantile: float) -> tuple[int | None, int | None]:
    """Return the ranks of the interval's ends, by sums over the number of trials below the quantile."""
    low = [rank for rank in range(1, num_trials + 1) if 1 - at_least(rank, num_trials, quantile) <= 0.025]
    high = [rank for rank in range(1, num_trials + 1) if at_least(rank, num_trials, quantile) <= 0.025]
    return max(low, default=None), min(high, default=None)


@pytest.mark.parametrize("num_trials", [1, 3, 5, 6, 16, 30, 40])
def test_the_ends_are_the_trials_that_binomial_sums_give(num_trials):
    for k in range(1, num_trials + 1):
        found = median_best_of_k(RANKS[num_trials], k, higher_is_better=True)
        assert (found.worse, found.better) == brute_force_ranks(num_trials, 2 ** (-1 / k)), k


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_interval_covers_the_true_median_as_often_as_it_says(k):
    samples = np.sort(np.random.default_rng(5).exponential(size=(20_000, 30)), axis=1)
    ranks = median_best_of_k(RANKS[30], k, higher_is_better=True)
    truth = -math.log1p(-(2 ** (-1 / k)))
    covered = (samples[:, int(ranks.worse) - 1] <= truth) & (truth <= samples[:, int(ranks.better) - 1])
    exact = at_least(int(ranks.worse), 30, 2 ** (-1 / k)) - at_least(int(ranks.better), 30, 2 ** (-1 / k))
    assert exact >= 0.95
    assert covered.mean() == pytest.approx(exact, abs=0.005)


@pytest.mark.parametrize("num_trials", range(1, 41))
def test_an_interval_with_both_ends_exists_exactly_in_the_range(num_trials):
    both = [
        k
        for k in range(1, num_trials + 1)
        if None
        not in (brute_force_ranks(num_trials, 2 ** (-1 / k))[0], brute_force_ranks(num_trials, 2 ** (-1 / k))[1])
    ]
    assert list(median_interval_range(num_trials)) == both


def test_the_median_is_estimated_by_the_trial_whose_share_reaches_one_half_in_k():
    for num_trials, k in itertools.product((1, 6, 16, 30), (1, 2, 5)):
        if k <= num_trials:
            estimate = median_best_of_k(RANKS[num_trials], k, higher_is_better=True).median
            assert (estimate / num_trials) ** k >= 0.5 > ((estimate - 1) / num_trials) ** k


def test_lower_scores_that_are_better_mirror_higher_ones():
    found = median_best_of_k([-score for score in RANKS[30]], 3, higher_is_better=False)
    mirrored = median_best_of_k(RANKS[30], 3, higher_is_better=True)
    assert (found.worse, found.median, found.better) == (-mirrored.worse, -mirrored.median, -mirrored.better)


def test_failed_trials_are_the_worst_of_all():
    scores = [None if rank <= 16 else rank for rank in RANKS[30]]
    found = median_best_of_k(scores, 2, higher_is_better=True)
    assert (found.worse, found.median, found.better) == (None, 22.0, 27.0)  # the 16th, 22nd and 27th from worst


def test_the_part_of_the_curve_where_a_bootstrap_undercovers_begins_after_a_fifth():
    marked = [k for k in range(1, 31) if median_best_of_k(RANKS[30], k, higher_is_better=True).bootstrap_undercovers]
    assert marked == list(range(7, 31))


@pytest.mark.parametrize("k", [0, 4])
def test_a_k_outside_the_trials_is_refused(k):
    with pytest.raises(ValueError, match=f"got k={k} of 3 trials"):
        median_best_of_k([1.0, 2.0, 3.0], k, higher_is_better=True)


# Averaged searches


def steps(*pairs: tuple[float, float]) -> list[Incumbent]:
    return [Incumbent(cost=float(cost), score=score) for cost, score in pairs]


def means(curves: list[list[Incumbent]]) -> list[tuple[float, float]]:
    return [(step.cost, pytest.approx(step.score.mean)) for step in average_incumbents(curves)]


def test_the_average_runs_from_where_all_have_started_to_where_the_cheapest_ends():
    curves = [steps((1, 0.2), (4, 0.5), (9, 0.9)), steps((2, 0.4), (3, 0.6), (5, 0.7)), steps((1, 0.3), (6, 0.4))]
    assert [
        (2.0, pytest.approx(0.3)),
        (3.0, pytest.approx(1.1 / 3)),
        (4.0, pytest.approx(1.4 / 3)),
        (5.0, pytest.approx(0.5)),
    ] == means(curves)
    assert {step.num_repeats for step in average_incumbents(curves)} == {3}


def test_one_repeat_is_its_own_average_without_an_interval():
    (first, last) = average_incumbents([steps((1, 0.2), (4, 0.5))])
    assert (first.score.mean, first.score.low, last.score.mean, last.num_repeats) == (0.2, None, 0.5, 1)


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
            assert [step.score.mean for step in averaged if step.cost <= cost][-1] == pytest.approx(fmean(reached))
    assert all(b.score.mean >= a.score.mean - 1e-12 for a, b in itertools.pairwise(averaged))


def test_all_orders_of_a_random_search_average_to_its_best_of_k_curve():
    scores = [0.3, 0.9, 0.1, 0.5]
    orders = [
        [result("tuned", 1024, "search", place, validation=score) for place, score in enumerate(order)]
        for order in itertools.permutations(scores)
    ]
    curves = [incumbents(order, "trials", higher_is_better=True) for order in orders]
    averaged = average_incumbents(curves)
    expected = best_of_k(scores, higher_is_better=True)
    assert [step.score.mean for step in averaged] == pytest.approx(expected)
    assert [step.cost for step in averaged] == [1.0, 2.0, 3.0, 4.0]
    assert cost_to_reach(averaged, 0.75, higher_is_better=True) == trials_to_reach(
        expected, 0.75, higher_is_better=True
    )


@BOTH
def test_the_cost_to_reach_a_level_is_that_of_the_first_step_there(higher_is_better):
    sign = 1 if higher_is_better else -1
    averaged = average_incumbents([steps((1, sign * 0.2), (4, sign * 0.5), (9, sign * 0.9))])
    assert cost_to_reach(averaged, sign * 0.5, higher_is_better=higher_is_better) == 4.0
    assert cost_to_reach(averaged, sign * 0.95, higher_is_better=higher_is_better) is None
    assert cost_to_reach((), 0.5, higher_is_better=higher_is_better) is None
