"""The ledger adds up: trials = arm = study = MLflow = the work done, to the last sample and operation.

One study contains everything that could lose or double a bill. Trials fail, diverge and are pruned. Equal trials reuse
results. A baseline is tuned. A driver is stopped twice, so epochs are repeated, from the start and from a checkpoint.
The work is counted independently, update by update and by hand. MLflow is read with its own client.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

import zerotune.trainers.updates
import zerotune.tuner.run.run
from tests.user_applications import forgotten, write
from zerotune.trainers.loop import Training
from zerotune.trainers.spec import EpochMetrics, Placement
from zerotune.trainers.updates import Updates
from zerotune.tuner.commands.user_application import register_user_application
from zerotune.tuner.cost import Cost
from zerotune.tuner.execution.trial_runner import Execution
from zerotune.tuner.reports.answer import Answer
from zerotune.tuner.run.journal import read_journal
from zerotune.tuner.run.options import RunOptions
from zerotune.tuner.run.recorder import RecordingAgenda
from zerotune.tuner.run.run import run_study
from zerotune.tuner.store import default_tracking_uri
from zerotune.tuner.study import study_from_text
from zerotune.tuner.trial import Trial, TrialResult

DIVERGING, FAILING = 3e38, 0.2
EPOCHS, BATCH_SIZE, B0 = 4, 50, 20
STUDY = f"""
name: everything
application: sides
epochs: {EPOCHS}
batch_sizes: [{BATCH_SIZE}]
seeds: [1, 2]
reference: tuned
baseline: {{batch_size: {B0}, optimizer: momentum, tune: {{method: grid, space: {{lr: {{choices: [0.05, 0.1]}}}}}}}}
arms:
  - {{name: tuned, method: grid, space: {{lr: {{choices: [0.05, {DIVERGING:f}, {FAILING}]}}}}}}
  - {{name: equal, method: random, trials: 3, space: {{lr: {{choices: [0.05, 0.1]}}}}}}
  - name: pruned
    method: optuna
    pruner: median
    parallel: 1
    trials: 8
    space: {{lr: {{low: 0.0001, high: 0.1, scale: log}}}}
  - {{name: sqrt, method: sqrt}}
  - {{name: twin, method: grid, space: {{lr: {{choices: [0.05, {DIVERGING:f}, {FAILING}]}}}}}}
"""
NUM_TRAIN = 180
"""60% of the application's 300 samples."""
FLOPS_PER_SAMPLE = 2 * (2 * 8 * 2)
"""A linear layer from 8 to 2: the product and the gradient of its weights. Inputs need no gradient."""
NUM_PARAMETERS = 8 * 2 + 2
UPDATES_THAT_FAIL_LEAVES = 3
"""Updates that the failing trial completes in its second epoch."""

INTEGERS = ("trials", "epochs", "iterations", "samples", "flops", "words")
STOPS = {("tuned", 0): 2, ("equal", 0): 3}
"""The epoch of a search trial (arm, index) after which the driver is stopped."""
AGAIN = {("tuned", 0): (1, 2), ("equal", 0): (2, 3)}
"""The epochs that are then repeated. The second trial has a checkpoint of its first epoch."""


def samples_of(epoch: int, batch_size: int) -> int:
    """Return the samples of the updates that begin in an epoch.

    At batch size 50, the 720 samples are split into 200, 200, 150 and 170.
    """
    starts = range(0, EPOCHS * NUM_TRAIN, batch_size)
    begun = [start for start in starts if (epoch - 1) * NUM_TRAIN <= start < epoch * NUM_TRAIN]
    return sum(min(batch_size, EPOCHS * NUM_TRAIN - start) for start in begun)


