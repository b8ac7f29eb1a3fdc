"""A small table of trainings, and configurations to ask it for."""

from dataclasses import replace
from typing import Any

import numpy as np

from zerotune.trainers.spec import OptimizerSpec, ScheduleSpec, TrainConfig
from zerotune.trainers.tabulated.table import Axis, Table

CONFIG = TrainConfig(
    application="small",
    data="small",
    batch_size=16,
    epochs=5,
    schedule=ScheduleSpec(peak_lr=0.01),
    optimizer=OptimizerSpec(name="adam", options={"weight_decay": 1e-4}),
    seed=1,
)


def small_table(**changes: Any) -> Table:
    """Learning rates 0.001, 0.01, 0.1 at batch sizes 16 and 64, seeds 1 and 2; 0.1 at 64 is missing."""
    scores = np.array([[0.5, 0.52], [0.7, 0.74], [0.6, np.inf], [0.4, 0.44], [0.6, 0.66]])
    table = Table(
        name="small",
        axes=(Axis(name="lr", values=(0.001, 0.01, 0.1)), Axis(name="batch_size", values=(16, 64))),
        cells={(0, 0): 0, (1, 0): 1, (2, 0): 2, (0, 1): 3, (1, 1): 4},
        seeds=(1, 2),
        scores=scores,
        chance_score=0.1,
        fixed={"optimizer": "adam", "epochs": 5, "weight_decay": 1e-4},
        seconds=np.array([[10.0, 11.0], [20.0, 21.0], [30.0, 31.0], [40.0, 41.0], [50.0, 51.0]]),
        num_train=100,
    )
    return replace(table, **changes)


def asked(**changes: Any) -> TrainConfig:
    """Return the configuration with other values; `lr` and the schedule's fields go to the schedule."""
    own = {name: changes.pop(name) for name in [*changes] if name in ("warmup_epochs", "decay")}
    schedule = replace(CONFIG.schedule, peak_lr=changes.pop("lr", 0.01), **own)
    return replace(CONFIG, schedule=schedule, **changes)
