"""The tables of HPOBench as arrays, so that thousands of searches over them take seconds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.tabulated.look_up import LookUp
from zerotune.trainers.tabulated.table import Table
from zerotune.tuner.study.search_space import Float, Int, Space

DATA_SETS = ("australian", "blood_transfusion", "car", "credit_g", "kc1", "phoneme", "segment", "vehicle")
B0 = 10
TARGETS = (25, 64, 256)
LR = Float(low=1e-5, high=1.0, scale="log")
SPACE: Space = {
    "lr": LR,
    "weight_decay": Float(low=1e-8, high=1.0, scale="log"),
    "depth": Int(low=1, high=3),
    "width": Float(low=16.0, high=1024.0, scale="log"),
}
"""What a search ranges over; a width is rounded to the nearest of the table, in the logarithm."""

Params = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Surface:
    """Scores of a table: (weight_decay, batch size, depth, lr, width, seed)."""

    name: str
    table: Table
    scores: np.ndarray

    @property
    def num_seeds(self) -> int:
        """Seeds of the table."""
        return len(self.table.seeds)

    def batch(self, batch_size: int) -> np.ndarray:
        """Return the scores at a batch size: (weight_decay, depth, lr, width, seed)."""
        return self.scores[:, self._values("batch_size").index(batch_size)]

    def score(self, params: Params, batch_size: int, seeds: Sequence[int]) -> float:
        """Return the mean score over seeds (positions, from 0), linear in log lr and log weight_decay."""
        at = self.batch(batch_size)[:, params["depth"] - 1][:, :, self._nearest("width", params["width"])]
        rows, columns = (self._ends(name, params[name]) for name in ("weight_decay", "lr"))
        return sum(w * v * float(at[i, j, seeds].mean()) for i, w in rows for j, v in columns)

    def best(self, batch_size: int, seeds: Sequence[int]) -> float:
        """Return the best mean over seeds of any cell."""
        return float(self.batch(batch_size)[..., seeds].mean(axis=-1).max())

    def has(self, lr: float) -> bool:
        """Whether a learning rate lies within the table's."""
        return self._values("lr")[0] <= lr <= self._values("lr")[-1]

    def _values(self, name: str) -> tuple[float, ...]:
        return next(axis.numbers for axis in self.table.axes if axis.name == name)

    def _nearest(self, name: str, value: float) -> int:
        values = self._values(name)
        return min(range(len(values)), key=lambda i: abs(math.log(values[i] / value)))

    def _ends(self, name: str, value: float) -> list[tuple[int, float]]:
        """Return the two positions around a value and their weights."""
        values = self._values(name)
        place = float(np.interp(math.log(value), np.log(values), range(len(values))))
        low = min(int(place), len(values) - 2)
        return [(low, low + 1 - place), (low + 1, place - low)]


@lru_cache(maxsize=8)
def surface(name: str) -> Surface:
    """Return the surface of one of `DATA_SETS`; its seeds are independent of `order`."""
    look_up = APPLICATIONS[f"hpobench_{name}"].look_up
    assert isinstance(look_up, LookUp)
    table = look_up.table
    scores = np.empty((*(len(axis.values) for axis in table.axes), len(table.seeds)))
    for place, row in table.cells.items():
        scores[place] = table.scores[row]
    return Surface(name, table, scores)


def seed_order(number_of_seeds: int, *place: object) -> list[int]:
    """Return the seeds in an order of its own for every place, whatever was drawn before.

    >>> seed_order(5, "car", 64, 0) == seed_order(5, "car", 64, 0)
    True
    """
    return [int(seed) for seed in rng_of(*place).permutation(number_of_seeds)]


def rng_of(*place: object) -> np.random.Generator:
    """Return a generator of its own for every place, such as a data set, a batch size and a number."""
    return np.random.default_rng([*"/".join(map(str, place)).encode()])


def numbers_of(seed: int, repeats: int) -> range:
    """Return the numbers of repeats, others for every seed."""
    return range(10_000 * seed, 10_000 * seed + repeats)
