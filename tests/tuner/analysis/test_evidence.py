"""Intervals, verdicts, the best-of-k curve and incumbents."""

import itertools
import math
import random
import warnings
from statistics import fmean

import numpy as np
import pytest

from tests.synthetic_study import result
from zerotune.tuner.analysis.evidence import (
    Interval,
    best_of_k,
    incumbents,
    paired_verdict,
    t_interval,
    trials_to_reach,
)


def test_the_t_interval_equals_the_textbook_formula():
    interval = t_interval([1.0, 2.0, 6.0])
    half_width = 4.302652729911275 * math.sqrt(7.0) / math.sqrt(3)  # t for 2 degrees of freedom, sample variance 7
    assert interval.mean == 3.0
    assert interval.low == pytest.approx(3.0 - half_width)
    assert interval.high == pytest.approx(3.0 + half_width)


def test_seeds_that_agree_to_the_last_digits_give_no_interval_and_no_warning():
    """Found by fuzzing: scipy warned on the user's terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert t_interval([0.9, 0.9 + 2e-16, 0.9]).high is None


def test_one_value_gives_no_interval_and_none_is_refused():
    assert t_interval([0.9]) == Interval(mean=0.9, low=None, high=None)
    with pytest.raises(ValueError, match="at least one value"):
        t_interval([])


@pytest.mark.parametrize("num_seeds", [3, 5])
def test_the_paired_interval_covers_the_true_difference_as_often_as_it_says(num_seeds):
    samples = np.random.default_rng(7).normal(0.0, 0.01, size=(1500, num_seeds))
    covered = 0
    for sample in samples:
        verdict = paired_verdict(list(sample), [0.0] * num_seeds, tolerance=0.005, higher_is_better=True)
        covered += verdict.difference.low <= 0.0 <= verdict.difference.high
    assert covered / len(samples) == pytest.approx(0.95, abs=0.02)  # a percentile bootstrap covers 0.75 and 0.84


@pytest.mark.parametrize(
    ("improvements", "finding"),
    [
        ([0.010, 0.011, 0.012], "beats"),
        ([-0.001, 0.000, 0.001], "matches"),
        ([-0.021, -0.020, -0.019], "falls short"),
        ([-0.02, 0.00, 0.02], "undecided"),
        ([0.0, 0.0, 0.0], "matches"),
        ([0.01], "undecided"),
        ([], "undecided"),
    ],
)
@pytest.mark.parametrize("higher_is_better", [True, False])
def test_the_verdict_follows_from_the_interval_in_either_direction(improvements, finding, higher_is_better):
    reference = [0.5 for _ in improvements]
    sign = 1 if higher_is_better else -1
    scores = [0.5 + sign * improvement for improvement in improvements]
    verdict = paired_verdict(scores, reference, tolerance=0.005, higher_is_better=higher_is_better)
    assert verdict.finding == finding
    assert verdict.num_pairs == len(improvements)


def test_identical_scores_match_even_where_no_loss_is_tolerated():
    verdict = paired_verdict([0.1, 0.2], [0.1, 0.2], tolerance=0.0, higher_is_better=True)
    assert verdict.finding == "matches"


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_best_of_k_is_the_mean_over_all_subsets_of_k(higher_is_better):
    best = max if higher_is_better else min
    scores = [0.3, 0.9, 0.9, 0.1, 0.5, 0.7]
    expected = [fmean(map(best, itertools.combinations(scores, k))) for k in range(1, 7)]
    assert best_of_k(scores, higher_is_better=higher_is_better) == pytest.approx(expected)


def test_best_of_k_equals_its_formula_with_exact_binomials_for_many_trials():
    values = sorted(random.Random(1).random() for _ in range(300))
    curve = best_of_k(values, higher_is_better=True)
    for k in (1, 2, 150, 299, 300):
        weights = [math.comb(i - 1, k - 1) / math.comb(300, k) for i in range(1, 301)]
        assert curve[k - 1] == pytest.approx(math.fsum(w * v for w, v in zip(weights, values, strict=True)), rel=1e-12)


def test_best_of_k_is_unbiased_where_the_plug_in_is_not():
    scores = [(i - 0.5) / 30 for i in range(1, 31)]  # uniform quantiles: the expected maximum of 15 is 15/16
    assert best_of_k(scores, higher_is_better=True)[14] == pytest.approx(15 / 16 * 31 / 30 - 0.5 / 30)


def test_the_fewest_trials_to_a_level_count_from_one_and_may_not_be_enough():
    curve = best_of_k([3.0, 1.0, 2.0], higher_is_better=False)
    assert curve == pytest.approx((2.0, 4 / 3, 1.0))
    assert trials_to_reach(curve, 2.0, higher_is_better=False) == 1
    assert trials_to_reach(curve, 1.2, higher_is_better=False) == 3
    assert trials_to_reach(curve, 0.9, higher_is_better=False) is None
    assert trials_to_reach((), 0.9, higher_is_better=True) is None


def test_incumbents_follow_finishing_order_and_bill_failed_trials():
    results = [
        result("tuned", 1024, "search", 0, validation=0.8, seconds=5.0, finished_at=30.0),
        result("tuned", 1024, "search", 1, validation=None, status="failed", seconds=2.0, finished_at=10.0),
        result("tuned", 1024, "search", 2, validation=0.7, seconds=3.0, finished_at=20.0),
        result("tuned", 1024, "search", 3, validation=0.6, seconds=4.0, finished_at=40.0),
    ]
    curve = incumbents(results, "device_seconds", higher_is_better=True)
    assert [(step.cost, step.score) for step in curve] == [(5.0, 0.7), (10.0, 0.8), (14.0, 0.8)]
    curve = incumbents(results, "trials", higher_is_better=False)
    assert [(step.cost, step.score) for step in curve] == [(2.0, 0.7), (3.0, 0.7), (4.0, 0.6)]
