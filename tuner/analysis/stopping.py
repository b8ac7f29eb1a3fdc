"""The chance that the trials left of a search beat an arm that needs no tuning.

**The chance.** If trials came in random order, and none of n beat the arm, one of the m left would do so with chance
m / (n + m + 1) at most: that of a first success where all success rates were equally likely before (Laplace). It is the
less, the farther the score to beat lies above the best so far: beyond the worst of the best third of the trials, scores
are taken to thin out exponentially, by the mean distance of that third. The distance is itself an estimate from k
trials, hence the power of -k in place of the exponential. No more than `LEAST_FACTOR` is believed of it, since a search
may not have met its best region yet. Measured on tables of past trainings, whose searches learn or do not: `python -m
benchmarks.replay --sections stops`.

A trial is trained once, and the score to beat is a mean over seeds. The luck of single trials raises the chance that
one of them lies above it, so the search goes on rather too long.

Pure functions of numbers and results. This module must not know how trials are run or proposed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from ...trainers.spec import OptionValue
from ..study.stopping import LEAST_FACTOR, LEAST_TRIALS, laplace_chance
from ..trial import TrialResult, is_score
from .verdict import tolerated_loss


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A trial of a search.

    Attributes:
        params: its hyperparameters.
        score: validation score, larger is better; None if it failed or was pruned.
    """

    params: Mapping[str, OptionValue]
    score: float | None


def score_to_beat(runs: Sequence[TrialResult], *, margin: float, sign: float) -> float | None:
    """Return what a trial must exceed: the mean validation score of confirmation runs, better by the margin.

    Args:
        runs: confirmation runs of an arm that needs no tuning.
        margin: of the study, in (0, 1]: 1 - margin of the mean is added.
        sign: 1 if higher scores are better, else -1.

    Returns:
        The score, times `sign`; None without a run, or if one of them has no score or diverged: such an arm is no
        measure.
    """
    scores = [run.validation_score for run in runs if run.status == "finished" and is_score(run.validation_score)]
    if not runs or len(scores) < len(runs):
        return None
    return sign * fmean(scores) + tolerated_loss(margin, fmean(scores))


def chance_to_beat(tried: Iterable[Tried], num_left: int, limit: float) -> float:
    """Return the chance that one of the trials left scores above a limit, rather too high than too low.

    A configuration that was trained on several seeds counts once, with its mean.

    Args:
        tried: trials so far.
        num_left: trials left, >= 1; those that train a configuration again count as if they tried another.
        limit: the score to beat, larger is better.

    Returns:
        The chance, in [0, 1]; 1 if there are fewer than `LEAST_TRIALS` configurations with a score, or if they say
        nothing: because one of them lies above the limit, or because those of the best third are all the same.

    >>> tried = [Tried(params={"lr": lr}, score=1.0 - lr) for lr in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)]
    >>> [round(chance_to_beat(tried, 4, limit), 3) for limit in (0.8, 0.91, 1.0, 2.0)]
    [1.0, 0.288, 0.173, 0.077]
    """
    scores = sorted(_means(tried))
    number = len(scores)
    if number < LEAST_TRIALS or scores[-1] > limit:
        return 1.0
    top = number // 3
    worst_of_top = scores[number - top - 1]
    distance = fmean(scores[number - top :]) - worst_of_top
    if distance <= 0.0:
        return 1.0
    factor = (1.0 + (limit - scores[-1]) / (top * distance)) ** -top
    return laplace_chance(number, num_left) * max(LEAST_FACTOR, factor)


def _means(tried: Iterable[Tried]) -> list[float]:
    """Return the mean score of every configuration that has one."""
    scores: dict[tuple[tuple[str, OptionValue], ...], list[float]] = {}
    for trial in tried:
        if trial.score is not None:
            scores.setdefault(tuple(sorted(trial.params.items())), []).append(trial.score)
    return [fmean(each) for each in scores.values()]
