"""The exact statistics of counts are those of scipy.stats."""

import math
import subprocess
import sys

import pytest

from zerotune.tuner.analysis.binomial import quantile_places, share_interval


@pytest.mark.parametrize("number", [1, 2, 5, 29, 300])
def test_the_interval_of_a_share_is_that_of_the_binomial_test(number):
    from scipy import stats  # takes a second to import, which every process of pytest-xdist would do

    for counted in range(number + 1) if number < 100 else (0, 1, 150, 299, 300):
        expected = stats.binomtest(counted, number).proportion_ci(0.95, method="exact")
        assert share_interval(counted, number) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("number", [1, 5, 6, 30, 300])
@pytest.mark.parametrize("k", [1, 2, 3, 10, 100])
def test_the_interval_of_a_quantile_is_that_of_the_quantile_test(number, k):
    from scipy import stats

    quantile = 2.0 ** (-1.0 / k)
    expected = stats.quantile_test(range(number), p=quantile).confidence_interval(0.95)  # a value is its place
    low, high = quantile_places(number, quantile)
    assert (low if low >= 0 else math.nan, high if high < number else math.nan) == pytest.approx(
        (expected.low, expected.high), nan_ok=True
    )


def test_statistics_of_an_answer_import_no_scipy_stats():
    """It would take every command that prints an answer a second of a core."""
    program = """
import sys
from zerotune.tuner.analysis.lost_seeds import lost_share_bounds
from zerotune.tuner.analysis.luck import true_best_of_k
from zerotune.tuner.analysis.search_statistics import median_best_of_k, success_rate
lost_share_bounds(1, 3)
true_best_of_k([0.89, 0.90], 0.1, higher_is_better=True)
success_rate([1.0, 2.0], 1.5, higher_is_better=True)
median_best_of_k([1.0, 2.0], 1, higher_is_better=True)
print("scipy.stats" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
