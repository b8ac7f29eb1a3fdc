"""When may a search stop? Chances that the trials left beat a rule, against what they did, on the tables of HPOBench.

A search of 8 to 50 trainings sees one seed of the table; it looks every four trials. What it must beat is the sqrt
rule's proposal, from a baseline of 12 random trainings at B0, by its mean over the other four seeds and 0.5% of that.
The same four judge choices: a stop costs more than the margin if the choice of the whole search is better, by more than
0.5%, than both the choice so far and the rule.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import stats

from benchmarks.coverage import table
from benchmarks.replay_designs import Build, Task, _random, _tpe, anchored, proposal_of, run_search, sobol
from benchmarks.replay_surface import DATA_SETS, SPACE, TARGETS, Params, numbers_of, rng_of, surface
from zerotune.tuner.analysis.stopping import Tried, chance_to_beat
from zerotune.tuner.study.search_space import Choice, place_in
from zerotune.tuner.study.stopping import is_look, laplace_chance

BUDGETS = (8, 12, 16, 25, 50)
EVERY = 4
MARGIN = 0.995
LEVELS = (0.05, 0.1, 0.2)
BINS = (0.0, 0.05, 0.1, 0.2, 0.4)
SEEN = {"8 to 16": range(8, 17), "20 to 48": range(20, 49)}
"""Trials before a look, by which looks are told apart."""
SEARCHES: dict[str, tuple[Build, bool, int]] = {
    "random": (_random, False, 1),
    "random, anchored": (_random, True, 1),
    "Sobol": (sobol, False, 1),
    "Sobol, anchored": (sobol, True, 1),
    "TPE": (_tpe, False, 8),
    "TPE, anchored": (_tpe, True, 8),
}
"""Search, whether its learning rates are anchored on the rule's, and how many times fewer searches it gets."""


@dataclass(frozen=True)
class Look:
    """A look at a search of `budget` trials after `number` of them.

    Attributes:
        chances: by the name of the estimate.
        beat: whether a trial left scored above the limit.
        cost: whether stopping here costs more than the margin.
    """

    search: str
    place: tuple[object, ...]
    budget: int
    number: int
    chances: dict[str, float]
    beat: bool
    cost: bool


def _platform(points: Sequence[Params], scores: np.ndarray, left: Sequence[Params], limit: float) -> float:
    tried = [Tried(params=params, score=float(score)) for params, score in zip(points, scores, strict=True)]
    return chance_to_beat(tried, len(left), limit)


def _laplace(points: Sequence[Params], scores: np.ndarray, left: Sequence[Params], limit: float) -> float:
    return 1.0 if scores.max() > limit else laplace_chance(len(scores), len(left))


def _tail(points: Sequence[Params], scores: np.ndarray, left: Sequence[Params], limit: float) -> float:
    """Return the chance by an exponential tail beyond the best third alone."""
    top = len(scores) // 3
    ordered = np.sort(scores)
    start = ordered[-top - 1]
    distance = ordered[-top:].mean() - start
    if limit <= start or distance <= 0:
        return 1.0
    one = top / len(scores) * (1 + (limit - start) / (top * distance)) ** -top
    return float(1 - (1 - one) ** len(left))


def _gaussian_process(points: Sequence[Params], scores: np.ndarray, left: Sequence[Params], limit: float) -> float:
    """Return the chance by draws of a Gaussian process (Matern 5/2, one length scale) at the points left."""
    if scores.max() > limit or np.ptp(scores) == 0:
        return 1.0
    here, there = (np.array([_in_unit_cube(params) for params in some]) for some in (points, left))
    values, scaled = (scores - scores.mean()) / scores.std(), (limit - scores.mean()) / scores.std()
    fits = [
        _fit(here, values, length, noise) for length in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2) for noise in (0.01, 0.1, 0.3)
    ]
    _, length, noise, variance, root, weights = max(fits, key=lambda fit: fit[0])
    solved = np.linalg.solve(root, _matern(here, there, length))
    covariance = variance * (_matern(there, there, length) - solved.T @ solved + noise * np.eye(len(there)))
    draws = rng_of("draws", len(scores)).standard_normal((400, len(there)))
    found = solved.T @ weights + draws @ np.linalg.cholesky(covariance + 1e-9 * np.eye(len(there))).T
    return float((found.max(axis=1) > scaled).mean())


def _fit(
    points: np.ndarray, values: np.ndarray, length: float, noise: float
) -> tuple[float, float, float, float, np.ndarray, np.ndarray]:
    """Return the log likelihood, its arguments, the variance, and what a prediction needs."""
    root = np.linalg.cholesky(_matern(points, points, length) + noise * np.eye(len(points)))
    weights = np.linalg.solve(root, values)
    variance = float(weights @ weights / len(values))
    likelihood = -len(values) / 2 * math.log(variance) - float(np.log(np.diag(root)).sum())
    return likelihood, length, noise, variance, root, weights


def _matern(some: np.ndarray, others: np.ndarray, length: float) -> np.ndarray:
    ratio = math.sqrt(5) * np.linalg.norm(some[:, None] - others[None], axis=-1) / length
    kernel: np.ndarray = (1 + ratio + ratio**2 / 3) * np.exp(-ratio)
    return kernel


