"""`comprehensive` against its peers on the tables of HPOBench: the regret of their choices on fresh seeds.

The tables know Adam alone, so `comprehensive` has one solver here, and one rule: the sqrt rule's proposal, from a
baseline that is tuned at B0 and billed to no search. Every peer is asked twice: over the table's whole range of
learning rates, and "anchored", which is near that proposal and with it as the first trial. The searches are the
product's own classes. How regret is measured: `benchmarks.replay_designs`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

import numpy as np
import torch
from scipy import stats

from benchmarks.coverage import table
from benchmarks.replay_designs import (
    Design,
    Task,
    anchored,
    best_of,
    lr_grid,
    plain,
    proposal_of,
    regret,
    sobol,
)
from benchmarks.replay_surface import DATA_SETS, LR, SPACE, TARGETS, Params, numbers_of, surface
from zerotune.tuner.search.comprehensive import Comprehensive
from zerotune.tuner.search.enumerated import random_search
from zerotune.tuner.search.method import Method, Outcome, Proposal
from zerotune.tuner.search.optuna_search import OptunaSearch
from zerotune.tuner.study.comprehensive import OPTIMIZER, OWN_RANGE, RULE
from zerotune.tuner.study.fields import Sampler
from zerotune.tuner.study.search_space import Float, Space

BUDGETS = (8, 12, 16, 25, 50)
SOLVER = "adam"
SEARCH_SEEDS = 3
"""Seeds of the table that a search may see; a race that asks for more sees them again."""

Regrets = Mapping[int, Mapping[tuple[str, int, int], float]]
"""Regret by budget and task: data set, batch size and number."""


def comprehensive(task: Task) -> Params:
    """Return the choice of the product's search: the best mean over the most seeds."""
    lr = proposal_of(task.surface, task.batch_size, task.number)["lr"]
    low, high = (min(max(end * lr, LR.low), LR.high) for end in OWN_RANGE)
    space: Space = {**SPACE, "lr": Float(low=low, high=high, scale="log")}
    method = Comprehensive({SOLVER: space}, [("sqrt", SOLVER)], trials=task.budget, seed=task.method_seed)
    return chosen(run_repeating(method, task))


def run_repeating(method: Method, task: Task) -> list[tuple[float, Params]]:
    """Return score and point of every trial of a search that repeats points on further seeds."""
    (rule,) = anchored(task).first
    found = []
    while isinstance(proposal := method.ask(), Proposal):
        params = rule if RULE in proposal.params else _without_solver(proposal.params)
        score = task.score(params, seed=proposal.repeat % SEARCH_SEEDS)
        found.append((score, params))
        method.tell(proposal.index, Outcome(score=score, pruned=False, epoch_scores=()))
    return found


def chosen(found: Sequence[tuple[float, Params]]) -> Params:
    """Return the point with the best mean among those with the most scores, the earliest of equals.

    >>> chosen([(0.9, {"lr": 1.0}), (0.8, {"lr": 2.0}), (0.6, {"lr": 2.0})])
    {'lr': 2.0}
    """
    scores: dict[tuple[tuple[str, object], ...], list[float]] = {}
    for score, params in found:
        scores.setdefault(tuple(params.items()), []).append(score)
    most = max(map(len, scores.values()))
    return best_of([(fmean(each), dict(params)) for params, each in scores.items() if len(each) == most])


def _without_solver(params: Params) -> Params:
    return {name: value for name, value in params.items() if name != OPTIMIZER}


def _random(space: Space, trials: int, seed: int) -> Method:
    return random_search(space, trials=trials, seed=seed)


def _optuna(sampler: Sampler) -> Callable[[Space, int, int], Method]:
    return lambda space, trials, seed: OptunaSearch(space, sampler=sampler, trials=trials, seed=seed, epochs=1)


def near_proposal(design: Design) -> Design:
    """Return a design in the anchored range, with the proposal as its first trial."""
    return lambda task: design(anchored(task))


PEERS: dict[str, tuple[Design, int]] = {
    "grid": (plain(lr_grid), 1),
    "random": (plain(_random), 1),
    "sobol": (plain(sobol), 1),
    "tpe": (plain(_optuna("tpe")), 6),
    "gp": (plain(_optuna("gp")), 24),
}
"""Design, and how many times fewer searches it gets because it is slow."""
COMPREHENSIVE_SLOWNESS = 3


def regrets_of(design: Design, repeats: int, seed: int, budgets: Sequence[int] = BUDGETS) -> Regrets:
    """Return the regrets of a design on every task."""
    found: dict[int, dict[tuple[str, int, int], float]] = {}
    for budget in budgets:
        found[budget] = {}
        for data in DATA_SETS:
            for batch_size in TARGETS:
                for number in numbers_of(seed, repeats):
                    task = Task(surface(data), batch_size, budget, number, SPACE)
                    found[budget][data, batch_size, number] = regret(design, task)
    return found


def p_worse(ours: Regrets, peers: Regrets, budget: int) -> tuple[float, float]:
    """Return by how much more regret we have on the tasks of both, and the p-value of a paired t test of that."""
    shared = [place for place in ours[budget] if place in peers[budget]]
    differences = [ours[budget][place] - peers[budget][place] for place in shared]
    if len(shared) < 2 or np.std(differences) == 0:
        return fmean(differences), 1.0
    return fmean(differences), float(stats.ttest_1samp(differences, 0.0, alternative="greater").pvalue)


def table_regret(
    repeats: int, seed: int, budgets: Sequence[int] = BUDGETS, peers: Sequence[str] = tuple(PEERS)
) -> dict[tuple[str, int], float]:
    """Print the regrets; return by peer and budget the p-value that `comprehensive` has more than the peer."""
    torch.set_num_threads(1)  # the Gaussian process is slower on more
    ours = regrets_of(comprehensive, max(1, repeats // COMPREHENSIVE_SLOWNESS), seed, budgets)
    rows, p_values = [["**comprehensive**", *(_mean([*ours[budget].values()]) for budget in budgets)]], {}
    for name in peers:
        design, slowness = PEERS[name]
        for label, searched in ((f"{name}, wide", design), (f"{name}, anchored", near_proposal(design))):
            theirs = regrets_of(searched, max(1, repeats // slowness), seed, budgets)
            cells = []
            for budget in budgets:
                difference, p_values[label, budget] = p_worse(ours, theirs, budget)
                cells.append(f"{_mean([*theirs[budget].values()])} ({-100 * difference:+.2f})")
            rows.append([label, *cells])
    table(
        "Regret on fresh seeds, points of balanced accuracy: mean over data sets, batch sizes and repeats with its "
        "standard error, by trainings of the search; in brackets what the peer has more than comprehensive where both "
        "searched the same tasks",
        ["search", *map(str, budgets)],
        rows,
    )
    return p_values


def _mean(regrets: Sequence[float]) -> str:
    error = np.std(regrets) / math.sqrt(len(regrets))
    return f"{100 * fmean(regrets):.2f} ± {100 * error:.2f}"
