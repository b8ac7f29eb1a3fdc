"""Statistics of results: intervals, verdicts at a margin, best-of-k curves and incumbents against cost.

Pure functions of numbers and results. This module must not know how results are stored, compared or drawn.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from ..trial import TrialResult, is_score

CONFIDENCE = 0.95
"""Two-sided confidence of every interval; each end is a one-sided bound at 97.5%."""

ROUNDING = 1e-12
"""Relative rounding error by which an expectation may miss a level."""

Finding = Literal["beats", "matches", "falls short", "undecided"]
"""Result of a paired comparison at a margin."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Mean and confidence interval; a single value has no ends."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class PairedVerdict:
    """Verdict on an arm against the reference, from scores paired by seed.

    Attributes:
        finding: the verdict at the margin.
        difference: improvement over the reference in the metric's unit, positive if the arm is better, whatever the
            metric's direction; None if no seed has both scores.
        tolerance: loss that still counts as a match, in the metric's unit, >= 0.
        num_pairs: seeds with both scores.
    """

    finding: Finding
    difference: Interval | None
    tolerance: float
    num_pairs: int


@dataclass(frozen=True, kw_only=True)
class Incumbent:
    """Best validation score after spending `cost`, which is in the requested currency."""

    cost: float
    score: float


def t_interval(values: Sequence[float], noise: float = 0.0) -> Interval:
    """Return Student's t interval of the mean at `CONFIDENCE`.

    Args:
        values: at least one finite number. A single value gives no ends, nor do equal values without noise: they say
            nothing of how far the next may lie.
        noise: least standard deviation that is believed of a value, >= 0.

    Raises:
        ValueError: there is no value.

    >>> t_interval([0.9, 0.9]), t_interval([0.9])
    (Interval(mean=0.9, low=None, high=None), Interval(mean=0.9, low=None, high=None))
    """
    if not values:
        raise ValueError("an interval needs at least one value, got none: leave out arms without scores")
    if len(values) == 1 or (deviation := spread(values, noise)) == 0.0:
        return Interval(mean=values[0], low=None, high=None)
    from scipy import special  # takes a while to import, and is needed only at the end

    width = float(special.stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2)) * deviation / math.sqrt(len(values))
    return Interval(mean=fmean(values), low=fmean(values) - width, high=fmean(values) + width)


