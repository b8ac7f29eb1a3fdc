"""Cost of thousands of trials without their training, and whether a trial costs the same in a larger study.

Campaign, journal, store, answer and report are the real ones. Only the driver is simulated: it answers every
trial at once with a synthetic result of five epochs. Every step runs in its own process, so its peak memory is its own:

    drive      asks and tells all trials: campaign, journal forced to disk, progress lines; nothing is stored
    resume     reads the journal and replays it, as the same command does after a crash
    store      writes all results into MLflow's SQLite file, as the writer's thread does during trainings
    compare    `zerotune compare`: reads the store without epochs, and prints the answer
    report     `zerotune report`: reads the store with epochs, draws all figures and writes the page

    python -m benchmarks.many_trials [--trials 1000,3000,10000] [--repeats 3] [--method optuna]

Growth is the exponent p of seconds ~ N^p between a size and the previous one: 1 if a trial costs the same in a larger
study, 2 if every trial looks at all others.
"""

import json
import math
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import turns
from tests.campaigns import by_lr
from zerotune.trainers.spec import EpochMetrics
from zerotune.tuner.analysis.provenance import collect_provenance
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.cost import Cost, epochs_cost
from zerotune.tuner.run.answer import stored_definition
from zerotune.tuner.run.journal import Journal
from zerotune.tuner.run.options import RunOptions
from zerotune.tuner.run.progress_display import ProgressDisplay
from zerotune.tuner.run.recorder import RecordingAgenda
from zerotune.tuner.run.reuse import ResultReuse
from zerotune.tuner.run.run import open_session
from zerotune.tuner.store import Store
from zerotune.tuner.study import Study, study_from_text
from zerotune.tuner.trial import Trial, TrialResult

MODULE = "benchmarks.many_trials"
EPOCHS = 5
BATCH_SIZES = (128, 256, 512, 1024)
STEPS = ("drive", "resume", "store", "compare", "report")
NOT_SEARCHED = 3 * (1 + 3 * len(BATCH_SIZES))
"""Confirmations of the baseline and of three arms at every batch size, on three seeds."""

STUDY = """
name: many
application: lenet_mnist
data: {{source: mnist5k}}
epochs: {epochs}
batch_sizes: {batch_sizes}
seeds: [1, 2, 3]
reference: tuned
baseline: {{batch_size: 32, lr: 0.02, optimizer: {{name: momentum, momentum: 0.9}}}}
arms:
  - name: tuned
    method: {method}
    trials: {trials}
    space:
      lr: {{low: 0.001, high: 1.0, scale: log}}
      warmup_epochs: {{low: 0, high: 2}}
      decay: {{choices: [constant, poly]}}
  - name: legw
    method: legw
  - name: date
    method: date
    baseline: {{lr: 0.0016}}
"""


