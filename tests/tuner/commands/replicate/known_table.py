"""A table whose truth is known: the best learning rate grows with the square root of the batch size."""

import math

import numpy as np

from zerotune.trainers.applications import APPLICATIONS, Application
from zerotune.trainers.applications.tabulated import tabulated_application
from zerotune.trainers.tabulated.table import Axis, Table
from zerotune.tuner.study import Study, study_from_text

LRS = tuple(0.001 * 2.0**step for step in range(9))
BATCH_SIZES = (16, 64)
SEEDS = tuple(range(1, 13))
NOISE = 0.004

STUDY = """
name: known
application: known_table
epochs: 5
batch_sizes: [64]
seeds: [1, 2, 3, 4, 5]
margin: 0.99
reference: tuned
baseline: {batch_size: 16, lr: 0.016, optimizer: momentum}
arms:
  - {name: tuned, method: grid, space: {lr: {choices: [0.008, 0.016, 0.032, 0.064]}}}
  - {name: sqrt, method: sqrt}
  - {name: constant, method: constant}
"""


def true_score(lr: float, batch_size: int) -> float:
    """0.95 at the best learning rate, 0.016 at 16, and 0.03 less for every factor of two beside it."""
    return 0.95 - 0.03 * abs(math.log2(lr / (0.016 * math.sqrt(batch_size / 16))))


def known_table() -> Table:
    """A table of 9 learning rates, 2 batch sizes and 12 seeds, with independent noise."""
    places = [(i, j) for i in range(len(LRS)) for j in range(len(BATCH_SIZES))]
    noise = NOISE * np.random.default_rng(0).normal(size=(len(places), len(SEEDS)))
    true = np.array([true_score(LRS[i], BATCH_SIZES[j]) for i, j in places])
    return Table(
        name="known",
        axes=(Axis(name="lr", values=LRS), Axis(name="batch_size", values=BATCH_SIZES)),
        cells={place: row for row, place in enumerate(places)},
        seeds=SEEDS,
        scores=true[:, None] + noise,
        chance_score=0.1,
        fixed={"optimizer": "momentum", "epochs": 5},
        seconds=np.full(noise.shape, 2.0),
    )


KNOWN: Application = tabulated_application(
    name="known_table", load=known_table, metric="accuracy", higher_is_better=True, chance_score=0.1, epochs=5
)


def known_study(text: str = STUDY) -> Study:
    """Return the study; `KNOWN` must be registered as "known_table"."""
    assert APPLICATIONS["known_table"] is KNOWN
    return study_from_text(text, "known.yaml")
