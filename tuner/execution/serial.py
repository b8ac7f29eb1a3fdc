"""The serial driver: one trial after another in this process, for debugging and as reference for the other drivers."""

from contextlib import closing
from dataclasses import replace

from ...trainers.distributed.local_workers import LocalWorkers
from ...trainers.memory import configure_malloc
from ..cost import Cost
from ..trial import Trial, TrialResult
from .failures import MAX_WORKER_FAILURES, WorkerFailures
from .progress_update import conclude, failed_result
from .trial_runner import DriverAgenda, Execution, PeerWorkers, TrialRunner


def run_serial(agenda: DriverAgenda, execution: Execution) -> None:
    """Run every trial of the agenda; the execution's `max_concurrent` and `address` have no effect."""
    configure_malloc()
    execution = replace(execution, workers_per_machine=execution.workers_per_trial)
    with closing(LocalWorkers(execution.workers_per_trial)) as others:
        while (trial := agenda.ask()) != "done":
            if trial == "wait":
                raise RuntimeError("the agenda waits for a trial that no driver is running")
            agenda.mark_started(trial)
            agenda.tell(_run(trial, agenda, execution, others))


def _run(trial: Trial, agenda: DriverAgenda, execution: Execution, others: PeerWorkers) -> TrialResult:
    work = TrialRunner(trial, execution.placement(trial), execution.application, execution.time_limit, others)
    failures, lost = WorkerFailures(), Cost()
    while True:
        update = work.advance(0.0)
        for sentence in update.warnings:
            agenda.add_warning(trial, sentence)
        for epoch in update.new_epochs:
            failures.record_epoch(trial.id, epoch.epoch)
        if update.lost is not None:
            lost += update.unfinished
            if not failures.add(trial.id):
                continue
            text = f"{update.lost}, {MAX_WORKER_FAILURES} times: out of memory, or killed from outside"
            result = failed_result(trial, text, num_workers=execution.workers_per_trial)
        elif update.done:
            result = conclude(trial, update)
        elif not agenda.report(trial, update.new_epochs):
            work.discard()
            result = conclude(trial, update, pruned=True)
        else:
            continue
        return replace(result, cost=result.cost + lost)
