"""Choose the best trial of a search, and check whether its range was wide enough.

Pure functions of results. This module must not know what a choice is compared with.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import MappingProxyType

from ...trainers.spec import OptionValue
from ..study.comprehensive import OPTIMIZER
from ..study.search_space import Choice, Float, Space, numeric_range, params_on_edge
from ..trial import TrialResult, is_score
from .economy import Economy
from .ties import find_tie

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


def best_trial(
    search: Iterable[TrialResult], *, higher_is_better: bool, economy: Economy | None = None
) -> TrialResult | None:
    """Return the trial that a search chooses: the best by last validation score, the earliest of equals.

    With an economy it chooses the cheapest of those whose score keeps the margin of the best.
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
    if economy is not None and (cheapest := economy.cheapest(scored)) is not None:
        return cheapest
    ranked = [(result.status == "finished", score, -result.trial.index, result) for score, result in scored]
    return max(ranked, key=lambda entry: entry[:3])[3] if ranked else None


def chosen_trial(
    search: Sequence[TrialResult], *, higher_is_better: bool, smallest: bool = False, economy: Economy | None = None
) -> TrialResult | None:
    """Return the trial that a search chooses; with `smallest`, ties go to the smallest learning rate (`find_tie`)."""
    tie = find_tie(search, higher_is_better=higher_is_better) if smallest else None
    return best_trial(search, higher_is_better=higher_is_better, economy=economy) if tie is None else tie.chosen


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
    results: Iterable[TrialResult],
    spaces: Mapping[str, Space],
    *,
    arms: Sequence[str],
    higher_is_better: bool,
    economies: Mapping[str, Economy] = MappingProxyType({}),
    solver_spaces: Mapping[str, Mapping[int, Mapping[str, Space]]] = MappingProxyType({}),
    smallest: Collection[str] = (),
) -> tuple[Edge, ...]:
    """Return the numeric choices on the edge of their range, by `tuner.study.search_space.params_on_edge`.

    Searches have their spaces by the arm name of their trials; others are left out. A learning rate that was tried
    beyond its range extends it. Searches over several solvers have the ranges of every solver by arm and batch size; a
    learning rate without a range there was extended by its search, and is on the edge if none beyond it was tried. In
    the searches `smallest`, ties go to the smallest learning rate. Baselines come before the arms, in the study's
    order; the choices of a search's repeats count too.
    """
    searches: dict[tuple[str, int, int], list[TrialResult]] = {}
    for result in results:
        trial = result.trial
        is_search = trial.role in ("baseline", "search") or (trial.role == "repeat" and trial.repeat > 0)
        if is_search and trial.arm in spaces:
            searches.setdefault((trial.arm, trial.batch_size, trial.repeat), []).append(result)
    place = {arm: position for position, arm in enumerate(arms)}
    found: list[Edge] = []
    for key in sorted(searches, key=lambda search: (place.get(search[0], -1), search)):
        (arm, batch_size, _), search = key, searches[key]
        best = chosen_trial(
            search, higher_is_better=higher_is_better, smallest=arm in smallest, economy=economies.get(arm)
        )
        if best is None:
            continue
        solver = best.trial.params.get(OPTIMIZER)
        of_solvers = solver_spaces.get(arm, {}).get(batch_size, {})
        space = _extended(spaces[arm], search) if solver is None else of_solvers.get(str(solver), {})
        if solver is not None and "lr" not in space:
            found += _outermost(best, search)
        found += _edges(best, space)
    return tuple(dict.fromkeys(found))


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


def _extended(space: Space, search: Iterable[TrialResult]) -> Space:
    """Return a space whose range of the learning rate holds all that were tried."""
    ends = numeric_range(space["lr"]) if "lr" in space else None
    tried = [value for result in search if isinstance(value := result.trial.params.get("lr"), int | float)]
    if ends is None or not tried or (ends[0] <= min(tried) and max(tried) <= ends[1]):
        return space
    param = space["lr"]
    scale = "log" if isinstance(param, Choice) else param.scale
    low, high = (float(end) for end in (min(ends[0], *tried), max(ends[1], *tried)))
    return {**space, "lr": Float(low=low, high=high, scale=scale)}


def _edges(best: TrialResult, space: Space) -> list[Edge]:
    trial, found = best.trial, []
    for name in params_on_edge(space, trial.params):
        ends, value = numeric_range(space[name]), trial.params[name]
        if ends is not None and isinstance(value, int | float):
            low, high = ends
            found.append(Edge(arm=trial.arm, batch_size=trial.batch_size, name=name, value=value, low=low, high=high))
    return found
