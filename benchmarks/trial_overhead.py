"""Seconds a trial beyond training: zerotune against bare Ray Tune with its MLflow callback.

Everything is on: journal, MLflow store, progress lines. The trials train next to nothing (LeNet, one epoch of 3,000
images at batch size 3,000), all with zerotune's trainer, so that the difference is the platform.

    python -m benchmarks.trial_overhead [--trials 64] [--trials 1000] [--repeats 5] [--repeats-slowest 1]

Peers, in the same run, each in its own process, alternating:
    zerotune            `zerotune run`: Ray driver, workers kept alive
    tune, reuse         Tune's function trainable and MLflowLoggerCallback with reuse_actors=True
    tune                the same with a process a trial, Tune's default: the slowest, 3 to 4 s a trial

**Beyond training** is slots x span / trials, less the seconds inside `train`. The span starts when zerotune dispatches
the first trial, or Tune's first training starts, and ends when the last result is in the closed store. The
start-up before it and the answer and figures after it are reported separately. `train` sets up model and data, runs the
epoch and evaluates. The set-up, which a persistent worker keeps in memory, is reported too, as are ratios (peer to
zerotune) with and without it.

A second table shows where zerotune's own time goes, in seconds a trial: of the driver's thread (which Tune's loop
calls), of the store's writer thread, and of the mailbox, whose round trip is timed on its own cluster.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Annotated

import psutil
import typer

from benchmarks import turns
from benchmarks.stopwatch import watching
from zerotune.trainers.cores import num_cores

MODULE = "benchmarks.trial_overhead"
MAILBOX = "mailbox"
STUDY = """
name: overhead
application: lenet_mnist
data: {{source: mnist5k}}
epochs: 1
batch_sizes: [3000]
seeds: [1]
reference: random
baseline: {{batch_size: 3000, lr: 0.01, optimizer: momentum}}
arms:
  - name: random
    method: random
    trials: {trials}
    space: {{lr: {{low: 0.001, high: 0.1, scale: log}}}}
"""


def run_zerotune(trials: int) -> dict[str, float]:
    """Run the whole platform: `zerotune run` as a user calls it."""
    import zerotune.tuner.run.journal
    from zerotune.tuner.campaign.campaign import Campaign
    from zerotune.tuner.cli import app
    from zerotune.tuner.execution.ray.dispatcher import Dispatcher
    from zerotune.tuner.run.journal import read_journal
    from zerotune.tuner.run.progress_display import ProgressDisplay
    from zerotune.tuner.store import Store, Writer

    with tempfile.TemporaryDirectory(prefix="overhead-") as folder, ExitStack() as watches:
        study, store = Path(folder) / "overhead.yaml", Path(folder) / "mlruns"
        study.write_text(STUDY.format(trials=trials - 2))  # plus one baseline and one confirmation run
        watched = {
            "driver's thread": (Dispatcher, "on_trial_result"),
            "  campaign, ask": (Campaign, "ask"),
            "  campaign, tell": (Campaign, "tell"),
            "  journal, result": (zerotune.tuner.run.journal.Journal, "finish"),
            "    of it fsync": (os, "fsync"),
            "  journal, start": (zerotune.tuner.run.journal.Journal, "start"),
            "  progress lines": (ProgressDisplay, "show_result"),
            "writer's thread": (Store, "write"),
            "closing the store": (Writer, "close"),
        }
        found = {name: watches.enter_context(watching(*method)) for name, method in watched.items()}
        app(["run", str(study), "--store", str(store)], standalone_mode=False)
        results = list(read_journal(store / "overhead" / "journal.jsonl").results.values())
    begun, ended = found["  journal, start"][0].begin, found["closing the store"][-1].end
    in_span = {name: [call for call in calls if call.begin < ended] for name, calls in found.items()}
    return {
        "trials": len(results),
        "startup": begun - process_start(),
        "span": ended - begun,
        "answer": time.time() - ended,
        "training": sum(result.cost.device_seconds for result in results),
        "epochs": sum(epoch.device_seconds for result in results for epoch in result.epochs),
        **{f"seconds {name}": sum(call.seconds for call in calls) for name, calls in in_span.items()},
        **{f"cpu {name}": sum(call.cpu_seconds for call in calls) for name, calls in in_span.items()},
    }


def train_once(config: dict[str, float]) -> None:
    """Run Tune's trainable: the training of zerotune's trials."""
    from ray import tune

    from zerotune.trainers.loop import train
    from zerotune.trainers.spec import OptimizerSpec, ScheduleSpec, TrainConfig

    begun, start = time.time(), time.perf_counter()
    result = train(
        TrainConfig(
            application="lenet_mnist",
            data="mnist5k",
            batch_size=3000,
            epochs=1,
            schedule=ScheduleSpec(peak_lr=config["lr"]),
            optimizer=OptimizerSpec(name="momentum"),
            seed=0,
        )
    )
    tune.report(
        {
            "validation_score": result.validation_score,
            "begun": begun,
            "training": time.perf_counter() - start,
            "epochs": result.epochs[0].device_seconds,
        }
    )


def run_tune(trials: int, *, reuse: bool) -> dict[str, float]:
    """Run stock Ray Tune."""
    from ray import tune

    from benchmarks.tune_peer import fit

    space = {"lr": tune.loguniform(0.001, 0.1)}
    done = fit(train_once, space, num_samples=trials, reuse_actors=reuse, study="overhead")
    begun = min(metrics["begun"] for metrics in done.metrics)
    return {
        "trials": len(done.metrics),
        "startup": begun - process_start(),
        "span": done.ended_at - begun,
        "answer": 0.0,
        "training": sum(metrics["training"] for metrics in done.metrics),
        "epochs": sum(metrics["epochs"] for metrics in done.metrics),
    }


def mailbox_round_trip(rounds: int = 200) -> dict[str, float]:
    """Return the median seconds from leaving an item in a mailbox to receiving it."""
    import ray

    from zerotune.tuner.execution.ray.messages import Mailbox

    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    post = ray.remote(num_cpus=0)(Mailbox).remote()
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        post.put.remote("a", "item")
        ray.get(post.take.remote("a", 1.0))
        seconds.append(time.perf_counter() - begin)
    ray.shutdown()
    return {"seconds": median(seconds)}


def process_start() -> float:
    """Return the start of this process in seconds since the epoch."""
    return psutil.Process().create_time()


PEERS: dict[str, Callable[[int], dict[str, float]]] = {
    "zerotune": run_zerotune,
    "tune, reuse": lambda trials: run_tune(trials, reuse=True),
    "tune": lambda trials: run_tune(trials, reuse=False),
}


def a_trial(turn: turns.Figures) -> dict[str, float]:
    """Convert a turn's figures to seconds a trial."""
    trials, slots = turn["trials"], num_cores()
    found = {name: seconds / trials for name, seconds in turn.items() if name.startswith(("seconds", "cpu"))}
    found["slot"] = slots * turn["span"] / trials
    found["training"] = turn["training"] / trials
    found["setup"] = (turn["training"] - turn["epochs"]) / trials
    found["beyond"] = found["slot"] - found["training"]
    found["beyond epochs"] = found["beyond"] + found["setup"]
    return found | {name: turn[name] for name in ("startup", "answer")}


