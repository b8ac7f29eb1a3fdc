"""The serial driver: one trial after the other in this process. For debugging, and as the model of the others."""

from trainers.memory import keep_freed_memory
from tuner.drivers.work import Execution, RecordingAgenda, Work, conclude
from tuner.trial import Progress, Trial, TrialResult


def run_serial(agenda: RecordingAgenda, execution: Execution) -> None:
    """Runs everything the agenda asks for.

    Args:
        agenda: gives trials and takes results.
        execution: where they run; `max_concurrent` and `address` mean nothing here.
    """
    keep_freed_memory()
    while (trial := agenda.ask()) != "done":
        if trial == "wait":
            raise RuntimeError("the agenda waits for a trial that no driver is running")
        agenda.tell(_run(trial, agenda, execution))


def _run(trial: Trial, agenda: RecordingAgenda, execution: Execution) -> TrialResult:
    work = Work(trial, execution.placement(trial), execution.application, execution.time_limit)
    while True:
        piece = work.advance(0.0)
        for sentence in piece.warnings:
            agenda.warned(trial, sentence)
        if piece.done:
            return conclude(trial, piece)
        if not agenda.report(Progress(trial=trial, new_epochs=piece.new_epochs)):
            work.discard()
            return conclude(trial, piece, pruned=True)
