"""Confirmation runs as text: the seeds' scores, how many were lost, and what so few can show of the rest."""

from collections.abc import Sequence

from ....trainers.applications.metric_names import is_share
from ...analysis.lost_seeds import REPEAT_STEP, Seeds
from .format import pluralize
from .scores import format_score, format_shares

MANY_SEEDS = 10
"""More seeds than this are not listed one by one."""


def format_seeds(seeds: Seeds, metric: str) -> str:
    """Format the scores of all seeds in their order: a lost one is marked with ✗, and has no number if it failed.

    Between the choices of repeated searches stands a slash.

    >>> format_seeds(Seeds(scores={1: 0.971, 2: 0.973}, lost={3: "failed"}), "accuracy")
    '97.10 97.30 ✗'
    >>> format_seeds(Seeds(scores={1: 0.971, 2: 0.973, REPEAT_STEP + 1: 0.95, REPEAT_STEP + 2: 0.94}), "accuracy")
    '97.1 97.3 / 95.0 94.0'
    """
    numbers = dict(zip(seeds.scores, _numbers([*seeds.scores.values()], metric), strict=True))
    others = dict(zip(seeds.lost_scores, _numbers([*seeds.lost_scores.values()], metric), strict=True))
    found: dict[int, list[str]] = {}
    for key, _, lost in seeds.in_order:
        found.setdefault(key // REPEAT_STEP, []).append(numbers[key] if lost is None else f"{others.get(key, '')}✗")
    return " / ".join(" ".join(texts) for texts in found.values())


def count_trainings(seeds: Seeds) -> str:
    """Format how many trainings there are, as the seeds of each choice where a search was repeated.

    >>> count_trainings(Seeds(scores={1: 0.9, 2: 0.9})), count_trainings(Seeds(scores={1: 0.9, REPEAT_STEP + 1: 0.9}))
    ('2 seeds', '2 x 1 seed')
    """
    number = pluralize(seeds.num_seeds, "seed")
    return number if seeds.num_searches <= 1 else f"{seeds.num_searches} x {number}"


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

    Where a search was repeated, its trainings count by search, see `tuner.analysis.lost_seeds.Seeds.lost_share`.

    >>> describe_lost(Seeds(scores={1: 0.971, 2: 0.973}, lost={3: "failed"}))
    '1 of 3 trainings failed (true rate 1% to 91%)'
    """
    low, high = seeds.lost_share
    reasons = set(seeds.lost.values())
    what = {"diverged": "diverged", "failed": "failed", "half-way": "ended nearer to guessing than to the baseline"}
    how = what[reasons.pop()] if len(reasons) == 1 else "were lost"
    return f"{len(seeds.lost)} of {pluralize(len(seeds), 'training')} {how} (true rate {low:.0%} to {high:.0%})"


def describe_bound(seeds: Seeds) -> str:
    """Describe how often trainings could fail though none of these did.

    >>> describe_bound(Seeds(scores=dict.fromkeys(range(5), 0.97)))
    'up to 45% could still fail, 5 trainings cannot say less'
    >>> describe_bound(Seeds(scores={1: 0.9, REPEAT_STEP + 1: 0.9, 2 * REPEAT_STEP + 1: 0.9}))
    'up to 63% could still fail, 3 searches cannot say less'
    """
    several = pluralize(seeds.num_searches, "search")
    what = several if seeds.num_searches > 1 else pluralize(len(seeds), "training")
    return f"up to {seeds.lost_share[1]:.0%} could still fail, {what} cannot say less"


def _numbers(scores: Sequence[float], metric: str) -> list[str]:
    return format_shares(scores) if is_share(metric) else [format_score(score, metric) for score in scores]
