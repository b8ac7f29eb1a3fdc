"""The Pareto fronts of searches for score and cost: what they found, chose, and could have had for more.

Pure functions of results. This module must not know how fronts are drawn.
"""

from dataclasses import dataclass

from .pareto import ParetoPoint, pareto_front, trial_points
from .runs import Runs
from .selection import best_trial
from .study_facts import StudyFacts


@dataclass(frozen=True, kw_only=True)
class SearchFront:
    """The front of a search for score and cost.

    Attributes:
        currency: the cost, a name in `tuner.study.fields.COSTS`.
        num_finished: trials that finished: pruned, failed and diverged ones have no place on the front.
        front: the finished trials for which no other is both cheaper and better, the cheapest first.
        chosen: the choice, which is confirmed.
        best: the best score of the front.
        limit: the worst score that keeps the study's margin of the best.
    """

    arm: str
    batch_size: int
    currency: str
    num_finished: int
    front: tuple[ParetoPoint, ...]
    chosen: ParetoPoint
    best: ParetoPoint
    limit: float


def search_fronts(facts: StudyFacts, runs: Runs) -> tuple[SearchFront, ...]:
    """Return the front of every search for score and cost that has a finished trial, by batch size and arm."""
    sign = 1.0 if facts.higher_is_better else -1.0
    found = []
    for batch_size in facts.batch_sizes:
        for arm, economy in facts.economies.items():
            finished = [run for run in runs.of(arm, batch_size, "search") if run.status == "finished"]
            points = trial_points(finished, economy.currency)
            front = pareto_front(points, higher_is_better=facts.higher_is_better)
            chosen = best_trial(finished, higher_is_better=facts.higher_is_better, economy=economy)
            if chosen is None:
                continue
            best = max(front, key=lambda point: sign * point.score)
            found.append(
                SearchFront(
                    arm=arm,
                    batch_size=batch_size,
                    currency=economy.currency,
                    num_finished=len(points),
                    front=front,
                    chosen=trial_points([chosen], economy.currency)[0],
                    best=best,
                    limit=sign * economy.limit(sign * best.score),
                )
            )
    return tuple(found)