class Observed:
    """Counts the work actually done, where gradients are computed, and makes the failing trial fail."""

    def __init__(self) -> None:
        self.samples = 0
        self.updates = 0
        self.finished_epochs = 0
        self._left: int | None = None

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        real_train, real_gradient = Updates.train, zerotune.trainers.updates.add_gradient

        def train(updates: Updates, epoch: int, *rest: Any) -> float:
            failing = updates.config.schedule.peak_lr == FAILING and epoch == 2
            self._left = UPDATES_THAT_FAIL_LEAVES if failing else None
            loss = real_train(updates, epoch, *rest)
            self.finished_epochs += 1
            return loss

        def add_gradient(*arguments: Any, num_samples: int, **more: Any) -> Any:
            if self._left is not None:
                if self._left == 0:
                    raise MemoryError("no room")
                self._left -= 1
            gradient = real_gradient(*arguments, num_samples=num_samples, **more)
            self.updates, self.samples = self.updates + 1, self.samples + num_samples
            return gradient

        patch.setattr(Updates, "train", train)
        patch.setattr(zerotune.trainers.updates, "add_gradient", add_gradient)


def stop_after(patch: pytest.MonkeyPatch, epochs: dict[tuple[str, int], int]) -> None:
    """Stop the driver, once each, when these search trials (arm, index) have reported this epoch."""
    report = RecordingAgenda.report

    def interrupting(self: RecordingAgenda, trial: Trial, new_epochs: Sequence[EpochMetrics]) -> bool:
        goes_on = report(self, trial, new_epochs)
        if trial.role == "search" and epochs.get((trial.arm, trial.index)) == new_epochs[-1].epoch:
            del epochs[trial.arm, trial.index]
            raise KeyboardInterrupt
        return goes_on

    patch.setattr(RecordingAgenda, "report", interrupting)


def checkpoint_first_epochs_only(patch: pytest.MonkeyPatch) -> None:
    """Let trials of the arm "equal" keep a checkpoint of the first epoch only; later ones are lost with the driver."""
    place, keep = Execution.placement, Training._update_checkpoint

    def placement(self: Execution, trial: Trial) -> Placement:
        return replace(place(self, trial), checkpoint_seconds=0.0 if trial.arm == "equal" else math.inf)

    def keep_checkpoint(self: Training) -> None:
        if self.finished or len(self.result().epochs) == 1:
            keep(self)

    patch.setattr(Execution, "placement", placement)
    patch.setattr(Training, "_update_checkpoint", keep_checkpoint)


@dataclass(frozen=True)
class StudyHistory:
    """The study after all its interruptions."""

    answer: Answer
    journal: Path
    observed: Observed
    starts: Counter[str]
    runs: list[Run]

    def results(self) -> list[TrialResult]:
        return list(read_journal(self.journal).results.values())

    def trained(self) -> list[TrialResult]:
        """Return the results that were not reused."""
        return [result for result in self.results() if result.reused_from is None]

    def trial_runs(self) -> list[Run]:
        return [run for run in self.runs if "zerotune.trial" in run.data.tags]

    def trained_runs(self) -> list[Run]:
        return [run for run in self.trial_runs() if "reused_from" not in run.data.tags]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> StudyHistory:
    folder = tmp_path_factory.mktemp("everything")
    observed, stops = Observed(), dict(STOPS)
    with pytest.MonkeyPatch.context() as patch, forgotten():
        patch.setattr(zerotune.tuner.run.run, "write_report", lambda *_: [])  # figures have their own tests
        patch.chdir(folder)
        write(folder)
        register_user_application("plane.py:sides")
        study, place = study_from_text(STUDY, "everything.yaml"), RunOptions(store=folder / "mlruns", driver="serial")
        checkpoint_first_epochs_only(patch)
        stop_after(patch, stops)
        observed.watch(patch)
        for _ in (1, 2):
            with pytest.raises(KeyboardInterrupt):
                run_study(study, **vars(place))
        answer = run_study(study, **vars(place))
    assert stops == {}
    client = MlflowClient(default_tracking_uri(folder / "mlruns"))
    experiment = client.get_experiment_by_name("everything")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    journal = folder / "mlruns" / "everything" / "journal.jsonl"
    starts = Counter(read_journal(journal).started)
    return StudyHistory(answer, journal, observed, starts, list(runs))


