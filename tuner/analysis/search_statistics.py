"""Statistics of searches: success rates, expected running time, and the best of k trials with its interval.

A trial succeeds if it reaches a level, such as a zero-tuned arm's mean validation score. The expected best of k trials
is in `tuner.analysis.evidence`. Pure functions of numbers. This module must not know how results are stored, compared
or drawn.

**Exchangeable trials.** `success_rate`, `expected_running_time` and `median_best_of_k` speak of trials drawn
independently from one distribution: random search. Over a grid they describe that grid, and searchers that
learn (TPE, ASHA) need independent repeats of the whole search: `average_incumbents`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..trial import is_score
from .binomial import quantile_places, share_interval
from .evidence import CONFIDENCE, Incumbent, Interval, t_interval

BOOTSTRAP_TRIALS = 5
"""N / k below which a 95% percentile bootstrap of the best of k covers less than 90% (benchmarks/coverage.py)."""


@dataclass(frozen=True, kw_only=True)
class SuccessRate:
    """Success rate of trials at a level.

    Attributes:
        num_successes: trials at least as good as the level.
        num_trials: all trials, failed ones included.
        rate: num_successes / num_trials, an estimate of the probability p that a trial succeeds.
        low: lower end of Clopper and Pearson's two-sided interval of p at `CONFIDENCE`.
        high: upper end of that interval.
        upper_bound: without any success, the exact one-sided bound on p at `CONFIDENCE`, 1 - 0.05^(1/N), which the
            "rule of three" 3/N rounds up; otherwise None.
        expected_trials: 1 / rate, the mean number of trials of a random search until a success; None without any.
        trials_for_confidence: trials of which at least one succeeds with probability `CONFIDENCE` if p is the rate;
            None without any success. `trials_to_succeed` of `low` and `high` gives its interval.
    """

    num_successes: int
    num_trials: int
    rate: float
    low: float
    high: float
    upper_bound: float | None
    expected_trials: float | None
    trials_for_confidence: int | None


@dataclass(frozen=True, kw_only=True)
class MedianBest:
    """Median of the best of k trials: half of all searches of k trials end with a score at least this good.

    Attributes:
        k: number of trials.
        median: the score, estimated from the trials that were run; None if it is that of a failed trial.
        worse: bad end of its interval; None if there is no bound or the bound is a failed trial.
        better: good end of its interval; None likewise, since N trials give no bound on the best of more than
            N / log2(40) trials (`median_interval_range`).
        bootstrap_undercovers: whether a nominal 95% percentile bootstrap would cover the mean best of k in less than
            90% of the cases (k > N/5); at k = N/2 it is 80%.
    """

    k: int
    median: float | None
    worse: float | None
    better: float | None
    bootstrap_undercovers: bool


@dataclass(frozen=True, kw_only=True)
class AveragedIncumbent:
    """Best score after spending `cost`, averaged over repeats of a search.

    Attributes:
        cost: cost, in the currency of the curves.
        score: mean over the repeats and its t interval, without ends for a single repeat.
        num_repeats: number of searches in the average.
    """

    cost: float
    score: Interval
    num_repeats: int


def success_rate(scores: Iterable[float | None], level: float, *, higher_is_better: bool) -> SuccessRate:
    """Return how often a trial is at least as good as a level, with the exact interval.

    Args:
        scores: validation scores of all trials, at least one; None for a failed trial, which is no success.
        level: score to reach.
        higher_is_better: direction of the score.

    Raises:
        ValueError: there is no trial.

    Source: Clopper and Pearson (Biometrika 26, 1934); Hanley and Lippman-Hand, If nothing goes wrong, is everything
        all right? (JAMA 249, 1983), for the rule of three.

    >>> found = success_rate([0.97, 0.95, None, 0.96], 0.96, higher_is_better=True)
    >>> found.num_successes, found.num_trials, found.expected_trials, found.trials_for_confidence
    (2, 4, 2.0, 5)
    """
    outcomes = [is_score(score) and (score >= level if higher_is_better else score <= level) for score in scores]
    if not outcomes:
        raise ValueError("a success rate needs at least one trial, got none: leave out arms without trials")
    num_successes, num_trials = sum(outcomes), len(outcomes)
    low, high = share_interval(num_successes, num_trials)
    rate = num_successes / num_trials
    return SuccessRate(
        num_successes=num_successes,
        num_trials=num_trials,
        rate=rate,
        low=low,
        high=high,
        upper_bound=None if num_successes else 1.0 - (1.0 - CONFIDENCE) ** (1.0 / num_trials),
        expected_trials=num_trials / num_successes if num_successes else None,
        trials_for_confidence=trials_to_succeed(rate),
    )


def trials_to_succeed(rate: float, confidence: float = CONFIDENCE) -> int | None:
    """Return the fewest trials of which at least one succeeds with probability c: ceil(ln(1-c) / ln(1-p)).

    With c = 0.5 it is the K* of the median, the fewest trials whose best reaches the level more often than not. The
    ends of a `SuccessRate` give its exact interval.

    Args:
        rate: probability p that a trial succeeds, from 0 to 1.
        confidence: the probability c, between 0 and 1.

    Returns:
        The number of trials, at least one; None if the rate is zero.

    >>> trials_to_succeed(0.05), trials_to_succeed(1.0), trials_to_succeed(0.0)
    (59, 1, None)
    """
    if rate == 0.0:
        return None
    return 1 if rate == 1.0 else max(1, math.ceil(math.log1p(-confidence) / math.log1p(-rate)))


def expected_running_time(costs: Iterable[float], num_successes: int) -> float | None:
    """Return the expected cost of a search until its first success: the cost of all trials over the successes.

    Args:
        costs: costs of all trials, successful or not, in one currency.
        num_successes: number of trials that reached the level.

    Returns:
        The expected cost in the same currency; None if no trial succeeded.

    Source: Hansen et al., COCO: Performance Assessment (arXiv 1605.03560), average runtime.

    >>> expected_running_time([10.0, 2.0, 6.0], 2)
    9.0
    """
    return math.fsum(costs) / num_successes if num_successes else None


def median_best_of_k(scores: Iterable[float | None], k: int, *, higher_is_better: bool) -> MedianBest:
    """Return the median best score of k trials with its exact interval, for any distribution of scores.

    The best of k independent trials with distribution F has distribution F^k, so its median is F's quantile at
    2^(-1/k). With v_(1..N) from worst to best, v_(i) is at or below that quantile if at least i of N trials are, which
    is binomial. The interval runs from the last v_(i) that is above it with probability at most 2.5% to the first that
    is below it with probability at most 2.5%. Its coverage is at least `CONFIDENCE`.

    Args:
        scores: validation scores of all N trials; None for a failed trial, which counts as worst.
        k: number of trials, 1 to N.
        higher_is_better: direction of the score.

    Raises:
        ValueError: k is not within 1 to N.

    Source: David and Nagaraja, Order Statistics (2003), Section 7.1.

    >>> scores = [float(score) for score in range(1, 31)]
    >>> found = median_best_of_k(scores, 2, higher_is_better=True)
    >>> found.worse, found.median, found.better
    (16.0, 22.0, 27.0)
    >>> median_best_of_k(scores, 15, higher_is_better=True).better is None
    True
    """
    sign = 1.0 if higher_is_better else -1.0
    values = sorted(sign * score if is_score(score) else -math.inf for score in scores)
    num_trials = len(values)
    if not 1 <= k <= num_trials:
        raise ValueError(f"a best of k needs at least k trials and k >= 1, got k={k} of {num_trials} trials")
    quantile = 2.0 ** (-1.0 / k)
    middle = math.ceil(quantile * num_trials) - 1
    low, high = quantile_places(num_trials, quantile)
    found = [values[place] if 0 <= place < num_trials else math.nan for place in (low, middle, high)]
    worse, median, better = (sign * value if math.isfinite(value) else None for value in found)
    return MedianBest(
        k=k, median=median, worse=worse, better=better, bootstrap_undercovers=BOOTSTRAP_TRIALS * k > num_trials
    )


def median_interval_range(num_trials: int) -> range:
    """Return the k for which N trials give the median best of k an interval with both ends: 1 to N / log2(40).

    The good end needs a trial that is better than the quantile in all but 2.5% of the cases: 2^(-N/k) <= 0.025. The bad
    end needs no more trials, and at k = 1 as many. Fewer than six trials give no interval.

    >>> median_interval_range(5), median_interval_range(6), median_interval_range(30)
    (range(1, 1), range(1, 2), range(1, 6))
    """
    return range(1, math.floor(num_trials / math.log2(2.0 / (1.0 - CONFIDENCE))) + 1)


def average_incumbents(curves: Sequence[Sequence[Incumbent]]) -> tuple[AveragedIncumbent, ...]:
    """Average the best score so far against cost over independent repeats of a search that learns.

    Curves are step functions. They are averaged at every cost where one of them steps, from the first cost at which all
    repeats have a score to the end of the cheapest repeat. So every average is over the same searches and never gets
    worse.

    Args:
        curves: curves of all repeats from `tuner.analysis.evidence.incumbents`, in "trials" for an average by number of
            trials, in another currency for one by cost.

    Returns:
        An average for every step; none without repeats, or if one ends before another has a score.

    >>> one = [Incumbent(cost=1.0, score=0.90), Incumbent(cost=3.0, score=0.94)]
    >>> other = [Incumbent(cost=2.0, score=0.92), Incumbent(cost=4.0, score=0.96)]
    >>> [(step.cost, round(step.score.mean, 4)) for step in average_incumbents([one, other])]
    [(2.0, 0.91), (3.0, 0.93)]
    """
    if not curves or not all(curves):
        return ()
    start = max(curve[0].cost for curve in curves)
    end = min(curve[-1].cost for curve in curves)
    costs = sorted({step.cost for curve in curves for step in curve if start <= step.cost <= end})
    return tuple(
        AveragedIncumbent(
            cost=cost, score=t_interval([_score_at(curve, cost) for curve in curves]), num_repeats=len(curves)
        )
        for cost in costs
    )


def _score_at(curve: Sequence[Incumbent], cost: float) -> float:
    """Return the score of the last step at or before a cost; there must be one."""
    return [step.score for step in curve if step.cost <= cost][-1]


def cost_to_reach(curve: Iterable[AveragedIncumbent], level: float, *, higher_is_better: bool) -> float | None:
    """Return the lowest cost at which the averaged best reaches a level; in "trials" it is K*.

    Args:
        curve: curve from `average_incumbents`.
        level: score to reach.
        higher_is_better: direction of the score.

    Returns:
        The cost in the curve's currency; None if the average does not reach the level.

    >>> curve = average_incumbents([[Incumbent(cost=1.0, score=0.90), Incumbent(cost=3.0, score=0.94)]])
    >>> cost_to_reach(curve, 0.92, higher_is_better=True), cost_to_reach(curve, 0.95, higher_is_better=True)
    (3.0, None)
    """
    sign = 1.0 if higher_is_better else -1.0
    return next((step.cost for step in curve if sign * step.score.mean >= sign * level), None)