def _in_unit_cube(params: Params) -> list[float]:
    return [place_in(param, params[name]) for name, param in SPACE.items() if not isinstance(param, Choice)]


ESTIMATES: dict[str, Callable[[Sequence[Params], np.ndarray, Sequence[Params], float], float]] = {
    "zerotune": _platform,
    "Laplace alone": _laplace,
    "tail alone": _tail,
    "Gaussian process": _gaussian_process,
}


def looks_of(name: str, budget: int, numbers: range) -> Iterator[Look]:
    """Yield every look at the searches of a kind."""
    build, is_anchored, slowness = SEARCHES[name]
    for data in DATA_SETS:
        for size in TARGETS:
            for number in numbers[: max(1, len(numbers) // slowness)]:
                task = Task(surface(data), size, budget, number, SPACE)
                rule = proposal_of(task.surface, size, number)
                found = run_search(build, replace(anchored(task), first=()) if is_anchored else task, budget)
                yield from _looks(name, task, rule, [point for _, point in found], np.array([one for one, _ in found]))


def _looks(name: str, task: Task, rule: Params, points: list[Params], scores: np.ndarray) -> Iterator[Look]:
    fresh = task.seeds[1:]
    untuned = task.surface.score(rule, task.batch_size, fresh)
    tolerance = (1 - MARGIN) * untuned

    def chosen(number: int) -> float:
        return task.surface.score(points[int(np.argmax(scores[:number]))], task.batch_size, fresh)

    for number in range(task.budget):
        if is_look(number, EVERY, task.budget):
            seen = (points[:number], scores[:number], points[number:], untuned + tolerance)
            yield Look(
                search=name,
                place=(task.surface.name, task.batch_size, task.number, task.budget),
                budget=task.budget,
                number=number,
                chances={estimate: function(*seen) for estimate, function in ESTIMATES.items()},
                beat=bool(scores[number:].max() > untuned + tolerance),
                cost=chosen(task.budget) - max(chosen(number), untuned) > tolerance,
            )


def stop_tables(repeats: int, seed: int) -> float:
    """Print stated and actual chances, and what stops spare and cost; return the least p-value that a level is kept."""
    torch.set_num_threads(1)
    looks = [
        look for name in SEARCHES for budget in BUDGETS for look in looks_of(name, budget, numbers_of(seed, repeats))
    ]
    rows = [
        [f"{estimate}, after {seen}", *(_calibration(looks, estimate, numbers, low) for low in BINS)]
        for estimate in ESTIMATES
        for seen, numbers in SEEN.items()
    ]
    ends = [*BINS[1:], 1.0]
    headings = [f"{100 * low:g} to {100 * high:g}%" for low, high in zip(BINS, ends, strict=True)]
    table(
        "Share of looks in which a trial left beat the rule by more than the margin, of those whose chance was stated "
        "as (number of looks)",
        ["estimate, after trials", *headings],
        rows,
    )
    p_values = []
    rows = []
    for name in SEARCHES:
        for level in LEVELS:
            stopped = {budget: _stops(looks, name, budget, level) for budget in BUDGETS[1:]}
            every = [look for stops, _ in stopped.values() for look in stops]
            p_values.append(float(stats.binom.sf(sum(look.beat for look in every) - 1, len(every), level)))
            rows.append([name, f"{100 * level:g}%", *(_spared(*stops) for stops in stopped.values()), _share(every)])
    table(
        "Trials spared by stopping, of all (share of searches that stop), by trials of the search; and in how many of "
        "the stops the trials left beat the rule, and stopping cost more than the margin",
        ["search", "level", *map(str, BUDGETS[1:]), "beat, cost, of stops"],
        rows,
    )
    return min(p_values)


def _calibration(looks: Sequence[Look], estimate: str, numbers: range, low: float) -> str:
    high = next((end for end in BINS if end > low), math.inf)
    found = [look.beat for look in looks if look.number in numbers and low <= look.chances[estimate] < high]
    return f"{100 * np.mean(found):.0f}% ({len(found):,})" if found else "-"


def _stops(looks: Sequence[Look], name: str, budget: int, level: float) -> tuple[list[Look], int]:
    """Return the first look of every search at which it stops, and the number of searches."""
    by_place: dict[tuple[object, ...], list[Look]] = {}
    for look in looks:
        if (look.search, look.budget) == (name, budget):
            by_place.setdefault(look.place, []).append(look)
    firsts = (next((one for one in each if one.chances["zerotune"] < level), None) for each in by_place.values())
    return [look for look in firsts if look is not None], len(by_place)


def _spared(stops: Sequence[Look], searches: int) -> str:
    spared = sum(1 - look.number / look.budget for look in stops) / searches
    return f"{100 * spared:.1f}% ({100 * len(stops) / searches:.0f}%)"


def _share(stops: Sequence[Look]) -> str:
    return f"{sum(look.beat for look in stops)}, {sum(look.cost for look in stops)}, {len(stops):,}" if stops else "-"