# -- a study with everything -------------------------------------------------------------------------------------------


def test_the_study_had_everything_that_could_lose_or_double_a_bill(ran: StudyHistory) -> None:
    statuses = Counter((result.trial.arm, result.status) for result in ran.results())
    assert statuses[("tuned", "failed")] == 1
    assert statuses[("tuned", "diverged")] == 1
    assert statuses[("pruned", "pruned")] >= 1
    equal = [result.trial.config for result in ran.results() if result.trial.arm == "equal"]
    assert len({str(config) for config in equal}) < len(equal) == 5  # three trials with two values, and two seeds
    twins = Counter((r.status, r.reused_from is not None) for r in ran.results() if r.trial.arm == "twin")
    assert twins[("diverged", True)] == twins[("failed", False)] == 1  # failed trials are trained again
    assert len(ran.trained()) == len(ran.starts) < len(ran.results())
    assert sorted(ran.starts.values())[-3:] == [1, 2, 2]


def test_the_ledger_bills_the_work_that_was_done(ran: StudyHistory) -> None:
    ledger = ran.answer.comparison.ledger
    spent = ledger.total
    assert (spent.trials, ledger.reused.trials) == (len(ran.starts), len(ran.results()) - len(ran.starts))
    done = (ran.observed.finished_epochs, ran.observed.updates, ran.observed.samples)
    assert (spent.epochs, spent.iterations, spent.samples) == done
    assert spent.flops == FLOPS_PER_SAMPLE * ran.observed.samples
    assert spent.words == NUM_PARAMETERS * ran.observed.updates


def test_every_trial_is_billed_what_its_history_says(ran: StudyHistory) -> None:
    """Count epochs by hand: those kept, those repeated, and the updates done in an epoch that failed."""
    for result in ran.results():
        trial, cost = result.trial, result.cost
        kept = {"finished": EPOCHS, "diverged": 1, "failed": 1, "pruned": len(result.epochs)}[result.status]
        again = AGAIN.get((trial.arm, trial.index), ()) if trial.role == "search" else ()
        broken_off = UPDATES_THAT_FAIL_LEAVES * BATCH_SIZE if result.status == "failed" else 0
        assert [epoch.epoch for epoch in result.epochs] == list(range(1, kept + 1)), trial.name
        assert (cost.trials, cost.epochs) == (1, kept + len(again)), trial.name
        samples = [samples_of(epoch, trial.batch_size) for epoch in (*range(1, kept + 1), *again)]
        assert cost.samples == sum(samples) + broken_off, trial.name
        assert cost.flops == cost.samples * FLOPS_PER_SAMPLE, trial.name
        assert cost.words == cost.iterations * NUM_PARAMETERS, trial.name
        if result.status == "finished" and not again:
            assert cost.iterations == math.ceil(EPOCHS * NUM_TRAIN / trial.batch_size), trial.name
        assert cost.device_seconds > 0, trial.name


def test_a_trial_taken_up_from_a_checkpoint_keeps_its_first_epoch_and_pays_for_two_more(ran: StudyHistory) -> None:
    (resumed,) = [r for r in ran.results() if (r.trial.arm, r.trial.role, r.trial.index) == ("equal", "search", 0)]
    reported = read_journal(ran.journal).epochs[resumed.trial.id]
    assert [epoch.epoch for epoch in reported] == [1, 2, 3, 2, 3]  # the last epoch is in the result
    assert resumed.epochs[:3] == (reported[0], *reported[3:])
    assert resumed.cost.samples == EPOCHS * NUM_TRAIN + samples_of(2, BATCH_SIZE) + samples_of(3, BATCH_SIZE)


