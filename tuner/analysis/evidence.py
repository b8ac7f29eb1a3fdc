"""What results show: intervals, the verdict at a margin, the best-of-k curve and best-so-far against cost.

Pure functions of numbers and results. This module must not know how results are stored, compared or drawn.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from ..trial import TrialResult

CONFIDENCE = 0.95
"""Two-sided confidence of every interval; each end of it is a one-sided statement at 97.5%."""

ROUNDING = 1e-12
"""Share of a level by which an expectation may miss it for rounding alone."""

Finding = Literal["beats", "matches", "falls short", "undecided"]
"""What a paired comparison at a margin shows."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean and its confidence interval; the ends are None where one value alone gives none."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What an arm's scores show against the reference's, paired by seed.

    Attributes:
        finding: the verdict at the margin.
        difference: improvement over the reference in the metric's unit, positive where the arm is better whatever
            the metric's direction; None where no seed has both scores.
        tolerance: how much worse still counts as a match, in the metric's unit, >= 0.
        num_pairs: seeds with both scores.
    """

    finding: Finding
    difference: Interval | None
    tolerance: float
    num_pairs: int


@dataclass(frozen=True, kw_only=True)
class Incumbent:
    """The best validation score once `cost` has been spent; `cost` is in the currency that was asked for."""

    cost: float
    score: float


def t_interval(values: Sequence[float]) -> Interval:
    """Student's t interval of the mean at `CONFIDENCE`.

    Args:
        values: at least one finite number. Equal values give an interval without width, one value gives no ends.

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
    from scipy import stats  # it takes a second to import, and nothing asks for it before the end

    ends = stats.ttest_1samp(values, 0.0).confidence_interval(CONFIDENCE)
    return Interval(mean=fmean(values), low=float(ends.low), high=float(ends.high))


def paired_verdict(
    scores: Sequence[float], reference: Sequence[float], *, tolerance: float, higher_is_better: bool
) -> Verdict:
    """Whether an arm beats, matches or falls short of the reference, fixed beforehand by a tolerance.

    With [low, high] the t interval of the paired improvements: "beats" where low > 0; "matches" (is not inferior)
    where low > -tolerance; "falls short" where high < -tolerance; else, and with fewer than two pairs, "undecided".

    A percentile bootstrap over seeds would under-cover with a study's few: on normal differences its nominal 95%
    interval holds the truth in 75% of the cases at 3 seeds, 84% at 5 and 90% at 10; the t interval in 95%.

    Args:
        scores: the arm's scores, one a seed.
        reference: the reference's scores with the same seeds, in the same order.
        tolerance: how much worse still counts as a match, in the metric's unit, >= 0.
        higher_is_better: direction of the metric.

    Raises:
        ValueError: the two do not have the same number of scores.

    Source: Piaggio et al., Reporting of noninferiority and equivalence randomized trials (JAMA 2012).

    >>> paired_verdict([0.95, 0.96, 0.97], [0.95, 0.96, 0.97], tolerance=0.005, higher_is_better=True).finding
    'matches'
    """
    if len(scores) != len(reference):
        raise ValueError(f"pairs need as many scores as reference scores, got {len(scores)} and {len(reference)}")
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
    r"""Expected best score after k = 1..N trials, drawn without order from the N that were run.

    The unbiased U-statistic: sum over i >= k of v_(i) C(i-1, k-1) / C(N, k), with v_(1..N) from worst to best. It
    assumes exchangeable trials: it holds for grid and random search, and is no more than a description for searchers
    that learn, such as TPE.

    Args:
        scores: validation scores, finite; a diverged trial counts with its score, a failed one has none.
        higher_is_better: direction of the metric.

    Returns:
        N expected values, the last of them the best score; of no scores, none.

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
    """K*: the fewest trials after which the expected best reaches a level; None where N trials are not enough.

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
    """Best validation score so far against what had been spent, trial by trial.

    Every trial adds its cost; one that cannot be chosen (failed or pruned) adds nothing else. Trials before the first
    score are left out of the curve, not out of its cost.

    Args:
        results: the trials of one search.
        currency: a name in `tuner.cost.CURRENCIES`.
        higher_is_better: direction of the metric.
        as_proposed: whether trials count in the order in which they were proposed, the same whenever a study is run;
            else in that in which they finished, which depends on how long trials side by side take.

    Returns:
        One incumbent a trial, with non-decreasing cost and never a worse score.
    """
    better = max if higher_is_better else min
    spent, best, curve = 0.0, None, []
    in_order = sorted(results, key=lambda result: (0.0 if as_proposed else result.finished_at, result.trial.index))
    for result in in_order:
        spent += float(getattr(result.cost, currency))
        if result.validation_score is not None and result.status != "pruned":
            best = result.validation_score if best is None else better(best, result.validation_score)
        if best is not None:
            curve.append(Incumbent(cost=spent, score=best))
    return tuple(curve)
