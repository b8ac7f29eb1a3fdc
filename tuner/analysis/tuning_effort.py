"""How much of the reference's search it takes to be as good as another arm: K*, success rate, expected running time.

Pure functions of results. This module must not know how arms are judged or what they save.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..cost import CURRENCIES
from ..trial import TrialResult
from .evidence import Incumbent, best_of_k, incumbents, trials_to_reach
from .search_statistics import (
    AveragedIncumbent,
    SuccessRate,
    average_incumbents,
    cost_to_reach,
    expected_running_time,
    success_rate,
)

CHOOSABLE = ("finished", "diverged")
"""Statuses of trials that a search may settle on; pruned and failed ones cost and give nothing."""


@dataclass(frozen=True, kw_only=True)
class TuningEffort:
    """What the reference's search takes to validate as well as an arm does.

    Attributes:
        trials: K*, the fewest trials whose expected best reaches the arm's mean validation score; None where all do
            not. Of a search whose trials are exchangeable it is an expectation over their order; of one that learns,
            of the best so far, averaged over the searches that were run.
        num_trials: the most that K* can be: trials of one search where it learns, else of all of them.
        num_searches: independent searches that K* rests on.
        learned: whether the search learns from its trials, so that one search alone is no expectation.
        success: how often a trial of the search, or of its repeats, reaches that score.
        running_time: cost of those trials over the number that reached it, by currency; empty where none did.
    """

    trials: int | None
    num_trials: int
    num_searches: int
    learned: bool
    success: SuccessRate
    running_time: Mapping[str, float]


def effort_to_match(
    search: Sequence[TrialResult],
    repeats: Sequence[TrialResult],
    level: float,
    *,
    learned: bool,
    higher_is_better: bool,
) -> TuningEffort | None:
    """The effort that a search takes to reach a level.

    Args:
        search: trials of the reference's search.
        repeats: trials of its repeats, all together; each repeat trains with a seed of its own.
        level: the validation score to reach.
        learned: whether its method learns from outcomes (TPE), so that its trials are not exchangeable.
        higher_is_better: direction of the score.

    Returns:
        The effort; None where the search has no trial.
    """
    if not search:
        return None
    searches = _whole_searches(search, repeats)
    trials = [result for one in searches for result in one]
    scores = [result.validation_score if result.status in CHOOSABLE else None for result in trials]
    found = success_rate(scores, level, higher_is_better=higher_is_better)
    running_time = {
        currency: expected_running_time([_amount(result, currency) for result in trials], found.num_successes)
        for currency in CURRENCIES
    }
    if learned:
        reached = cost_to_reach(_averaged_best(searches, higher_is_better), level, higher_is_better=higher_is_better)
        needed = None if reached is None else round(reached)
    else:
        needed = trials_to_reach(_best_of_any(searches, higher_is_better), level, higher_is_better=higher_is_better)
    return TuningEffort(
        trials=needed,
        num_trials=len(search) if learned else len(trials),
        num_searches=len(searches),
        learned=learned,
        success=found,
        running_time={currency: cost for currency, cost in running_time.items() if cost is not None},
    )


def expected_best(
    search: Sequence[TrialResult], repeats: Sequence[TrialResult], *, learned: bool, higher_is_better: bool
) -> tuple[Incumbent, ...]:
    """The curve that K* is read from: the expected best score after so many trials, which stand as its cost.

    Args:
        search: trials of a search.
        repeats: trials of its repeats, all together.
        learned: whether its method learns from outcomes: then the best so far, averaged over the searches that were
            run, and else the expectation over the order of all their trials.
        higher_is_better: direction of the score.
    """
    searches = _whole_searches(search, repeats)
    if learned:
        averaged = _averaged_best(searches, higher_is_better)
        return tuple(Incumbent(cost=step.cost, score=step.score.mean) for step in averaged)
    best = _best_of_any(searches, higher_is_better)
    return tuple(Incumbent(cost=float(k), score=score) for k, score in enumerate(best, start=1))


def _whole_searches(search: Sequence[TrialResult], repeats: Sequence[TrialResult]) -> list[Sequence[TrialResult]]:
    """The search and its repeats; one that is still running would count as one that found nothing."""
    by_seed: dict[int, list[TrialResult]] = {}
    for result in repeats:
        by_seed.setdefault(result.trial.config.seed, []).append(result)
    return [search, *(trials for trials in by_seed.values() if len(trials) == len(search))]


def _averaged_best(searches: Sequence[Sequence[TrialResult]], higher_is_better: bool) -> tuple[AveragedIncumbent, ...]:
    return average_incumbents(
        [incumbents(one, "trials", higher_is_better=higher_is_better, as_proposed=True) for one in searches]
    )


def _best_of_any(searches: Sequence[Sequence[TrialResult]], higher_is_better: bool) -> tuple[float, ...]:
    choosable = [result for one in searches for result in one if result.status in CHOOSABLE]
    scores = [result.validation_score for result in choosable if result.validation_score is not None]
    return best_of_k(scores, higher_is_better=higher_is_better)


def _amount(result: TrialResult, currency: str) -> float:
    return float(getattr(result.cost, currency))
