"""Which search chooses best with 4 to 50 trainings? Designs over the tables of HPOBench, judged on fresh seeds.

A search trains on one seed of the table, a race on two more. The choice is judged by its mean over the two seeds that
no search sees; the regret is how far that lies below the best cell of the table on these seeds. The best cell profits
from the luck of two seeds, by the same amount for every design.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import optuna
import torch

from benchmarks.coverage import table
from benchmarks.replay_surface import (
    B0,
    DATA_SETS,
    LR,
    SPACE,
    TARGETS,
    Params,
    Surface,
    numbers_of,
    rng_of,
    seed_order,
    surface,
)
from zerotune.tuner.search.enumerated import EnumeratedMethod, random_search, sobol_search
from zerotune.tuner.search.method import Method, Outcome, Proposal
from zerotune.tuner.search.optuna_search import OptunaSearch, distribution
from zerotune.tuner.study.search_space import Float, Space

BUDGETS = (4, 8, 12, 16, 25, 50)
BASELINE_TRIALS = 12
"""Trainings that tune the baseline at B0, from which the sqrt rule's proposal comes; they are billed to no design."""
ANCHOR = (0.25, 2.0)
"""Ends of an anchored range, times the proposal."""
PLAIN: Params = {"weight_decay": 1e-4, "depth": 2, "width": 64.0}
"""What a grid over the learning rate alone leaves fixed."""


@dataclass(frozen=True)
class Task:
    """One search: where, with how many trainings, and with which draws."""

    surface: Surface
    batch_size: int
    budget: int
    number: int
    space: Space
    first: tuple[Params, ...] = ()

    @property
    def seeds(self) -> list[int]:
        """The table's seeds: of the search, of two more for races, and the fresh ones."""
        return seed_order(self.surface.num_seeds, self.surface.name, self.batch_size, self.number)

    @property
    def method_seed(self) -> int:
        """Seed of the method's proposals."""
        return int(rng_of("method", self.surface.name, self.batch_size, self.number).integers(2**31))

    def score(self, params: Params, *, seed: int = 0) -> float:
        """Return the score of a training on one of the seeds, by position in `seeds`."""
        return self.surface.score(params, self.batch_size, [self.seeds[seed]])


Design = Callable[[Task], Params]
Build = Callable[[Space, int, int], Method]
"""(space, trials, seed) -> method."""


class GaussianProcess:
    """Optuna's Gaussian process, one proposal after the other; the first 8 are random."""

    def __init__(self, space: Space, *, trials: int, seed: int) -> None:
        self._distributions = {name: distribution(param) for name, param in space.items()}
        self._trials = trials
        sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=8)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._asked: list[optuna.Trial] = []

    def ask(self) -> Proposal | Literal["wait", "done"]:
        """Return the next proposal."""
        if len(self._asked) == self._trials:
            return "done"
        self._asked.append(self._study.ask(self._distributions))
        return Proposal(index=len(self._asked) - 1, params=self._asked[-1].params)

    def start_from(self, params: Params) -> None:
        """Propose these first."""
        self._study.enqueue_trial(dict(params))

    def report(self, index: int, epoch: int, score: float) -> bool:
        """Return True: nothing is pruned."""
        return True

    def tell(self, index: int, outcome: Outcome) -> None:
        """Pass an outcome on."""
        self._study.tell(self._asked[index], outcome.score)


def sobol(space: Space, trials: int, seed: int) -> Method:
    """Return the first points of a scrambled Sobol sequence."""
    return sobol_search(space, trials=trials, seed=seed)


def lr_grid(space: Space, trials: int, seed: int) -> Method:
    """Return a grid over the learning rate alone, both ends included."""
    lr: Any = space["lr"]
    return EnumeratedMethod([{**PLAIN, "lr": float(value)} for value in np.geomspace(lr.low, lr.high, trials)])


def run_search(build: Build, task: Task, trials: int, *, seed: int = 0, repeat: int = 0) -> list[tuple[float, Params]]:
    """Return the scores and points of a search, `task.first` among its trials."""
    found = [(task.score(params, seed=seed), params) for params in task.first[:trials]]
    if trials == len(found):
        return found
    method = build(task.space, trials - len(found), task.method_seed + repeat)
    while isinstance(proposal := method.ask(), Proposal):
        score = task.score(proposal.params, seed=seed)
        found.append((score, proposal.params))
        method.tell(proposal.index, Outcome(score=score, pruned=False, epoch_scores=()))
    return found


def best_of(found: Sequence[tuple[float, Params]]) -> Params:
    """Return the point with the best score, the earliest of equals."""
    return max(found, key=lambda entry: entry[0])[1]


def plain(build: Build) -> Design:
    """Return the design that spends all trainings on a search on one seed."""
    return lambda task: best_of(run_search(build, task, task.budget))


def prefix_of(build: Build, most: int) -> Design:
    """Return the design whose search of `most` trainings is stopped earlier; its proposals do not know when."""
    known: dict[tuple[object, ...], list[tuple[float, Params]]] = {}

    def run(task: Task) -> Params:
        place = (task.surface.name, task.batch_size, task.number, bool(task.first))
        if place not in known:
            known[place] = run_search(build, task, most)
        return best_of(known[place][: task.budget])

    return run


