"""Trainings of LeNet-5 at B0 and at larger batches, over learning rates and seeds, for `benchmarks.carried`.

    python -m benchmarks.carried_surface FILE [--solver date] [--seeds 6] [--data mnist5k]

Every training is one line of JSON in FILE; those that are there are not made again, so the command can be stopped.
Seeds come one after the other: a file that was stopped holds whole seeds and one in part.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zerotune.trainers.loop import train
from zerotune.trainers.scaling import scale
from zerotune.trainers.spec import Baseline, DecaySpec, OptimizerSpec, Placement, ScheduleSpec, TrainConfig

B0 = 32
TARGETS = (512, 1024)
WARMUP_EPOCHS = 0.25


@dataclass(frozen=True, kw_only=True)
class Solver:
    """A rule, its solver and the learning rates of the baseline's grid."""

    rule: str
    optimizer: OptimizerSpec
    decay: DecaySpec
    lrs: tuple[float, ...]


SOLVERS = {
    "date": Solver(
        rule="date",
        optimizer=OptimizerSpec(name="date", options={"momentum": 0.9}),
        decay=DecaySpec(name="date"),
        lrs=(0.0004, 0.0008, 0.0016, 0.0032, 0.0064),
    ),
    "legw": Solver(
        rule="legw",
        optimizer=OptimizerSpec(name="momentum", options={"momentum": 0.9}),
        decay=DecaySpec(name="poly"),
        lrs=(0.0025, 0.005, 0.01, 0.02, 0.04),
    ),
    "lars": Solver(
        rule="legw",
        optimizer=OptimizerSpec(name="lars"),
        decay=DecaySpec(name="poly"),
        lrs=(0.5, 1.0, 2.0, 4.0, 8.0),
    ),
}


def trainings(solver: Solver, seed: int, data: str, epochs: int) -> Iterator[tuple[dict[str, object], TrainConfig]]:
    """Yield what a seed trains, with its key: batch size, the lr0 that the rule would start from, and seed.

    The smallest learning rate of the grid is trained at B0 alone.
    """
    for batch_size, lrs in (*((size, solver.lrs[1:]) for size in TARGETS), (B0, solver.lrs)):
        for lr in lrs:
            start = ScheduleSpec(peak_lr=lr, warmup_epochs=WARMUP_EPOCHS, decay=solver.decay)
            baseline = Baseline(batch_size=B0, schedule=start, optimizer=solver.optimizer)
            found = scale(solver.rule, baseline, batch_size=batch_size, epochs=epochs)
            config = TrainConfig(
                application="lenet_mnist",
                data=data,
                batch_size=batch_size,
                epochs=epochs,
                schedule=found.schedule,
                optimizer=found.optimizer,
                seed=seed,
            )
            yield {"batch_size": batch_size, "lr0": lr, "seed": seed}, config


def main() -> None:
    """Train what the file lacks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--solver", choices=SOLVERS, default="date")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--data", default="mnist5k")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--folder")
    arguments = parser.parse_args()
    lines = arguments.file.read_text().splitlines() if arguments.file.exists() else []
    known = {json.dumps(json.loads(line)["key"]) for line in lines}
    with arguments.file.open("a") as file:
        for seed in range(arguments.seeds):
            for place, config in trainings(SOLVERS[arguments.solver], seed, arguments.data, arguments.epochs):
                key = {"solver": arguments.solver, **place}
                if json.dumps(key) in known:
                    continue
                result = train(config, Placement(data_folder=arguments.folder))
                record = {
                    "key": key,
                    "status": result.status,
                    "test": result.test_score,
                    "validation": [epoch.validation_score for epoch in result.epochs],
                    "seconds": sum(epoch.device_seconds for epoch in result.epochs),
                }
                file.write(json.dumps(record) + "\n")
                file.flush()


if __name__ == "__main__":
    main()
