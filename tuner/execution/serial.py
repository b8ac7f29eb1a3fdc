"""The serial driver: one trial after the other in this process. For debugging, and as the model of the others."""

from contextlib import closing
from dataclasses import replace

from ...trainers.distributed.local_workers import LocalWorkers
from ...trainers.memory import configure_malloc
from ..cost import Cost
from ..trial import Progress, Trial, TrialResult
from .failures import MAX_DEATHS, Deaths
from .progress_update import conclude, failed
from .trial_runner import Execution, OtherWorkers, RecordingAgenda, Work


def run_serial(agenda: RecordingAgenda, execution: Execution) -> None:
    """Runs everything the agenda asks for.

    Args:
        agenda: gives trials and takes results.
        execution: where they run; `max_concurrent` and `address` mean nothing here.
    """
    configure_malloc()
    execution = replace(execution, workers_per_machine=execution.workers_per_trial)
    with closing(LocalWorkers(execution.workers_per_trial)) as others:
        while (trial := agenda.ask()) != "done":
            if trial == "wait":
                raise RuntimeError("the agenda waits for a trial that no driver is running")
            agenda.begins(trial)
            agenda.tell(_run(trial, agenda, execution, others))


def _run(trial: Trial, agenda: RecordingAgenda, execution: Execution, others: OtherWorkers) -> TrialResult:
    work = Work(trial, execution.placement(trial), execution.application, execution.time_limit, others)
    deaths, lost = Deaths(), Cost()
    while True:
        piece = work.advance(0.0)
        for sentence in piece.warnings:
            agenda.warned(trial, sentence)
        for epoch in piece.new_epochs:
            deaths.got_to(trial.id, epoch.epoch)
        if piece.lost is not None:
            lost += piece.unfinished
            if not deaths.add(trial.id):
                continue
            text = f"{piece.lost}, {MAX_DEATHS} times: out of memory, or killed from outside"
            result = failed(trial, text, num_workers=execution.workers_per_trial)
        elif piece.done:
            result = conclude(trial, piece)
        elif not agenda.report(Progress(trial=trial, new_epochs=piece.new_epochs)):
            work.discard()
            result = conclude(trial, piece, pruned=True)
        else:
            continue
        return replace(result, cost=result.cost + lost)
