"""Statistics of searches: success rates, and the best score so far, averaged over repeats of a search.

A trial succeeds if it reaches a level, such as a zero-tuned arm's mean validation score. The expected best of k trials
is in `tuner.analysis.evidence`. Pure functions of numbers. This module must not know how results are stored, compared
or drawn.

**Exchangeable trials.** `success_rate` speaks of trials drawn independently from one distribution: random search. Over
a grid it describes that grid, and searchers that learn (TPE, ASHA) need independent repeats of the whole search:
`average_incumbents`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from .evidence import CONFIDENCE, Incumbent


@dataclass(frozen=True, kw_only=True)
class SuccessRate:
    """Success rate of trials at a level.

    Attributes:
        num_successes: trials at least as good as the level.
        num_trials: all trials, failed ones included.
        rate: num_successes / num_trials, an estimate of the probability p that a trial succeeds.
        low: lower end of Clopper and Pearson's two-sided interval of p at `CONFIDENCE`.
        high: upper end of that interval.
        trials_for_confidence: trials of which at least one succeeds with probability `CONFIDENCE` if p is the rate;
            None without any success.
    """

    num_successes: int
    num_trials: int
    rate: float
    low: float
    high: float
    trials_for_confidence: int | None


def success_rate(scores: Iterable[float | None], level: float, *, higher_is_better: bool) -> SuccessRate:
    """Return how often a trial is at least as good as a level, with the exact interval.

    Args:
        scores: validation scores of all trials, at least one; None for a failed trial, which is no success.
        level: score to reach.
        higher_is_better: direction of the score.

    Raises:
        ValueError: there is no trial.

    Source: Clopper and Pearson (Biometrika 26, 1934).

    >>> found = success_rate([0.97, 0.95, None, 0.96], 0.96, higher_is_better=True)
    >>> found.num_successes, found.num_trials, found.trials_for_confidence
    (2, 4, 5)
    """
    outcomes = [score is not None and (score >= level if higher_is_better else score <= level) for score in scores]
    if not outcomes:
        raise ValueError("a success rate needs at least one trial, got none: leave out arms without trials")
    num_successes, num_trials = sum(outcomes), len(outcomes)
    from scipy import stats  # takes a second to import, and is needed only at the end

    interval = stats.binomtest(num_successes, num_trials).proportion_ci(CONFIDENCE, method="exact")
    rate = num_successes / num_trials
    return SuccessRate(
        num_successes=num_successes,
        num_trials=num_trials,
        rate=rate,
        low=float(interval.low),
        high=float(interval.high),
        trials_for_confidence=_trials_to_succeed(rate) if num_successes else None,
    )


def _trials_to_succeed(rate: float) -> int:
    """Return the fewest trials of which one succeeds with probability c = `CONFIDENCE`: ceil(ln(1-c) / ln(1-p))."""
    return 1 if rate == 1.0 else max(1, math.ceil(math.log1p(-CONFIDENCE) / math.log1p(-rate)))


def average_incumbents(curves: Sequence[Sequence[Incumbent]]) -> tuple[Incumbent, ...]:
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
    >>> [(step.cost, round(step.score, 4)) for step in average_incumbents([one, other])]
    [(2.0, 0.91), (3.0, 0.93)]
    """
    if not curves or not all(curves):
        return ()
    start = max(curve[0].cost for curve in curves)
    end = min(curve[-1].cost for curve in curves)
    costs = sorted({step.cost for curve in curves for step in curve if start <= step.cost <= end})
    return tuple(Incumbent(cost=cost, score=fmean(_score_at(curve, cost) for curve in curves)) for cost in costs)


def _score_at(curve: Sequence[Incumbent], cost: float) -> float:
    """Return the score of the last step at or before a cost; there must be one."""
    return [step.score for step in curve if step.cost <= cost][-1]