def test_trials_arms_study_and_mlflow_agree_to_the_last_unit(ran: StudyHistory) -> None:
    ledger = ran.answer.comparison.ledger
    by_arm: dict[tuple[str, int], list[Cost]] = defaultdict(list)
    for result in ran.results():
        by_arm[result.trial.arm, result.trial.batch_size].append(result.spent_cost)
    assert (
        ledger.arms().keys()
        == by_arm.keys()
        == {
            ("baseline", B0),
            *((arm, BATCH_SIZE) for arm in ("tuned", "equal", "pruned", "sqrt", "twin")),
        }
    )
    for name in INTEGERS:
        trials = sum(getattr(result.cost, name) for result in ran.trained())
        arms = {key: sum(getattr(cost, name) for cost in costs) for key, costs in by_arm.items()}
        lines = sum(getattr(line.cost, name) for line in ledger.lines)
        stored = sum(run.data.metrics[f"cost/{name}"] for run in ran.trained_runs())
        assert trials == sum(arms.values()) == lines == getattr(ledger.total, name) == stored, name
        assert arms == {key: getattr(cost, name) for key, cost in ledger.arms().items()}, name
    for name in ("device_seconds", "searcher_seconds", "modelled_joules"):
        trials = math.fsum(getattr(result.cost, name) for result in ran.results())
        stored = math.fsum(run.data.metrics[f"cost/{name}"] for run in ran.trial_runs())
        assert trials == stored, name
        worth = getattr(ledger.total, name) + getattr(ledger.reused, name)
        assert worth == pytest.approx(trials, rel=1e-12), name


def test_an_arms_run_in_mlflow_holds_the_sum_over_its_trials_runs(ran: StudyHistory) -> None:
    arms = {run.info.run_id: run for run in ran.runs if run.data.tags.get("role") == "arm"}
    children: dict[str, list[Run]] = defaultdict(list)
    for run in ran.trained_runs():
        children[run.data.tags["mlflow.parentRunId"]].append(run)
    assert arms.keys() == children.keys()
    for run_id, arm in arms.items():
        for name in INTEGERS:
            below = sum(run.data.metrics[f"cost/{name}"] for run in children[run_id])
            assert arm.data.metrics[f"spent/{name}"] == below, (arm.info.run_name, name)


def test_the_epochs_in_mlflow_are_those_the_trials_kept(ran: StudyHistory) -> None:
    """Repeated and failed epochs are in a trial's cost but not in its curves."""
    client = MlflowClient(default_tracking_uri(ran.journal.parents[1]))
    samples = words = 0.0
    for run in ran.trained_runs():
        samples += sum(point.value for point in client.get_metric_history(run.info.run_id, "epoch/samples"))
        words += sum(point.value for point in client.get_metric_history(run.info.run_id, "epoch/words"))
    again = sum(samples_of(epoch, BATCH_SIZE) for epochs in AGAIN.values() for epoch in epochs)
    num_failed = sum(result.status == "failed" for result in ran.results())
    lost = again + num_failed * UPDATES_THAT_FAIL_LEAVES * BATCH_SIZE
    assert samples == ran.observed.samples - lost
    kept = [epoch for result in ran.trained() for epoch in result.epochs]
    assert words == NUM_PARAMETERS * sum(epoch.iterations for epoch in kept)


def test_every_proposal_of_a_search_is_billed_the_searchers_time(ran: StudyHistory) -> None:
    assert all((result.cost.searcher_seconds > 0) == (result.trial.role != "confirmation") for result in ran.results())


def test_the_wall_clock_of_one_trial_after_another_is_the_device_time(ran: StudyHistory) -> None:
    """Spans overlap by at most what stopped trials lost. End times are known to a microsecond."""
    ledger = ran.answer.comparison.ledger
    lost = sum(r.cost.device_seconds - sum(e.device_seconds for e in r.epochs) for r in ran.trained())
    assert ledger.total.device_seconds - lost - 1e-4 <= ledger.wall_seconds <= ledger.total.device_seconds + 1e-4
    assert max(line.wall_seconds for line in ledger.lines) <= ledger.wall_seconds