def peers_table(trials: int, figures: dict[str, list[dict[str, float]]]) -> None:
    """Print the cost of a trial with every peer."""
    names = ("slot", "training", "setup", "beyond", "beyond epochs")
    rows = []
    for peer, seen in figures.items():
        row = [f"{1e3 * turns.middle(seen, name):.0f}" for name in names]
        ratios = [turns.middle(seen, name) / turns.middle(figures["zerotune"], name) for name in names[-2:]]
        rows.append([peer, *row, *(f"{ratio:.1f}" for ratio in ratios), str(len(seen))])
        rows[-1] += [f"{turns.middle(seen, name):.1f}" for name in ("startup", "answer")]
    turns.print_table(
        f"{turns.machine()}: {trials:,} trials, medians, milliseconds a trial and slot",
        [
            *("peer", "in all", "training", "setup", "beyond", "with setup"),
            *("ratio", "with setup", "turns", "start s", "answer s"),
        ],
        rows,
    )


def parts_table(seen: list[dict[str, float]], round_trip: float) -> None:
    """Print where zerotune's own time goes."""
    names = [name.removeprefix("seconds ") for name in seen[0] if name.startswith("seconds ")]
    rows = [
        [name, *(f"{1e3 * turns.middle(seen, f'{kind} {name}'):.2f}" for kind in ("seconds", "cpu"))] for name in names
    ]
    rows.append([f"{MAILBOX}, a round trip", f"{1e3 * round_trip:.2f}", ""])
    turns.print_table("zerotune, milliseconds a trial", ["part", "of the clock", "of its thread's CPU"], rows)


def main(
    trials: Annotated[list[int] | None, typer.Option(help="Trials of a study, >= 3; may be given again.")] = None,
    repeats: Annotated[int, typer.Option(help="Turns of every peer, of which the median counts.")] = 5,
    repeats_slowest: Annotated[
        int | None, typer.Option(help="Turns of the peer with a process a trial; 0: none.")
    ] = None,
    contestant: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measure seconds a trial beyond training, with everything on, against Ray Tune with its MLflow callback."""
    if contestant is not None:
        asked = json.loads(contestant)
        turns.tell(mailbox_round_trip() if asked["peer"] == MAILBOX else PEERS[asked["peer"]](asked["trials"]))
        return
    round_trip = float(turns.alone(MODULE, {"peer": MAILBOX})["seconds"])
    for number in trials or [64]:
        figures: dict[str, list[dict[str, float]]] = {}
        for turn in range(repeats):
            for peer in PEERS:
                if peer == "tune" and repeats_slowest is not None and turn >= repeats_slowest:
                    continue
                found = a_trial(turns.alone(MODULE, {"peer": peer, "trials": number}))
                figures.setdefault(peer, []).append(found)
                line = f"  {peer}: {found['slot']:.3f} s a trial and slot, {found['beyond']:.3f} beyond training"
                turns.console().print(line, style="dim")
        peers_table(number, figures)
        parts_table(figures["zerotune"], round_trip)


if __name__ == "__main__":
    typer.run(main)
