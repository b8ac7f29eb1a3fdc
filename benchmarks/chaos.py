"""A study under random faults: killed workers and drivers, Ctrl-C, restarts of MLflow, runs deleted in it.

The study is a grid of LeNet-5 on 3,000 MNIST images that come with a package, recorded on a real MLflow server. It runs
once undisturbed and once with faults. Whenever a driver is gone, the same command is run again, and once more at the
end.

    python -m benchmarks.chaos [--faults 50] [--trials 140] [--epochs 30] [--interval 23] [--seed 0] [--most-times 1.5]

The exit code is 1 unless all of the following hold:

- Every trial has exactly one result and one finished run in MLflow, and none is left running.
- Every score equals that of the undisturbed run to the last digit.
- The ledger's samples and FLOPs are exactly those of the undisturbed run plus the repeated epochs.
- The study takes at most 1.5 times as long.

A shorter study, or more faults a minute, has a higher ratio, since each fault costs a restart.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer

from benchmarks import turns
from benchmarks.mlflow_server import ANSWER_SECONDS, Server
from zerotune.tuner.run.journal import read_journal

STUDY = """
name: chaos
application: lenet_mnist
data: {{source: mnist5k}}
epochs: {epochs}
batch_sizes: [256]
seeds: [1]
reference: grid
baseline: {{batch_size: 128, lr: 0.02, optimizer: {{name: momentum, momentum: 0.9}}}}
arms:
  - name: grid
    method: grid
    space:
      lr: {{low: 0.005, high: 0.05, scale: log, num: {trials}}}
"""
AROUND = 2
"""Trainings beside the grid: the baseline's, and the confirmation of the selected trial."""
RUN = (sys.executable, "-m", "zerotune", "run", "chaos.yaml")