def spread(values: Sequence[float], noise: float = 0.0) -> float:
    """Return the standard deviation of at least two values, at least `noise`; that of rounding counts as 0."""
    mean = fmean(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return max(0.0 if deviation <= ROUNDING * max(map(abs, values)) else deviation, noise)


def p_above(values: Sequence[float], level: float, noise: float = 0.0) -> float:
    """Return the one-sided p-value of Student's t that the mean of values is not above a level.

    Args:
        values: finite numbers. Fewer than two show nothing: 1. Of equal ones without noise the sign test is all there
            is.
        level: the level.
        noise: least standard deviation that is believed of a value, >= 0.

    >>> round(p_above([1.0, 2.0, 3.0], 0.0), 4)
    0.0371
    """
    if len(values) < 2:
        return 1.0
    if (deviation := spread(values, noise)) == 0.0:
        return sign_test(values, level)
    from scipy import special  # takes a while to import, and is needed only at the end

    return float(special.stdtr(len(values) - 1, (level - fmean(values)) / (deviation / math.sqrt(len(values)))))


def sign_test(values: Sequence[float], level: float) -> float:
    """Return the exact one-sided p-value that the median of values is not above a level, whatever their distribution.

    A value that equals the level counts against it. 1 without values.

    >>> sign_test([0.1, 0.2, 0.3], 0.0), sign_test([0.1, 0.2, 0.3, 0.4, 0.5], 0.0)
    (0.125, 0.03125)
    """
    number, above = len(values), sum(value > level for value in values)
    return float(sum(math.comb(number, k) for k in range(above, number + 1)) / 2**number)


def paired_verdict(
    scores: Sequence[float], reference: Sequence[float], *, tolerance: float, higher_is_better: bool
) -> PairedVerdict:
    """Decide whether an arm beats, matches or falls short of the reference at a tolerance fixed beforehand.

    With [low, high] the t interval of the paired improvements: "beats" if low > 0; "matches" (non-inferior) if
    low > -tolerance; "falls short" if high < -tolerance; otherwise, and with fewer than two pairs, "undecided".

    The t interval is used since a percentile bootstrap over few seeds under-covers: on normal differences its nominal
    95% interval covers the truth in 75% of the cases at 3 seeds, 84% at 5 and 90% at 10; the t interval in 95%.

    Args:
        scores: scores of the arm, one for each seed.
        reference: scores of the reference with the same seeds, in the same order.
        tolerance: loss that still counts as a match, in the metric's unit, >= 0.
        higher_is_better: direction of the metric.

    Source: Piaggio et al., Reporting of noninferiority and equivalence randomized trials (JAMA 2012).

    >>> paired_verdict([0.95, 0.96, 0.97], [0.95, 0.96, 0.97], tolerance=0.005, higher_is_better=True).finding
    'matches'
    """
    sign = 1.0 if higher_is_better else -1.0
    improvements = [sign * (score - other) for score, other in zip(scores, reference, strict=True)]
    if not improvements:
        return PairedVerdict(finding="undecided", difference=None, tolerance=tolerance, num_pairs=0)
    interval = t_interval(improvements)
    if len(improvements) > 1 and interval.low is None:  # the seeds agree, as where both arms diverged or are the same
        interval = Interval(mean=interval.mean, low=interval.mean, high=interval.mean)
    return PairedVerdict(
        finding=_finding(interval, tolerance), difference=interval, tolerance=tolerance, num_pairs=len(improvements)
    )


def _finding(improvement: Interval, tolerance: float) -> Finding:
    if improvement.low is None or improvement.high is None:
        return "undecided"
    if improvement.low > 0:
        return "beats"
    if improvement.low > -tolerance or improvement.low == improvement.high == 0:
        return "matches"
    return "falls short" if improvement.high < -tolerance else "undecided"


def best_of_k(scores: Iterable[float], *, higher_is_better: bool) -> tuple[float, ...]:
    r"""Return the expected best score of k = 1..N trials, drawn from the N that were run.

    The unbiased U-statistic: sum over i >= k of v_(i) C(i-1, k-1) / C(N, k), with v_(1..N) from worst to best. It
    assumes exchangeable trials, as those of grid, random and Sobol search. For searchers that learn, such as TPE, it
    only describes the trials that were run.

    Args:
        scores: validation scores, finite; a diverged trial counts with its score, a failed one has none.
        higher_is_better: direction of the metric.

    Returns:
        N expected values, the last of which is the best score.

    Source: Tang et al., arXiv 2004.13705, Eq. 3.

    >>> best_of_k([3.0, 1.0, 2.0], higher_is_better=True)
    (2.0, 2.6666666666666665, 3.0)
    """
    return best_of_k_in_order(sorted(scores, reverse=not higher_is_better))


def best_of_k_in_order(values: Sequence[float]) -> tuple[float, ...]:
    """Return the expected value of the best of k = 1..N trials, whose values are in the order from worst to best.

    A value may be another than the one that orders the trials.
    """
    num_trials = len(values)
    curve = []
    for k in range(1, num_trials + 1):
        weight = k / num_trials  # C(N-1, k-1) / C(N, k); each lower i follows by the ratio (i-k) / (i-1)
        terms = []
        for i in range(num_trials, k - 1, -1):
            terms.append(weight * values[i - 1])
            weight *= (i - k) / max(i - 1, 1)
        curve.append(math.fsum(terms))
    return tuple(curve)


def trials_to_reach(curve: Sequence[float], level: float, *, higher_is_better: bool) -> int | None:
    """Return K*, the fewest trials whose expected best reaches a level; None if N trials are not enough.

    Args:
        curve: expected best after 1..N trials, from `best_of_k`.
        level: the score to reach, such as a zero-tuned arm's mean validation score.
        higher_is_better: direction of the metric.

    >>> trials_to_reach((2.0, 2.67, 3.0), 2.5, higher_is_better=True)
    2
    >>> trials_to_reach((2.0, 2.67, 3.0), 3.5, higher_is_better=True) is None
    True
    """
    sign = 1.0 if higher_is_better else -1.0
    reached = sign * level - ROUNDING * abs(level)
    return next((k for k, best in enumerate(curve, start=1) if sign * best >= reached), None)


def incumbents(
    results: Iterable[TrialResult], currency: str, *, higher_is_better: bool, as_proposed: bool = False
) -> tuple[Incumbent, ...]:
    """Return the best validation score so far against the cost so far, trial by trial.

    Every trial adds its cost; failed and pruned ones add nothing else. The curve begins with the first score, at the
    cost of all trials until then.

    Args:
        results: trials of one search.
        currency: a name in `tuner.cost.CURRENCIES`.
        higher_is_better: direction of the metric.
        as_proposed: whether trials are in the order of their proposals, which is reproducible; otherwise in the order
            in which they finished, which depends on the timing of parallel trials.

    Returns:
        An incumbent for every trial. Cost never decreases and scores never get worse.
    """
    better = max if higher_is_better else min
    spent, best, curve = 0.0, None, []
    in_order = sorted(results, key=lambda result: (0.0 if as_proposed else result.finished_at, result.trial.index))
    for result in in_order:
        spent += float(getattr(result.cost, currency))
        if is_score(result.validation_score) and result.status != "pruned":
            best = result.validation_score if best is None else better(best, result.validation_score)
        if best is not None:
            curve.append(Incumbent(cost=spent, score=best))
    return tuple(curve)
