"""Ties of a search at B0: the learning rates that it cannot tell apart, of which the smallest carries furthest.

At a small batch many learning rates score alike, and the largest of them is the first that fails at a larger batch. Two
trials tie where the score is within two standard errors of the best. Where configurations were trained on several
seeds, the error is that of the difference of two means over these seeds; else it is that of the best score on a
validation set of its size, if the score is a share. Pure functions of results.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from ..trial import TrialResult, canonical_json, is_score
from .luck import seed_noise

ERRORS = 2.0
"""Standard errors within which scores tie."""


@dataclass(frozen=True, kw_only=True)
class Tie:
    """The choice of a search that gives ties to the smallest learning rate.

    Attributes:
        chosen: the trial with the smallest learning rate.
        best: the trial with the best score, or the best mean over seeds.
        lrs: the learning rates of all that tie, ascending.
        score: of `best`.
        tolerance: how much less still ties.
        noise: what the tolerance rests on.
        samples: seeds, or samples of the validation set.
    """

    chosen: TrialResult
    best: TrialResult
    lrs: tuple[float, ...]
    score: float
    tolerance: float
    noise: Literal["seeds", "validation set"]
    samples: int


def find_tie(search: Iterable[TrialResult], *, higher_is_better: bool) -> Tie | None:
    """Return what ties with the best of a search; None if no trial has finished, or nothing tells the noise.

    Trials that diverged, failed or were pruned tie with nothing. Where some configurations were trained on several
    seeds, only those with the most can tie.
    """
    sign = 1.0 if higher_is_better else -1.0
    groups = _most_seeds(search)
    if not groups:
        return None
    means = [sign * fmean(map(_score, group)) for group in groups]
    top = max(range(len(groups)), key=lambda place: (means[place], -groups[place][0].trial.index))
    best, num_seeds = groups[top][0], len(groups[top])
    noise = seed_noise(list(map(_score, group)) for group in groups)
    if noise is not None:
        error, samples = noise * math.sqrt(2 / num_seeds), num_seeds
    elif best.validation_samples is not None and 0 <= _score(best) <= 1:
        error, samples = binomial_error(_score(best), best.validation_samples), best.validation_samples
    else:
        return None
    tied = [group[0] for group, mean in zip(groups, means, strict=True) if mean >= means[top] - ERRORS * error]
    tied.sort(key=lambda result: (_lr(result), result.trial.index))
    return Tie(
        chosen=tied[0],
        best=best,
        lrs=tuple(dict.fromkeys(map(_lr, tied))),
        score=sign * means[top],
        tolerance=ERRORS * error,
        noise="validation set" if noise is None else "seeds",
        samples=samples,
    )


def find_ties(results: Sequence[TrialResult], baselines: Iterable[str], *, higher_is_better: bool) -> tuple[Tie, ...]:
    """Return what ties in the search of every baseline, given by the arm name of its trials."""
    searches = [[r for r in results if (r.trial.arm, r.trial.role) == (arm, "baseline")] for arm in baselines]
    found = (find_tie(search, higher_is_better=higher_is_better) for search in searches)
    return tuple(tie for tie in found if tie is not None)


def _most_seeds(search: Iterable[TrialResult]) -> list[Sequence[TrialResult]]:
    """Return the finished trials by configuration, of the configurations with the most seeds."""
    groups: dict[str, list[TrialResult]] = {}
    for result in sorted(search, key=lambda result: result.trial.index):
        if result.status == "finished" and is_score(result.validation_score):
            groups.setdefault(canonical_json(result.trial.params), []).append(result)
    most = max(map(len, groups.values()), default=0)
    return [group for group in groups.values() if len(group) == most]


def _score(result: TrialResult) -> float:
    assert result.validation_score is not None
    return result.validation_score


def _lr(result: TrialResult) -> float:
    return result.trial.config.schedule.peak_lr


def binomial_error(share: float, samples: int) -> float:
    """Return the standard error of a share, not 0 for a perfect one (Agresti and Coull, 1998).

    >>> round(binomial_error(0.978, 1000), 4), binomial_error(1.0, 1000) > 0
    (0.0048, True)
    """
    share = (share * samples + 2) / (samples + 4)
    return math.sqrt(share * (1 - share) / samples)