@dataclass
class Driver:
    """`zerotune run`, rerun whenever it has ended."""

    folder: Path
    server: Server
    environment: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None
    exits: list[int] = field(default_factory=list)

    def ensure(self) -> "subprocess.Popen[bytes]":
        """Return the driver's process; start one if none runs."""
        if self.process is None:
            with (self.folder / "driver.log").open("ab") as log:
                self.process = subprocess.Popen(
                    [*RUN, "--tracking-uri", self.server.uri],
                    cwd=self.folder,
                    env=self.environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        return self.process

    def end(self, number: int) -> bool:
        """Send the driver a signal, and wait until it has ended."""
        process = self.ensure()
        process.send_signal(number)
        try:
            self.exits.append(process.wait(timeout=ANSWER_SECONDS))
        except subprocess.TimeoutExpired:
            sys.exit(f"the driver did not end within {ANSWER_SECONDS:.0f} s of signal {number}")
        self.process = None
        return True

    def kill_a_worker(self, chance: random.Random) -> bool:
        """Kill one training process, and return whether there was one. Draw one random number if so."""
        workers = []
        for child in psutil.Process(self.ensure().pid).children(recursive=True):
            with suppress(psutil.Error):
                if child.cmdline() and child.cmdline()[0].startswith("ray::TuneWorker"):
                    workers.append(child)
        if not workers:
            return False
        with suppress(psutil.NoSuchProcess):
            workers[int(chance.random() * len(workers))].kill()
        return True

    def finished(self) -> bool:
        """Whether the driver has ended by itself. Call sys.exit if it failed."""
        if self.process is None or self.process.poll() is None:
            return False
        if self.process.returncode:
            sys.exit(
                f"the driver ended with {self.process.returncode}:\n{(self.folder / 'driver.log').read_text()[-3000:]}"
            )
        return True


@dataclass(frozen=True)
class Outcome:
    """Results of a study."""

    seconds: float
    faults: Counter[str]
    scores: dict[str, float | None]
    statuses: Counter[str]
    runs: Counter[str]
    samples: int
    flops: int
    samples_again: int
    flops_again: int


def run_study(
    folder: Path,
    *,
    trials: int,
    epochs: int,
    faults: int,
    interval: float,
    seed: int,
    say: Callable[[str], None],
) -> Outcome:
    """Run the study to its end, with the given number of faults on the way.

    Args:
        folder: an empty folder.
        trials: points of the grid.
        epochs: epochs of a training.
        faults: number of faults; 0 for none.
        interval: mean seconds between two faults.
        seed: seed of the times and kinds of faults.
        say: receives a line about every fault.
    """
    write_study(folder, trials=trials, epochs=epochs)
    paths = [str(turns.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    server = Server(folder)
    driver = Driver(folder, server, environment)
    done: Counter[str] = Counter()
    chance = random.Random(seed)
    begin = time.monotonic()
    try:
        server.start(wait=True)
        driver.ensure()
        while done.total() < faults and not driver.finished():
            _pause(chance.uniform(0.5, 1.5) * interval, driver)
            if driver.finished():
                break
            kind = chance.choices(("worker", "store", "driver", "interrupt", "deleted"), weights=(5, 3, 1, 1, 1))[0]
            while not _strike(kind, driver, server, chance):  # there is no worker, or no run, yet
                time.sleep(0.1)
                if driver.finished():
                    break
            else:
                done[kind] += 1
                say(f"{time.monotonic() - begin:6.0f} s  fault {done.total()}: {kind}")
            driver.ensure()
        if not server.is_up:
            server.start(wait=True)
        while not driver.finished():
            time.sleep(0.2)
        driver.process = None
        if faults:
            driver.ensure().wait()  # one more run: nothing is left but what the store may lack
            driver.finished()
        seconds = time.monotonic() - begin
        return read_outcome(folder, server.database, seconds, done)
    finally:
        if driver.process is not None and driver.process.poll() is None:
            driver.end(signal.SIGKILL)
        server.kill()


def _pause(seconds: float, driver: Driver) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not driver.finished():
        time.sleep(0.1)


def _strike(kind: str, driver: Driver, server: Server, chance: random.Random) -> bool:
    if kind == "worker":
        return driver.kill_a_worker(chance)
    if kind == "store":
        if server.is_up:
            server.kill()
        else:
            server.start()
        return True
    if kind == "deleted":
        return _delete_a_run(server, chance)
    return driver.end(signal.SIGKILL if kind == "driver" else signal.SIGINT)


def _delete_a_run(server: Server, chance: random.Random) -> bool:
    """Delete a trial's, an arm's or the study's run, as a user does in MLflow's UI; return whether there was one."""
    from mlflow import MlflowClient

    client = MlflowClient(server.database)
    experiment = client.get_experiment_by_name("chaos")
    runs = [] if experiment is None else client.search_runs([experiment.experiment_id], max_results=50_000)
    if runs:
        client.delete_run(runs[int(chance.random() * len(runs))].info.run_id)
    return bool(runs)


def write_study(folder: Path, *, trials: int, epochs: int) -> None:
    """Write the study as `chaos.yaml` into a folder."""
    (folder / "chaos.yaml").write_text(STUDY.format(epochs=epochs, trials=trials), encoding="utf-8")


def read_outcome(folder: Path, database: str, seconds: float, faults: Counter[str]) -> Outcome:
    """Read the results of a study that has ended, from its journal in a folder and from MLflow's database.

    Args:
        folder: where the study ran.
        database: address of the database, `sqlite:///FILE`.
        seconds: how long the study took.
        faults: number of faults by kind.
    """
    from mlflow import MlflowClient

    content = read_journal(folder / "mlruns" / "chaos" / "journal.jsonl")
    results = list(content.results.values())
    client = MlflowClient(database)
    experiment = client.get_experiment_by_name("chaos")
    assert experiment is not None
    stored = [
        r for r in client.search_runs([experiment.experiment_id], max_results=50_000) if "zerotune.trial" in r.data.tags
    ]
    again = [
        epoch
        for result in results
        for epoch in content.epochs[result.trial.id]
        if (epoch.epoch, epoch.device_seconds) not in {(kept.epoch, kept.device_seconds) for kept in result.epochs}
    ]
    return Outcome(
        seconds=seconds,
        faults=faults,
        scores={result.trial.name: result.validation_score for result in results},
        statuses=Counter(result.status for result in results),
        runs=Counter(f"{run.data.tags['zerotune.trial']} {run.info.status}" for run in stored),
        samples=sum(result.cost.samples for result in results),
        flops=sum(result.cost.flops for result in results),
        samples_again=sum(epoch.samples for epoch in again),
        flops_again=sum(epoch.flops for epoch in again),
    )


def problems(calm: Outcome, disturbed: Outcome, *, trials: int, most_times: float | None = None) -> list[str]:
    """Return one sentence per violated condition; empty if all hold.

    Args:
        calm: the undisturbed study.
        disturbed: the study with faults.
        trials: points of the grid.
        most_times: limit of its time relative to the undisturbed study; None for no limit.
    """
    number = trials + AROUND
    times = disturbed.seconds / calm.seconds
    held = {
        f"every trial has one finished result: {dict(disturbed.statuses)}": disturbed.statuses == {"finished": number},
        "every score is the undisturbed one's": disturbed.scores == calm.scores,
        f"MLflow holds {number} runs, each of a trial of its own": len(disturbed.runs)
        == disturbed.runs.total()
        == number,
        "every run is finished": all(run.endswith(" FINISHED") for run in disturbed.runs),
        "samples are the undisturbed ones and those done again": (
            disturbed.samples == calm.samples + disturbed.samples_again
        ),
        "FLOPs are the undisturbed ones and those done again": disturbed.flops == calm.flops + disturbed.flops_again,
        "the undisturbed run did nothing again": calm.samples_again == 0,
        f"it takes at most {most_times} times as long as undisturbed: {times:.2f}": (
            most_times is None or times <= most_times
        ),
    }
    return [sentence for sentence, holds in held.items() if not holds]


def main(
    faults: Annotated[int, typer.Option(help="Faults while the study runs.")] = 50,
    trials: Annotated[int, typer.Option(help="Points of the grid.")] = 140,
    epochs: Annotated[int, typer.Option(help="Epochs of every training.")] = 30,
    interval: Annotated[float, typer.Option(help="Mean seconds between two faults.")] = 23.0,
    seed: Annotated[int, typer.Option(help="Of the moments and kinds of the faults.")] = 0,
    most_times: Annotated[float, typer.Option(help="Most that it may take, times the undisturbed study's time.")] = 1.5,
) -> None:
    """Run a study undisturbed and under faults, and report the results."""
    asked: dict[str, Any] = {"trials": trials, "epochs": epochs, "interval": interval, "seed": seed}
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as calm_folder,
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
    ):
        calm = run_study(Path(calm_folder), faults=0, say=print, **asked)
        print(f"undisturbed: {calm.seconds:.0f} s, {dict(calm.statuses)}", flush=True)
        disturbed = run_study(Path(folder), faults=faults, say=lambda line: print(line, flush=True), **asked)
    rows = [
        ["undisturbed", f"{calm.seconds:.0f}", "1", "0", f"{calm.samples:,}", "0"],
        [
            f"{disturbed.faults.total()} faults",
            f"{disturbed.seconds:.0f}",
            f"{disturbed.seconds / calm.seconds:.2f}",
            json.dumps(disturbed.faults),
            f"{disturbed.samples:,}",
            f"{disturbed.samples_again:,}",
        ],
    ]
    columns = ["study", "s", "ratio", "faults", "samples", "of them again"]
    turns.print_table(f"{turns.machine()}: {trials + AROUND} trainings of {epochs} epochs", columns, rows)
    wrong = problems(calm, disturbed, trials=trials, most_times=most_times)
    if disturbed.faults.total() < faults:
        wrong.append(f"{faults} faults while the study ran: it ended after {disturbed.faults.total()}")
    for sentence in wrong:
        print(f"DOES NOT HOLD: {sentence}")
    if wrong:
        raise typer.Exit(1)
    print("All of it holds: results, scores, runs in MLflow, samples, FLOPs and time.")


if __name__ == "__main__":
    typer.run(main)
