"""Seconds of a whole study, end to end: zerotune against plain Ray Tune and against Optuna's own optimize.

The study is a grid of 32 configurations (8 learning rates x 4 momenta) of LeNet-5 on 3,000 MNIST images that come with
a package: batch size 1,024, ten epochs, validation after each, 30 updates a trial. Every side has the machine's cores,
one per trial. Seconds run from the start of the process until the grid's last result is stored, and until the very last
result is.

    python -m benchmarks.study_throughput [--repeats 5] [--epochs 10]

Peers, in the same run, each in its own process, alternating:
    zerotune        `zerotune run`. It trains 34 times: also a stated baseline and the selected trial on one more seed,
                    and each training evaluates the test images at its end
    tune            Ray Tune's grid search with its MLflow callback, a process a trial (Tune's default)
    tune, reuse     the same with reuse_actors=True
    optuna          GridSampler and study.optimize(n_jobs=CORES) in memory, an MLflow run per trial

The peers train as a user writes it: a DataLoader that shuffles, torch.optim.SGD, loss.item() every step, validation in
batches of 1,000. They read the images once, before the study (Tune's trials get them by `with_parameters`).
"""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import psutil
import typer

from benchmarks import turns
from zerotune.trainers.cores import num_cores

if TYPE_CHECKING:
    from optuna import Trial
    from torch import Tensor

MODULE = "benchmarks.study_throughput"
BATCH_SIZE = 1024
LRS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128)
MOMENTA = (0.0, 0.3, 0.6, 0.8)
"""Low enough that no configuration diverges: zerotune would end such a training early."""
GRID = {"lr": list(LRS), "momentum": list(MOMENTA)}

STUDY = """
name: grid
application: lenet_mnist
data: {{source: mnist5k}}
epochs: {epochs}
batch_sizes: [{batch_size}]
seeds: [1]
reference: grid
baseline: {{batch_size: 1024, lr: 0.02, optimizer: {{name: momentum, momentum: 0.8}}}}
arms:
  - name: grid
    method: grid
    space:
      lr: {{choices: {lrs}}}
      momentum: {{choices: {momenta}}}
"""


def run_zerotune(epochs: int) -> dict[str, float]:
    """Run the whole platform: `zerotune run` as a user calls it; its answer and figures come after the last result."""
    from benchmarks.stopwatch import watching
    from zerotune.tuner.cli import app
    from zerotune.tuner.run.journal import read_journal
    from zerotune.tuner.store import Store

    with tempfile.TemporaryDirectory(prefix="grid-") as folder, watching(Store, "write") as written:
        study, store = Path(folder) / "grid.yaml", Path(folder) / "mlruns"
        lrs, momenta = list(LRS), list(MOMENTA)
        study.write_text(STUDY.format(epochs=epochs, batch_size=BATCH_SIZE, lrs=lrs, momenta=momenta))
        app(["run", str(study), "--store", str(store)], standalone_mode=False)
        results = list(read_journal(store / "grid" / "journal.jsonl").results.values())
    written = written[: len(results)]  # in the journal's order; at the end the store is asked for each once more
    last_of_grid = max(place for place, result in enumerate(results) if result.trial.role == "search")
    return {
        "grid_stored": written[last_of_grid].end,
        "stored": written[-1].end,
        "trainings": len(results),
        "iterations": sum(result.cost.iterations for result in results),
        "best": max(result.validation_score or 0.0 for result in results),
    }


Data = tuple["Tensor", "Tensor", "Tensor", "Tensor"]
"""Training images and labels, validation images and labels."""


def read_images() -> Data:
    """Return the images that zerotune trains on and validates with."""
    from zerotune.trainers.data.dataset import TensorSplit
    from zerotune.trainers.data.mnist5k import load

    data = load(None)
    assert isinstance(data.train, TensorSplit)
    assert isinstance(data.validation, TensorSplit)
    return data.train.inputs, data.train.targets, data.validation.inputs, data.validation.targets