def racing(build: Build) -> Design:
    """Return the design that spends half of the trainings on more seeds of the finalists."""

    def run(task: Task) -> Params:
        found = sorted(run_search(build, task, (task.budget + 1) // 2), key=lambda entry: -entry[0])
        extra = task.budget // 2
        seeds = (1, 2) if extra >= 4 else (1,)
        finalists = found[: max(1, extra // len(seeds))]
        means = [
            (np.mean([score, *(task.score(params, seed=seed) for seed in seeds)]), params)
            for score, params in finalists
        ]
        return best_of([(float(mean), params) for mean, params in means])

    return run


def repeated(build: Build) -> Design:
    """Return the design that halves the trainings into two searches on two seeds, and takes the better choice."""

    def run(task: Task) -> Params:
        half = task.budget // 2
        first = run_search(build, task, task.budget - half)
        return best_of([*first, *run_search(build, replace(task, first=()), half, seed=1, repeat=1)])

    return run


def _random(space: Space, trials: int, seed: int) -> Method:
    return random_search(space, trials=trials, seed=seed)


def _tpe(space: Space, trials: int, seed: int) -> Method:
    return OptunaSearch(space, trials=trials, seed=seed, epochs=1)


def _gp(space: Space, trials: int, seed: int) -> Method:
    return GaussianProcess(space, trials=trials, seed=seed)


DESIGNS: dict[str, tuple[Design, int, tuple[int, ...]]] = {
    "grid of lr alone": (plain(lr_grid), 1, BUDGETS),
    "random": (plain(_random), 1, BUDGETS),
    "Sobol": (plain(sobol), 1, BUDGETS),
    "TPE": (plain(_tpe), 8, BUDGETS),
    "GP": (prefix_of(_gp, 25), 24, (12, 16, 25)),
    "random, racing": (racing(_random), 1, BUDGETS),
    "Sobol, racing": (racing(sobol), 1, BUDGETS),
    "Sobol, repeated": (repeated(sobol), 1, BUDGETS),
    "TPE, repeated": (repeated(_tpe), 8, BUDGETS),
}
"""Design, how many times fewer searches it gets because it is slow, and its budgets (a GP's 25 take 4 s)."""


def proposal_of(data: Surface, batch_size: int, number: int) -> Params:
    """Return the sqrt rule's proposal, from a baseline tuned at B0 on the seed of the search."""
    at_target = Task(data, batch_size, BASELINE_TRIALS, number, SPACE)
    seed = at_target.seeds[0]
    method = random_search(SPACE, trials=BASELINE_TRIALS, seed=at_target.method_seed + 7)
    points = []
    while isinstance(proposal := method.ask(), Proposal):
        points.append((data.score(proposal.params, B0, [seed]), proposal.params))
    tuned = best_of(points)
    lr = min(max(tuned["lr"] * math.sqrt(batch_size / B0), LR.low), LR.high)
    return {**tuned, "lr": lr}


def anchored(task: Task) -> Task:
    """Return the same task with the learning rate near the proposal, which is the first trial."""
    proposal = proposal_of(task.surface, task.batch_size, task.number)
    low, high = (min(max(end * proposal["lr"], LR.low), LR.high) for end in ANCHOR)
    return replace(task, space={**SPACE, "lr": Float(low=low, high=high, scale="log")}, first=(proposal,))


def regret(design: Design, task: Task) -> float:
    """Return the regret of a design's choice on the fresh seeds."""
    fresh = task.seeds[3:]
    return task.surface.best(task.batch_size, fresh) - task.surface.score(design(task), task.batch_size, fresh)


def design_table(repeats: int, seed: int) -> dict[tuple[str, bool], dict[int, list[float]]]:
    """Print the regret of every design and budget; return the regrets by design, whether it is anchored, and budget."""
    torch.set_num_threads(1)  # a GP of 25 points is slower on more
    found: dict[tuple[str, bool], dict[int, list[float]]] = {}
    for name, (design, slowness, budgets) in DESIGNS.items():
        for is_anchored in (False, True):
            regrets = found.setdefault((name, is_anchored), {})
            for budget in budgets:
                tasks = [
                    Task(surface(data), batch_size, budget, number, SPACE)
                    for data in DATA_SETS
                    for batch_size in TARGETS
                    for number in numbers_of(seed, max(1, repeats // slowness))
                ]
                regrets[budget] = [regret(design, anchored(task) if is_anchored else task) for task in tasks]
    rule = [
        surface(data).best(size, fresh) - surface(data).score(proposal_of(surface(data), size, number), size, fresh)
        for data in DATA_SETS
        for size in TARGETS
        for number in numbers_of(seed, repeats)
        for fresh in [seed_order(5, data, size, number)[3:]]
    ]
    rows = [
        [f"{name}{', anchored' if is_anchored else ''}", *(_mean(regrets.get(budget)) for budget in BUDGETS)]
        for (name, is_anchored), regrets in found.items()
    ]
    rows.append([f"sqrt rule, 0 trainings: {_mean(rule)}", *[""] * len(BUDGETS)])
    table(
        "Regret on fresh seeds, points of balanced accuracy (mean over data sets, batch sizes and repeats, with its "
        "standard error), by trainings of the search",
        ["design", *map(str, BUDGETS)],
        rows,
    )
    return found


def _mean(regrets: Sequence[float] | None) -> str:
    if not regrets:
        return "-"
    error = np.std(regrets) / math.sqrt(len(regrets))
    return f"{100 * np.mean(regrets):.2f} ± {100 * error:.2f}"
