"""Scores of any size are written in a few characters."""

from dataclasses import replace

import pytest

from tests.synthetic_study import facts, study_results
from zerotune.tuner.analysis.comparison import compare
from zerotune.tuner.analysis.evidence import Interval
from zerotune.tuner.reports.tables.cells import format_share_of_baseline
from zerotune.tuner.reports.text.scores import format_interval, format_points


@pytest.mark.parametrize(
    ("metric", "mean", "text"),
    [
        ("perplexity", 2e140, "2.000e+140 ± 1.000e+139"),
        ("accuracy", 2e140, "2.000e+142% ± 1.000e+141"),
        ("perplexity", 2e11, "200,000,000,000 ± 10,000,000,000"),
    ],
)
def test_a_large_score_is_written_with_an_exponent(metric: str, mean: float, text: str) -> None:
    assert format_interval(Interval(mean=mean, low=0.95 * mean, high=1.05 * mean), metric) == text


def test_a_large_difference_is_written_with_an_exponent() -> None:
    assert format_points(-2e140, "accuracy") == "-2.000e+142 points"


def test_there_is_no_share_of_a_baselines_score_that_is_next_to_nothing() -> None:
    """Found by fuzzing: the share was "inf%"."""
    results = [
        replace(one, test_score=5e-324) if (one.trial.arm, one.trial.role) == ("baseline", "confirmation") else one
        for one in study_results()
    ]
    comparison = compare(facts(), results)
    assert {format_share_of_baseline(comparison, row) for row in comparison.rows if row.score} == {"-"}