def plain_training(lr: float, momentum: float, epochs: int, data: Data) -> Iterator[dict[str, float]]:
    """Yield the validation accuracy after every epoch of a training as a user writes it."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from benchmarks.plain_models import plain_epoch, plain_lenet

    torch.set_num_threads(1)
    train_images, train_labels, images, labels = data
    loader = DataLoader(TensorDataset(train_images, train_labels), batch_size=BATCH_SIZE, shuffle=True)
    validation = DataLoader(TensorDataset(images, labels), batch_size=1000)
    model = plain_lenet()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    for _ in range(epochs):
        loss = plain_epoch(model, loader, optimizer)
        model.eval()
        correct = 0
        with torch.no_grad():
            for inputs, targets in validation:
                correct += int((model(inputs).argmax(dim=1) == targets).sum())
        yield {"train_loss": loss, "accuracy": correct / len(labels)}


def run_tune(epochs: int, *, reuse: bool) -> dict[str, float]:
    """Run plain Ray Tune."""
    from ray import tune

    from benchmarks.tune_peer import fit

    def trainable(config: dict[str, float], data: Data) -> None:
        for metrics in plain_training(config["lr"], config["momentum"], epochs, data):
            tune.report(metrics)

    space = {name: tune.grid_search(values) for name, values in GRID.items()}
    with_images = tune.with_parameters(trainable, data=read_images())
    done = fit(with_images, space, num_samples=1, reuse_actors=reuse, study="grid")
    return figures(done.ended_at, [metrics["accuracy"] for metrics in done.metrics], epochs)


def run_optuna(epochs: int) -> dict[str, float]:
    """Run Optuna's own loop, one thread per core."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow
    import optuna

    data = read_images()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="optuna-peer-") as folder:
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.set_experiment("grid")

        def objective(trial: "Trial") -> float:
            lr = trial.suggest_categorical("lr", LRS)
            momentum = trial.suggest_categorical("momentum", MOMENTA)
            with mlflow.start_run(run_name=f"trial {trial.number}"):
                mlflow.log_params(trial.params)
                accuracy = 0.0
                for epoch, metrics in enumerate(plain_training(lr, momentum, epochs, data), start=1):
                    mlflow.log_metrics(metrics, step=epoch)
                    accuracy = metrics["accuracy"]
            return accuracy

        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.GridSampler(GRID, seed=0))
        study.optimize(objective, n_trials=len(LRS) * len(MOMENTA), n_jobs=num_cores())
        ended_at = time.time()
    return figures(ended_at, [trial.value or 0.0 for trial in study.trials], epochs)


def figures(stored: float, accuracies: list[float], epochs: int) -> dict[str, float]:
    """Return a peer's figures."""
    updates = epochs * -(-3_000 // BATCH_SIZE)
    best, trainings = max(accuracies), len(accuracies)
    return {
        "grid_stored": stored,
        "stored": stored,
        "trainings": trainings,
        "iterations": updates * trainings,
        "best": best,
    }


PEERS: dict[str, Callable[[int], dict[str, float]]] = {
    "zerotune": run_zerotune,
    "tune": lambda epochs: run_tune(epochs, reuse=False),
    "tune, reuse": lambda epochs: run_tune(epochs, reuse=True),
    "optuna": run_optuna,
}


def measured(peer: str, epochs: int) -> turns.Figures:
    """Measure one turn of a peer, from before its process starts until after it ends."""
    begin = time.time()
    found = turns.alone(MODULE, {"peer": peer, "epochs": epochs})
    seconds = {name: found[of] - found["began"] for name, of in (("grid", "grid_stored"), ("seconds", "stored"))}
    return {**found, **seconds, "to_exit": time.time() - begin}


def main(
    repeats: Annotated[int, typer.Option(help="Studies of every peer, of which the median counts.")] = 5,
    epochs: Annotated[int, typer.Option(help="Epochs of every training.")] = 10,
    peers: Annotated[str, typer.Option(help="Peers, by commas.")] = ",".join(PEERS).replace(
        "tune, reuse", "tune-reuse"
    ),
    contestant: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Time a grid of 32 trainings, from process start to the last result stored, against Ray Tune and Optuna."""
    if contestant is not None:
        asked = json.loads(contestant)
        turns.tell({**PEERS[asked["peer"]](asked["epochs"]), "began": psutil.Process().create_time()})
        return
    chosen = [peer.replace("tune-reuse", "tune, reuse") for peer in peers.split(",")]
    seen = turns.take_turns(repeats, {peer: partial(measured, peer, epochs) for peer in chosen})
    ours = {name: turns.middle(seen[chosen[0]], name) for name in ("grid", "seconds")}
    rows = []
    for peer, found in seen.items():
        rows.append([peer])
        for name, our in ours.items():
            rows[-1] += [f"{turns.middle(found, name):.1f}", f"{turns.middle(found, name) / our:.2f}"]
        rows[-1].append(f"{turns.middle(found, 'to_exit'):.1f}")
        rows[-1] += [f"{turns.middle(found, name):,.0f}" for name in ("trainings", "iterations")]
        rows[-1].append(f"{turns.middle(found, 'best'):.4f}")
    turns.print_table(
        f"{turns.machine()}: medians of {repeats}",
        [
            *("peer", "s to the grid's end", "ratio", "s to the last result", "ratio", "s to exit"),
            *("trainings", "updates", "best validation"),
        ],
        rows,
    )


if __name__ == "__main__":
    typer.run(main)
