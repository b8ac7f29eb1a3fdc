"""Two studies in one store with overlapping configurations, and a fake training for them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.campaigns import result
from tests.synthetic_study import epoch_metrics
from tests.tuner.silent import Silent
from tests.tuner.study.example_study import edited
from zerotune.tuner.analysis.provenance import TRAINED_WITH
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.cost import Cost, epochs_cost
from zerotune.tuner.execution.progress_update import failed_result
from zerotune.tuner.run.journal import Journal, read_journal
from zerotune.tuner.run.recorder import RecordingAgenda
from zerotune.tuner.run.reuse import ResultReuse, ReusableResults
from zerotune.tuner.run.run import open_session
from zerotune.tuner.study import Study
from zerotune.tuner.trial import Trial, TrialResult, TrialStatus

SESSION = dict.fromkeys(TRAINED_WITH, "same")
DEVICE = "Some CPU"
STUDY = """
name: first
application: lenet_mnist
data: {source: mnist5k}
epochs: 2
batch_sizes: [128]
seeds: [1, 2]
reference: tuned
baseline: {batch_size: 32, optimizer: momentum, lr: 0.01}
arms:
  - {name: tuned, method: grid, space: {lr: {choices: [0.01, 0.02, 0.04]}}}
"""
GRID, SEEDS = 3, 2
"""Number of points of the grid, and of confirmation runs of an arm and of the stated baseline."""

SECOND = (("name: first", "name: second"), ("[0.01, 0.02, 0.04]", "[0.02, 0.04, 0.08]"))
"""Edits that give a second study, whose grid shares two points with the first one's."""

PRUNED = ("method: grid,", "method: optuna, pruner: median, trials: 3,")
"""An edit that gives a study whose search may prune its trials."""

Status = Callable[[Trial], TrialStatus]


def study(*edits: tuple[str, str]) -> Study:
    return edited(STUDY, *edits)


def score_of(trial: Trial) -> float:
    """Return a trial's score: a function of the configuration alone, best at a learning rate of 0.02."""
    lr = trial.config.schedule.peak_lr
    return 0.9 - abs(lr - 0.02) - 0.001 * trial.config.seed - 0.0001 * trial.batch_size


def trained(trial: Trial, status: TrialStatus = "finished") -> TrialResult:
    """Return the result of a training that took one second per epoch and half a second of setup."""
    if status == "failed":
        return replace(failed_result(trial, "out of memory"), device=DEVICE)
    score, tested = score_of(trial), trial.role == "confirmation"
    num_epochs = 1 if status == "pruned" else trial.config.epochs
    epochs = tuple(
        epoch_metrics(epoch, score, samples=3000, flops=10**9, device_seconds=1.0) for epoch in range(1, num_epochs + 1)
    )
    return replace(
        result(trial, score, status=status, test_score=score - 0.01 if tested else None),
        epochs=epochs,
        test_other_scores={"top-5": 0.99} if tested else {},
        cost=epochs_cost(epochs) + Cost(trials=1, device_seconds=0.5),
        host="somewhere",
        device=DEVICE,
        finished_at=1000.0,
    )


@dataclass
class Ran:
    """The outcome of a study's run: the trained trials, in order, and the final results."""

    trained: list[Trial] = field(default_factory=list)
    results: dict[str, TrialResult] = field(default_factory=dict)

    def of(self, arm: str, role: str) -> list[TrialResult]:
        return [r for r in self.results.values() if (r.trial.arm, r.trial.role) == (arm, role)]

    def reused(self) -> list[TrialResult]:
        return [result for result in self.results.values() if result.reused_from is not None]

    def found(self) -> dict[str, tuple[Any, ...]]:
        """Return every trial's findings and its cost for a model, except the searcher's seconds."""
        return {
            trial_id: (r.status, r.validation_score, r.test_score, replace(r.cost, searcher_seconds=0.0), r.epochs)
            for trial_id, r in self.results.items()
        }


def run(
    definition: Study,
    store: Path,
    *,
    session: dict[str, str] = SESSION,
    device: str | None = DEVICE,
    workers: int = 1,
    retrain: bool = False,
    status: Status = lambda trial: "finished",
    stop_after: int | None = None,
) -> Ran:
    """Run a study with fake trainings; trials end in the order in which they start."""
    journal, ran = Journal(store / definition.name), Ran()
    running: list[Trial] = []
    open_session(definition, journal, session)
    reusable = None if retrain else ReusableResults(store, definition.name, session, device)
    silent: Any = Silent()
    campaign = Campaign(definition, journal.content.results)
    recorder = RecordingAgenda(campaign, journal, silent, silent, ResultReuse(reusable))
    while stop_after is None or len(ran.trained) < stop_after:
        asked = recorder.ask() if len(running) < workers else "wait"
        if isinstance(asked, Trial):
            ran.trained.append(asked)
            running.append(asked)
        elif running:
            trial = running.pop(0)
            recorder.tell(trained(trial, status(trial)))
        else:
            assert asked == "done"  # never "wait" with nothing to wait for
            break
    journal.close()
    ran.results = read_journal(journal.path).results
    return ran


def journal(store: Path, name: str = "first") -> Path:
    return store / name / "journal.jsonl"
