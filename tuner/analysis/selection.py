"""Choose the best trial of a search, and check whether its range was wide enough.

Pure functions of results. This module must not know what a choice is compared with.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from ...trainers.spec import OptionValue
from ..study.comprehensive import OPTIMIZER
from ..study.search_space import Space, numeric_range, params_on_edge
from ..trial import TrialResult, is_score

CHOOSABLE = ("finished", "diverged")
"""Statuses of trials that a search may choose; pruned and failed ones cannot be chosen."""

BASELINE = "baseline"
"""Arm name of the shared baseline's trials; a baseline that an arm tunes for itself has "ARM baseline"."""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """Choice on the edge of its range: a better value may lie outside, so the arm may be under-tuned.

    The hyperparameter `name` was chosen as `value` from `low` to `high`. For a baseline, `arm` is "baseline" or "ARM
    baseline".
    """

    arm: str
    batch_size: int
    name: str
    value: float
    low: float
    high: float


def best_trial(search: Iterable[TrialResult], *, higher_is_better: bool) -> TrialResult | None:
    """Return the trial that a search chooses: the best by last validation score, the earliest of equals.

    Where a comprehensive search trained configurations on several seeds, it chooses among those with the most, by their
    mean score. A diverged trial, which scores chance level, is chosen only if no other has finished. Pruned and failed
    ones, and those whose score is not finite, are never chosen. None if no trial of the search has a score.
    """
    sign = 1.0 if higher_is_better else -1.0
    scored = [
        (sign * result.validation_score, result)
        for result in search
        if result.status in CHOOSABLE and is_score(result.validation_score)
    ]
    if any(OPTIMIZER in result.trial.params for _, result in scored):
        seeds = _seeds_by_params(result for _, result in scored)
        most = max(map(len, seeds.values()))
        scored = _means((score, result) for score, result in scored if len(seeds[_params(result)]) == most)
    ranked = [(result.status == "finished", score, -result.trial.index, result) for score, result in scored]
    return max(ranked, key=lambda entry: entry[:3])[3] if ranked else None


def _params(result: TrialResult) -> tuple[tuple[str, OptionValue], ...]:
    return tuple(sorted(result.trial.params.items()))


def _seeds_by_params(results: Iterable[TrialResult]) -> dict[tuple[tuple[str, OptionValue], ...], set[int]]:
    """Return the seeds that each configuration of a search was trained with."""
    seeds: dict[tuple[tuple[str, OptionValue], ...], set[int]] = {}
    for result in results:
        seeds.setdefault(_params(result), set()).add(result.trial.config.seed)
    return seeds


def _means(scored: Iterable[tuple[float, TrialResult]]) -> list[tuple[float, TrialResult]]:
    """Return the first trial of each configuration, or its first that diverged, with the mean score over its seeds."""
    by_params: dict[tuple[tuple[str, OptionValue], ...], list[tuple[float, TrialResult]]] = {}
    for score, result in scored:
        by_params.setdefault(_params(result), []).append((score, result))
    return [
        (
            fmean(score for score, _ in trained),
            min((result for _, result in trained), key=lambda one: (one.status == "finished", one.trial.index)),
        )
        for trained in by_params.values()
    ]


def find_edges(
    results: Iterable[TrialResult], spaces: Mapping[str, Space], *, arms: Sequence[str], higher_is_better: bool
) -> tuple[Edge, ...]:
    """Return the numeric choices on the edge of their range, by `tuner.study.search_space.params_on_edge`.

    Searches have their spaces by the arm name of their trials; others are left out. Baselines come before the arms, in
    the study's order.
    """
    searches: dict[tuple[str, int], list[TrialResult]] = {}
    for result in results:
        if result.trial.role in ("baseline", "search") and result.trial.arm in spaces:
            searches.setdefault((result.trial.arm, result.trial.batch_size), []).append(result)
    place = {arm: position for position, arm in enumerate(arms)}
    found = []
    for arm, batch_size in sorted(searches, key=lambda search: (place.get(search[0], -1), search)):
        best = best_trial(searches[arm, batch_size], higher_is_better=higher_is_better)
        if best is not None and OPTIMIZER in best.trial.params:
            found += _outermost(best, searches[arm, batch_size])
        elif best is not None:
            found += _edges(best, spaces[arm])
    return tuple(found)


def _outermost(best: TrialResult, search: Iterable[TrialResult]) -> list[Edge]:
    """Return the learning rate of a search over solvers, which extends its ranges, if none beyond it was tried."""
    trial = best.trial
    solver, lr = trial.params[OPTIMIZER], trial.params.get("lr")
    same_solver = [result.trial.params for result in search if result.trial.params.get(OPTIMIZER) == solver]
    tried = [value for params in same_solver if isinstance(value := params.get("lr"), int | float)]
    if not isinstance(lr, int | float) or min(tried) < lr < max(tried):
        return []
    low, high = float(min(tried)), float(max(tried))
    return [Edge(arm=trial.arm, batch_size=trial.batch_size, name="lr", value=lr, low=low, high=high)]


def _edges(best: TrialResult, space: Space) -> list[Edge]:
    trial, found = best.trial, []
    for name in params_on_edge(space, trial.params):
        ends, value = numeric_range(space[name]), trial.params[name]
        if ends is not None and isinstance(value, int | float):
            low, high = ends
            found.append(Edge(arm=trial.arm, batch_size=trial.batch_size, name=name, value=value, low=low, high=high))
    return found
