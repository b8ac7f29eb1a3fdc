"""Statistics of results: intervals, verdicts at a margin, best-of-k curves and incumbents against cost.

Pure functions of numbers and results. This module must not know how results are stored, compared or drawn.
"""

import math
import warnings
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
class Verdict:
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


def t_interval(values: Sequence[float]) -> Interval:
    """Return Student's t interval of the mean at `CONFIDENCE`.

    Args:
        values: at least one finite number. Equal values give an interval of width 0, a single value gives no ends.

    Raises:
        ValueError: there is no value.

    >>> t_interval([0.9, 0.9])
    Interval(mean=0.9, low=0.9, high=0.9)
    >>> t_interval([0.9])
    Interval(mean=0.9, low=None, high=None)
    """
    if not values:
        raise ValueError("an interval needs at least one value, got none: leave out arms without scores")
    if len(values) == 1:
        return Interval(mean=values[0], low=None, high=None)
    if all(value == values[0] for value in values):
        return Interval(mean=values[0], low=values[0], high=values[0])
    from scipy import stats  # takes a second to import, and is needed only at the end

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # on seeds that agree to the last digits
        ends = stats.ttest_1samp(values, 0.0).confidence_interval(CONFIDENCE)
    return Interval(mean=fmean(values), low=float(ends.low), high=float(ends.high))


def paired_verdict(
    scores: Sequence[float], reference: Sequence[float], *, tolerance: float, higher_is_better: bool
) -> Verdict:
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
        return Verdict(finding="undecided", difference=None, tolerance=tolerance, num_pairs=0)
    interval = t_interval(improvements)
    return Verdict(
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
    assumes exchangeable trials, as those of grid and random search. For searchers that learn, such as TPE, it only
    describes the trials that were run.

    Args:
        scores: validation scores, finite; a diverged trial counts with its score, a failed one has none.
        higher_is_better: direction of the metric.

    Returns:
        N expected values, the last of which is the best score.

    Source: Tang et al., arXiv 2004.13705, Eq. 3.

    >>> best_of_k([3.0, 1.0, 2.0], higher_is_better=True)
    (2.0, 2.6666666666666665, 3.0)
    """
    values = sorted(scores, reverse=not higher_is_better)
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