def study_of(trials: int, method: str) -> Study:
    """Return a study of about that many trials: a search and two rules at four batch sizes, three seeds."""
    searched = max(1, (trials - NOT_SEARCHED) // len(BATCH_SIZES))
    text = STUDY.format(epochs=EPOCHS, batch_sizes=list(BATCH_SIZES), trials=searched, method=method)
    return study_from_text(text, "many_trials")


def made_up(trial: Trial, number: int) -> TrialResult:
    """Return a result like that of a training of some seconds; every fiftieth trial diverges."""
    noise = random.Random(trial.id)
    diverged = trial.role != "confirmation" and noise.random() < 0.02
    end = 0.1 if diverged else 0.9 + 0.08 * by_lr(trial) + noise.gauss(0, 0.002)
    iterations = -(-3_000 // trial.batch_size)
    epochs = tuple(
        EpochMetrics(
            epoch=epoch,
            lr=trial.config.schedule.peak_lr,
            train_loss=math.nan if diverged else 2.3 / epoch + noise.random() / 10,
            validation_loss=2.3 / epoch,
            validation_score=end - 0.3 * 0.5**epoch * (not diverged),
            iterations=iterations,
            samples=3_000,
            flops=3_000 * 2_500_000,
            device_seconds=0.2 + 0.1 * noise.random(),
            words=iterations * 61_706,
        )
        for epoch in range(1, 2 if diverged else EPOCHS + 1)
    )
    return TrialResult(
        trial=trial,
        status="diverged" if diverged else "finished",
        epochs=epochs,
        validation_score=end,
        test_score=end - 0.001 if trial.role == "confirmation" else None,
        cost=Cost(trials=1, peak_memory_bytes=2**28) + epochs_cost(epochs),
        host="made-up",
        device="made-up",
        finished_at=1_750_000_000.0 + number,
    )


class NoStore:
    """Stand in for the store's writer, so that only the driver's own time is measured."""

    def wait_until_open(self) -> None:
        """Return at once: this store is always open."""

    def submit(self, result: TrialResult) -> None:
        """Discard the result."""


def recorder(study: Study, journal: Journal, lines: Console) -> tuple[Campaign, RecordingAgenda]:
    """Assemble what `tuner.run.run.run_study` does, except the store."""
    campaign = Campaign(study, known=journal.content.results)
    display = ProgressDisplay(lines, metric="accuracy", higher_is_better=True)
    for cell in campaign.cells:
        display.plan(cell.arm, cell.batch_size, cell.num_planned)
    return campaign, RecordingAgenda(campaign, journal, NoStore(), display, ResultReuse(None))


def drive(study: Study, place: RunOptions) -> dict[str, float]:
    """Ask for every trial without a result, and tell one at once."""
    with closing(Journal(place.folder(study))) as journal, (place.folder(study) / "log").open("w") as log:
        open_session(study, journal, collect_provenance())
        _, agenda = recorder(study, journal, Console(file=log))
        number = 0
        while isinstance(trial := agenda.ask(), Trial):
            agenda.tell(made_up(trial, number))
            number += 1
        assert trial == "done"
        return {"trials": len(journal.content.results), "megabytes": journal.path.stat().st_size / 1e6}


def resume(study: Study, place: RunOptions) -> dict[str, float]:
    """Do the same for a complete study."""
    return drive(study, place)


def store(study: Study, place: RunOptions) -> dict[str, float]:
    """Write every result, in the order of completion."""
    with closing(Journal(place.folder(study))) as journal:
        into = Store(place.uri(study), study.name, study.fingerprint, stored_definition(study))
        into.write_sessions([collect_provenance()])
        into.sync(journal.content.results.values())
        into.finish()
    return {"megabytes": (place.root / "mlflow.db").stat().st_size / 1e6}


def command(*arguments: str) -> None:
    """Run one of the program's commands."""
    from zerotune.tuner.cli import app

    app(list(arguments), standalone_mode=False)


def compare(study: Study, place: RunOptions) -> dict[str, float]:
    """Run `zerotune compare`."""
    command("compare", study.name, "--store", str(place.root))
    return {}


def report(study: Study, place: RunOptions) -> dict[str, float]:
    """Run `zerotune report`."""
    file = place.root / "report.html"
    command("report", study.name, "--store", str(place.root), "--to", str(file))
    return {"megabytes": file.stat().st_size / 1e6}


def take_part(step: str, folder: str, trials: int, method: str) -> None:
    """Run one step, in its own process."""
    steps: dict[str, Callable[[Study, RunOptions], dict[str, float]]] = {
        **{"drive": drive, "resume": resume, "store": store},
        **{"compare": compare, "report": report},
    }
    study = study_of(trials, method)
    started, cpu = time.perf_counter(), time.process_time()
    found: dict[str, Any] = dict(steps[step](study, RunOptions(store=Path(folder))))
    found["seconds"] = time.perf_counter() - started
    found["cpu_seconds"] = time.process_time() - cpu
    found["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    turns.tell(found)


def measure(trials: int, method: str) -> dict[str, turns.Figures]:
    """Measure every step of one study, by name."""
    folder = tempfile.mkdtemp(prefix="many-trials-")
    try:
        return {
            step: turns.alone(MODULE, {"step": step, "folder": folder, "trials": trials, "method": method})
            for step in STEPS
        }
    finally:
        shutil.rmtree(folder)


def growth(sizes: list[float], seconds: list[float]) -> str:
    """Return the exponent between the last two sizes; empty for the first size."""
    if len(sizes) < 2:
        return ""
    return f"{math.log(seconds[-1] / seconds[-2]) / math.log(sizes[-1] / sizes[-2]):.2f}"


def main(
    trials: Annotated[str, typer.Option(help="Sizes of study, ascending, by commas.")] = "1000,3000,10000",
    repeats: Annotated[int, typer.Option(help="Studies of every size, of which the median counts.")] = 3,
    method: Annotated[str, typer.Option(help="What searches: random, or optuna.")] = "random",
    contestant: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measure seconds, memory and bytes a trial of campaign, journal, store, compare and report, without training."""
    if contestant is not None:
        take_part(**json.loads(contestant))
        return
    rows: dict[str, list[list[str]]] = {step: [] for step in STEPS}
    seen: dict[str, list[float]] = {step: [] for step in STEPS}
    sizes: list[float] = []
    for size in map(int, trials.split(",")):
        studies = [measure(size, method) for _ in range(repeats)]
        number = turns.middle([study["drive"] for study in studies], "trials")
        sizes.append(number)
        for step in STEPS:
            figures = [study[step] for study in studies]
            seconds = turns.middle(figures, "seconds")
            cpu = turns.middle(figures, "cpu_seconds")
            seen[step].append(cpu)
            size_on_disk = f"{turns.middle(figures, 'megabytes'):.1f}" if "megabytes" in figures[0] else ""
            memory = turns.middle(figures, "memory")
            rows[step].append(
                [
                    *(step, f"{number:,.0f}", f"{seconds:.1f}", f"{cpu:.1f}", f"{1e3 * cpu / number:.2f}"),
                    *(growth(sizes, seen[step]), size_on_disk, f"{memory:.0f}"),
                ]
            )
            turns.console().print(" ".join(rows[step][-1]), style="dim")
    turns.print_table(
        f"{turns.machine()}: medians of {repeats}; {method} search",
        ["step", "trials", "s", "CPU s", "CPU ms a trial", "growth", "MB written", "MB of memory"],
        [row for step in STEPS for row in rows[step]],
    )


if __name__ == "__main__":
    typer.run(main)
