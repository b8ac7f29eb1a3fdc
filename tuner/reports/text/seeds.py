"""Confirmation runs as text: the seeds' scores, how many were lost, and what so few can show of the rest."""

from collections.abc import Sequence

from ....trainers.applications.metric_names import is_share
from ...analysis.lost_seeds import Seeds
from .format import pluralize
from .scores import format_score, format_shares

MANY_SEEDS = 10
"""More seeds than this are not listed one by one."""


def format_seeds(seeds: Seeds, metric: str) -> str:
    """Format the scores of all seeds in their order: a lost one is marked with ✗, and has no number if it failed.

    >>> format_seeds(Seeds(scores={1: 0.971, 2: 0.973}, lost={3: "failed"}), "accuracy")
    '97.10 97.30 ✗'
    """
    numbers = dict(zip(seeds.scores, _numbers([*seeds.scores.values()], metric), strict=True))
    others = dict(zip(seeds.lost_scores, _numbers([*seeds.lost_scores.values()], metric), strict=True))
    return " ".join(numbers[seed] if lost is None else f"{others.get(seed, '')}✗" for seed, _, lost in seeds.in_order)


def format_lost(seeds: Seeds) -> str:
    """Format how many seeds are lost.

    >>> format_lost(Seeds(scores={1: 0.971}, lost={3: "failed"}))
    '1/2'
    """
    return f"{len(seeds.lost)}/{len(seeds)}"


def describe_seeds(seeds: Seeds, metric: str) -> str:
    """Describe the scores of seeds in a sentence; of many, the median of the sound ones.

    >>> describe_seeds(Seeds(scores={1: 0.971, 2: 0.973}), "accuracy")
    '97.10 97.30'
    """
    if len(seeds) <= MANY_SEEDS:
        return format_seeds(seeds, metric)
    return "no sound seed" if seeds.median is None else f"median {format_score(seeds.median, metric)}"


def describe_lost(seeds: Seeds) -> str:
    """Describe the lost seeds of an arm, at least one, and the interval of the true rate.

    >>> describe_lost(Seeds(scores={1: 0.971, 2: 0.973}, lost={3: "failed"}))
    '1 of 3 trainings failed (true rate 1% to 91%)'
    """
    low, high = seeds.lost_share
    reasons = set(seeds.lost.values())
    what = {"diverged": "diverged", "failed": "failed", "half-way": "ended nearer to guessing than to the baseline"}
    how = what[reasons.pop()] if len(reasons) == 1 else "were lost"
    return f"{len(seeds.lost)} of {pluralize(len(seeds), 'training')} {how} (true rate {low:.0%} to {high:.0%})"


def describe_bound(num_seeds: int) -> str:
    """Describe how often trainings could fail though none of these did.

    >>> describe_bound(5)
    'up to 45% could still fail, 5 trainings cannot say less'
    """
    high = Seeds(scores=dict.fromkeys(range(num_seeds), 0.0)).lost_share[1]
    return f"up to {high:.0%} could still fail, {pluralize(num_seeds, 'training')} cannot say less"


def _numbers(scores: Sequence[float], metric: str) -> list[str]:
    return format_shares(scores) if is_share(metric) else [format_score(score, metric) for score in scores]
