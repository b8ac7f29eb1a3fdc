"""Confirmation runs as seeds that are sound or lost, and whether a score is better than guessing.

A seed is lost if its run diverged, failed or has no finite score, or if its score ends past half-way from the
baseline's to that of guessing. Perplexities are compared as their logarithms. Where a search was repeated, the choice
of every repeat is trained with every seed. Pure functions of numbers and results.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal, TypeVar

from ...trainers.applications.metric_names import metric_bounds
from ..trial import Trial, TrialResult, is_score
from .binomial import share_interval
from .evidence import CONFIDENCE

Loss = Literal["diverged", "failed", "half-way"]
"""Why a seed is lost: its run diverged, failed or has no finite score, or ended nearer to guessing than to the
baseline's score."""

Value = TypeVar("Value")

HARDLY_LEARNED = 0.05
"""Share of the way from guessing to a perfect score within which a model is called no better than guessing: one that
gives every sample the most frequent class is better than chance by a percent or two."""


REPEAT_STEP = 2**31
"""Distance between the keys of two searches in `Seeds`: every seed is smaller."""


@dataclass(frozen=True, kw_only=True)
class Guessing:
    """The score of guessing, and whether other scores are better.

    Attributes:
        score: the application's `chance_score`; None if it is not known, then every score is better.
        metric: name of the score.
        higher_is_better: direction of the metric.
    """

    score: float | None
    metric: str
    higher_is_better: bool

    def half_way(self, baseline: float) -> float | None:
        """Return the score half-way from the baseline's to guessing; None if the baseline's is no better.

        >>> round(Guessing(score=0.1, metric="accuracy", higher_is_better=True).half_way(0.9), 3)
        0.5
        """
        if self.score is None or not self.is_better(baseline):
            return None
        if self._is_logarithmic(baseline):
            return math.sqrt(baseline * self.score)
        return (baseline + self.score) / 2

    def is_better(self, score: float) -> bool:
        """Return whether a score is better than guessing by more than `HARDLY_LEARNED` of the way to a perfect one.

        Where the metric's name tells no perfect score, every better score counts.

        >>> guessing = Guessing(score=0.1, metric="accuracy", higher_is_better=True)
        >>> guessing.is_better(0.1135), guessing.is_better(0.4)
        (False, True)
        """
        if self.score is None:
            return True
        least, largest = metric_bounds(self.metric, self.score)
        perfect = largest if self.higher_is_better else least
        here, guess = score, self.score
        if self._is_logarithmic(score):
            here, guess, perfect = math.log(score), math.log(self.score), math.log(max(perfect, 1.0))
        way = (here - guess) if self.higher_is_better else (guess - here)
        return way > (HARDLY_LEARNED * abs(perfect - guess) if math.isfinite(perfect) else 0.0)

    def _is_logarithmic(self, score: float) -> bool:
        """Return whether the metric is a perplexity, which starts at 1 and is the exponential of a loss."""
        return metric_bounds(self.metric)[0] == 1.0 and score > 0 and self.score is not None and self.score > 0


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """The confirmation runs of a configuration by seed, or of the choices of a search and its repeats by `seed_key`.

    Attributes:
        scores: the test scores of the sound seeds.
        lost: the lost seeds, and why.
        lost_scores: test scores of lost seeds that have one; a diverged run has the score of guessing.
    """

    scores: Mapping[int, float] = field(default_factory=dict)
    lost: Mapping[int, Loss] = field(default_factory=dict)
    lost_scores: Mapping[int, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.scores) + len(self.lost)

    @property
    def in_order(self) -> tuple[tuple[int, float | None, Loss | None], ...]:
        """Each seed with its score, None without one, and why it is lost, None if it is sound."""
        seeds = sorted({*self.scores, *self.lost})
        return tuple((s, self.scores.get(s, self.lost_scores.get(s)), self.lost.get(s)) for s in seeds)

    @property
    def median(self) -> float | None:
        """Median score of the sound seeds; None without any."""
        return median(self.scores.values()) if self.scores else None

    @property
    def num_searches(self) -> int:
        """Number of searches whose choices were trained; 1 of a single configuration, 0 without a run."""
        return len({key // REPEAT_STEP for key in (*self.scores, *self.lost)})

    @property
    def num_seeds(self) -> int:
        """Number of seeds that at least one choice was trained with."""
        return len({key % REPEAT_STEP for key in (*self.scores, *self.lost)})

    @property
    def of_searches(self) -> "tuple[Seeds, ...]":
        """The runs of every search by seed, in the order of the searches."""
        if len(self) and max((*self.scores, *self.lost)) < REPEAT_STEP:
            return (self,)
        found: dict[int, Seeds] = {}
        for key in sorted((*self.scores, *self.lost)):
            found.setdefault(key // REPEAT_STEP, self._of_search(key // REPEAT_STEP))
        return tuple(found.values())

    def _of_search(self, repeat: int) -> "Seeds":
        def own(values: Mapping[int, Value]) -> dict[int, Value]:
            return {key % REPEAT_STEP: value for key, value in values.items() if key // REPEAT_STEP == repeat}

        return Seeds(scores=own(self.scores), lost=own(self.lost), lost_scores=own(self.lost_scores))

    @property
    def lost_share(self) -> tuple[float, float]:
        """Bounds of the share of seeds that are lost, see `lost_share_bounds`; 0 and 1 without a seed.

        The trainings of a search's choice may all be lost or none, so of several searches each counts as one
        observation, of the share that it lost (Korn and Graubard, Survey Methodology 24, 1998).
        """
        if not len(self):
            return 0.0, 1.0
        number = self.num_searches if self.num_searches > 1 else len(self)
        return lost_share_bounds(number * len(self.lost) / len(self), number)


def seed_key(trial: Trial) -> int:
    """Return the key in `Seeds` of a confirmation: its seed, plus `REPEAT_STEP` for every search before its own."""
    return trial.config.seed + trial.repeat * REPEAT_STEP


def sort_seeds(runs: Iterable[TrialResult], half_way: float | None, *, higher_is_better: bool) -> Seeds:
    """Sort confirmation runs of one configuration, or of a search and its repeats, into sound and lost seeds.

    Args:
        runs: at most one run a search and seed.
        half_way: from `Guessing.half_way`; None if only diverged and failed runs are lost.
        higher_is_better: direction of the score.
    """
    scores: dict[int, float] = {}
    lost: dict[int, Loss] = {}
    lost_scores: dict[int, float] = {}
    for run in runs:
        seed, score = seed_key(run.trial), run.test_score
        if not is_score(score):
            lost[seed] = "diverged" if run.status == "diverged" else "failed"
            continue
        past = half_way is not None and (score < half_way if higher_is_better else score > half_way)
        if run.status == "diverged" or past:
            lost[seed] = "diverged" if run.status == "diverged" else "half-way"
            lost_scores[seed] = score
        else:
            scores[seed] = score
    return Seeds(scores=scores, lost=lost, lost_scores=lost_scores)


def typical_score(runs: Sequence[TrialResult]) -> float | None:
    """Return the median test score of runs, None without any; a diverged one has the score of guessing."""
    scores = [run.test_score for run in runs if is_score(run.test_score)]
    return median(scores) if scores else None


def lost_share_bounds(num_lost: float, num_seeds: int) -> tuple[float, float]:
    """Return the bounds of the true share of seeds that are lost, at `CONFIDENCE`.

    With none lost, (0, the one-sided bound 1 - 0.05^(1/n)); otherwise Clopper and Pearson's two-sided interval.

    Args:
        num_lost: from 0 to `num_seeds`; a fraction where an observation is a search that lost some of its seeds.
        num_seeds: at least one.

    >>> [round(lost_share_bounds(0, n)[1], 3) for n in (3, 5, 14, 29)]
    [0.632, 0.451, 0.193, 0.098]
    >>> [round(end, 3) for end in lost_share_bounds(1, 3)]
    [0.008, 0.906]
    """
    if num_lost == 0:
        return 0.0, 1.0 - (1.0 - CONFIDENCE) ** (1.0 / num_seeds)
    return share_interval(num_lost, num_seeds)
