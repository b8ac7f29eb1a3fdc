"""The driver of applications that are tables: every trial is looked up in this process, and nothing is trained.

It takes no Ray, no workers, no packs and no checkpoints.
"""

from collections.abc import Callable
from dataclasses import replace

from ...trainers.spec import TrainConfig, TrainResult
from ...trainers.tabulated.table import NotTabulated
from ..trial import TABULATED, Trial, TrialResult
from .progress_update import ProgressUpdate, conclude, failed_result
from .trial_runner import DriverAgenda

LookUp = Callable[[TrainConfig], TrainResult]


def run_replay(agenda: DriverAgenda, look_up: LookUp) -> None:
    """Look up every trial of the agenda; one that the table cannot answer has failed."""
    while (trial := agenda.ask()) != "done":
        if trial == "wait":
            raise RuntimeError("the agenda waits for a trial that no driver is running")
        agenda.mark_started(trial)
        agenda.tell(_run(trial, agenda, look_up))


def _run(trial: Trial, agenda: DriverAgenda, look_up: LookUp) -> TrialResult:
    try:
        training = look_up(trial.config)
    except NotTabulated as error:
        return replace(failed_result(trial, str(error)), device=TABULATED)
    for num, epoch in enumerate(training.epochs[:-1] if agenda.may_prune(trial) else (), start=1):
        if not agenda.report(trial, [epoch]):
            training = replace(
                training, status="running", epochs=training.epochs[:num], validation_score=epoch.validation_score
            )
            break
    result = conclude(trial, ProgressUpdate(training=training, device=TABULATED), pruned=training.status == "running")
    # A table without learning curves has one epoch, the last one.
    return replace(result, cost=replace(result.cost, epochs=training.epochs[-1].epoch))
