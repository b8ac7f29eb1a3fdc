"""Tuning effort: how many trials of the reference's search it takes to validate as well as another arm, K*.

Pure functions of results; their formulas are in `tuner.analysis.search_statistics`. This module must not know verdicts
or savings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..cost import CURRENCIES
from ..trial import TrialResult, is_score
from .evidence import Incumbent, incumbents, trials_to_reach
from .luck import true_best_of_k
from .search_statistics import (
    AveragedIncumbent,
    SuccessRate,
    average_incumbents,
    expected_running_time,
    success_rate,
)
from .selection import CHOOSABLE


@dataclass(frozen=True, kw_only=True)
class TuningEffort:
    """Effort of the reference's search to validate as well as an arm.

    Attributes:
        trials: K*, the fewest trials whose expected best reaches the arm's mean validation score; None if all trials
            together do not. The expectation is over the order of exchangeable trials, less the luck of the best. For a
            search that learns, the best so far is averaged over the searches that were run, its luck included.
        lucky_trials: the same with the luck of the best trials left in.
        noise: standard deviation of a score between seeds, by which luck is taken away; None if it was left in.
        num_trials: upper limit of K*: trials of one search if it learns, otherwise of all searches.
        num_searches: independent searches that K* rests on.
        learned: whether the search learns from its trials, so that a single search is no expectation.
        success: success rate of the trials of the search and its repeats at that score.
        running_time: cost of these trials over the number of successes, by currency; empty without any success.
    """

    trials: int | None
    lucky_trials: int | None
    noise: float | None
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
    noise: float | None = None,
) -> TuningEffort | None:
    """Return the effort of a search to reach a level.

    Args:
        search: trials of the reference's search.
        repeats: trials of all its repeats; each repeat trains with its own seed.
        level: validation score to reach.
        learned: whether its method learns from outcomes (TPE), so that its trials are not exchangeable.
        higher_is_better: direction of the score.
        noise: standard deviation of a score between seeds (`tuner.analysis.luck`); None if it is not known.

    Returns:
        The effort; None if the search has no trial.
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
    lucky, corrected = (
        expected_best(search, repeats, learned=learned, higher_is_better=higher_is_better, noise=known)
        for known in (None, noise)
    )
    return TuningEffort(
        trials=_first(corrected, level, higher_is_better),
        lucky_trials=_first(lucky, level, higher_is_better),
        noise=None if learned else noise,
        num_trials=len(search) if learned else len(trials),
        num_searches=len(searches),
        learned=learned,
        success=found,
        running_time={currency: cost for currency, cost in running_time.items() if cost is not None},
    )


def expected_best(
    search: Sequence[TrialResult],
    repeats: Sequence[TrialResult],
    *,
    learned: bool,
    higher_is_better: bool,
    noise: float | None = None,
) -> tuple[Incumbent, ...]:
    """Return the curve that K* is read from: the expected best score against the number of trials, as its `cost`.

    Args:
        search: trials of a search.
        repeats: trials of all its repeats.
        learned: whether its method learns from outcomes. Then the curve is the best so far, averaged over the searches;
            otherwise the expectation over the order of all trials.
        higher_is_better: direction of the score.
        noise: standard deviation of a score between seeds, to take away the luck of the best; None to leave it in. It
            has no effect on a search that learns.
    """
    searches = _whole_searches(search, repeats)
    if learned:
        averaged = _averaged_best(searches, higher_is_better)
        return tuple(Incumbent(cost=step.cost, score=step.score.mean) for step in averaged)
    best = _best_of_any(searches, higher_is_better, noise or 0.0)
    return tuple(Incumbent(cost=float(k), score=score) for k, score in enumerate(best, start=1))


def _whole_searches(search: Sequence[TrialResult], repeats: Sequence[TrialResult]) -> list[Sequence[TrialResult]]:
    """Return the search and its finished repeats; an unfinished one would count as one that found nothing."""
    by_repeat: dict[int, list[TrialResult]] = {}
    for result in repeats:  # those of earlier versions have no number, but a seed of their own
        by_repeat.setdefault(result.trial.repeat or -1 - result.trial.config.seed, []).append(result)
    return [search, *(trials for trials in by_repeat.values() if len(trials) == len(search))]


def _averaged_best(searches: Sequence[Sequence[TrialResult]], higher_is_better: bool) -> tuple[AveragedIncumbent, ...]:
    return average_incumbents(
        [incumbents(one, "trials", higher_is_better=higher_is_better, as_proposed=True) for one in searches]
    )


def _best_of_any(searches: Sequence[Sequence[TrialResult]], higher_is_better: bool, noise: float) -> tuple[float, ...]:
    choosable = (result.validation_score for one in searches for result in one if result.status in CHOOSABLE)
    return true_best_of_k(filter(is_score, choosable), noise, higher_is_better=higher_is_better)


def _first(curve: Sequence[Incumbent], level: float, higher_is_better: bool) -> int | None:
    """Return the number of trials at which a curve reaches a level."""
    place = trials_to_reach([step.score for step in curve], level, higher_is_better=higher_is_better)
    return None if place is None else round(curve[place - 1].cost)


def _amount(result: TrialResult, currency: str) -> float:
    return float(getattr(result.cost, currency))
