"""Means over repeated searches and seeds: what Student's t and Banerjee's interval say of both kinds of luck."""

import math
import random
from statistics import fmean, stdev

import pytest
from scipy import stats

from zerotune.tuner.analysis.evidence import p_above, t_interval
from zerotune.tuner.analysis.lost_seeds import REPEAT_STEP, Guessing, Seeds, lost_share_bounds
from zerotune.tuner.analysis.repeated_searches import Sample, sample_of, sample_of_gains
from zerotune.tuner.analysis.verdict import Contest, Yardstick, judge

GAINS = [0.011, 0.014, 0.009, 0.016, 0.012]
MEANS = [0.96, 0.95, 0.97]


def searched(*choices: list[float | None]) -> Seeds:
    """Return the seeds of a search and its repeats, from the scores of every choice; None is a lost seed."""
    keyed = {n * REPEAT_STEP + seed: score for n, scores in enumerate(choices) for seed, score in enumerate(scores)}
    return Seeds(
        scores={key: score for key, score in keyed.items() if score is not None},
        lost={key: "failed" for key, score in keyed.items() if score is None},
    )


def test_without_repeats_every_number_is_that_of_students_t_on_the_seeds() -> None:
    sample = Sample(by_seed=GAINS, noise=0.004)
    assert sample.interval() == t_interval(GAINS, 0.004)
    assert sample.p_above(0.01) == p_above(GAINS, 0.01, 0.004)


def test_half_widths_of_seeds_and_searches_add_as_the_sides_of_a_right_triangle() -> None:
    found = Sample(by_seed=GAINS, by_search=(MEANS,)).interval()
    parts = [(len(values), stdev(values)) for values in (GAINS, MEANS)]
    squares = [(stats.t.ppf(0.975, n - 1) * spread) ** 2 / n for n, spread in parts]
    assert found.high is not None
    assert found.high - found.mean == pytest.approx(math.sqrt(sum(squares)), rel=1e-9)


@pytest.mark.parametrize("level", [-0.1, 0.0, 0.0124, 0.02])
def test_a_p_value_is_the_level_at_which_the_interval_ends(level: float) -> None:
    sample = Sample(by_seed=GAINS, by_search=(MEANS, [0.1, 0.11]))
    p = sample.p_above(level)
    squares = [
        (stats.t.isf(p, len(values) - 1) * stdev(values)) ** 2 / len(values) for values in (GAINS, *sample.by_search)
    ]
    assert math.sqrt(sum(squares)) == pytest.approx(abs(fmean(GAINS) - level), rel=1e-6)
    assert (p < 0.5) == (level < fmean(GAINS))


def test_searches_that_agree_leave_the_interval_of_the_seeds_and_none_makes_it_narrower() -> None:
    of_seeds = Sample(by_seed=GAINS)
    assert Sample(by_seed=GAINS, by_search=([0.96] * 4,)).interval() == of_seeds.interval()
    for spread in (1e-6, 1e-3, 0.1):
        both = Sample(by_seed=GAINS, by_search=([spread * n for n in range(9)],))
        assert (both.interval().low or 0.0) <= (of_seeds.interval().low or 0.0)
        assert both.p_above(0.0) >= of_seeds.p_above(0.0)


def test_gains_are_paired_by_seed_with_the_mean_over_the_searches() -> None:
    reference = searched([0.9, 0.8, 0.7], [0.7, 0.8, None])
    found = sample_of_gains(searched([0.9, 0.9, 0.9]), reference, 1.0, 0.0)
    assert found.by_seed == pytest.approx([0.1, 0.1, 0.2])
    assert [list(means) for means in found.by_search] == [pytest.approx([0.8, 0.75])]
    assert sample_of(reference, 0.0).by_seed == pytest.approx([0.8, 0.8, 0.7])


def test_the_interval_covers_the_mean_over_searches_where_that_of_the_seeds_does_not() -> None:
    """A choice's true score varies from search to search as a seed's does; nominal is 95%."""
    chance, covered, number = random.Random(7), [0, 0], 300
    for _ in range(number):
        choices = [chance.gauss(0, 1) for _ in range(3)]
        reference = searched(*([choice + chance.gauss(0, 1) for _ in range(5)] for choice in choices))
        sample = sample_of_gains(searched([chance.gauss(0, 1) for _ in range(5)]), reference, 1.0, 0.0)
        for place, one in enumerate((sample, Sample(by_seed=sample.by_seed))):
            found = one.interval()
            covered[place] += found.low is not None and found.high is not None and found.low < 0 < found.high
    assert covered[0] >= 0.95 * number
    assert covered[1] <= 0.93 * number


def test_a_lucky_search_is_no_evidence_against_an_arm_once_it_was_repeated() -> None:
    yardstick = Yardstick(
        guessing=Guessing(score=0.1, metric="accuracy", higher_is_better=True),
        margin=0.99,
        baseline=searched([0.965, 0.966, 0.964, 0.965, 0.965]),
    )
    arm = searched([0.950, 0.951, 0.949, 0.950, 0.952])
    lucky = [0.961, 0.960, 0.962, 0.959, 0.963]
    once = judge({("date", 512): Contest(arm=arm, reference=searched(lucky))}, yardstick)["date", 512]
    others = ([score - 0.02 for score in lucky], [score - 0.01 for score in lucky])
    thrice = judge({("date", 512): Contest(arm=arm, reference=searched(lucky, *others))}, yardstick)["date", 512]
    assert (once.kind, once.num_searches) == ("worse", 1)
    assert (thrice.kind, thrice.num_searches, thrice.num_pairs) == ("not shown", 3, 5)
    assert thrice.seeds_needed is None  # more seeds do not take the luck of searching away


def test_of_lost_seeds_a_search_counts_as_one_observation() -> None:
    """The choice of a search may lose all its seeds or none, so they are not independent of each other."""
    assert searched([0.9] * 5, [0.9] * 5, [0.9] * 5).lost_share == lost_share_bounds(0, 3)
    one = searched([0.9] * 4, [0.9, 0.9, None, None])
    assert one.lost_share == lost_share_bounds(0.5, 2)
    assert (one.num_searches, one.num_seeds, len(one)) == (2, 4, 8)
