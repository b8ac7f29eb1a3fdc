"""Searches that start from a neighbour: the choice of the same arm at the next smaller batch size is tried first.

The repeats of a search follow their own neighbours, so that they stay independent of each other. This module must not
know how methods search.
"""

from collections.abc import Collection, Mapping, Sequence

from ..analysis.selection import best_trial
from ..study.comprehensive import RULE
from ..study.search_space import Space, is_number, nearest_inside
from .cell import Cell, Params


def add_neighbours(cells: Sequence[Cell], spaces: Mapping[str, Space]) -> None:
    """Give searches their neighbour: the same repeat at the next smaller batch size, if there is one.

    Args:
        cells: in ascending order of their batch sizes.
        spaces: the arms that start from a neighbour, each with the ranges of its search.
    """
    last: dict[tuple[str, int], Cell] = {}
    for cell in cells:
        if cell.arm in spaces:
            cell.neighbour, cell.start_space = last.get((cell.arm, cell.repeat)), spaces[cell.arm]
            last[cell.arm, cell.repeat] = cell


def start_from_neighbour(cell: Cell, sign: float, retried: Collection[str]) -> None:
    """Let a search that has proposed nothing yet begin with its neighbour's choice, if it has one and that made one.

    Args:
        cell: the search.
        sign: 1 if higher scores are better, else -1.
        retried: ids of trials that failed and were run again. The start does not rest on them, since it was decided
            before they were.
    """
    neighbour, method = cell.neighbour, cell.method
    if neighbour is None or method is None or cell.is_started:
        return
    cell.is_started = True
    search = (r for r in neighbour.results if r.trial.role != "confirmation" and r.trial.id not in retried)
    best = best_trial(search, higher_is_better=sign > 0, economy=neighbour.economy)
    if best is not None and RULE not in best.trial.params:  # a rule proposes its own at every batch size
        method.start_from(scaled(best.trial.params, cell.batch_size / neighbour.batch_size, cell.start_space))


def scaled(params: Params, factor: float, space: Space) -> Params:
    """Return hyperparameters for another batch size: the learning rate times the square root of the factor.

    Args:
        params: values by name.
        factor: new batch size over the old one, > 0.
        space: ranges; a learning rate that leaves its own becomes the nearest inside.

    >>> from zerotune.tuner.study.search_space import Float
    >>> scaled({"lr": 0.1, "momentum": 0.9}, 4.0, {"lr": Float(low=0.01, high=0.15)})
    {'lr': 0.15, 'momentum': 0.9}
    """
    lr = params.get("lr")
    if not is_number(lr):
        return params
    lr = lr * factor**0.5
    return {**params, "lr": nearest_inside(space["lr"], lr) if "lr" in space else lr}
