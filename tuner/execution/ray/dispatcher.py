"""Dispatch trials to the workers that Ray Tune keeps alive.

`Dispatcher` is a Tune scheduler, so Tune passes it every message of a worker; it answers through the worker's mailbox.
The agenda decides what is trained, and `tuner.execution.batching` which trials go to one worker together.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ray import cloudpickle
from ray.tune.schedulers import FIFOScheduler

from ....trainers.packing.benchmark import PackSpeed
from ...cost import Cost, device_cost
from ...errors import Unreachable
from ...trial import Trial, TrialResult
from ..batching import TrialBatcher
from ..failures import WorkerFailures, find_cause, format_worker_failure, is_external_failure
from ..packing import PackPlanner
from ..progress_update import ProgressUpdate, conclude, failed_result
from ..time_limit import format_out_of_time
from ..trial_runner import DriverAgenda, Execution, remove_checkpoint
from .messages import (
    CONTINUE,
    MAILBOX_LOST,
    PRUNED,
    RENEW,
    STOP,
    Assignment,
    BenchmarkResult,
    BenchmarkTask,
    ProgressUpdates,
    Ready,
)
from .silence import SilenceWatch

MAX_IDLE_FAILURES = 20
"""The study stops when more workers than this die in succession while they hold no trial."""
MAX_START_FAILURES = 3
"""The study stops when this many workers fail to start with an exception and none has ever started."""


@dataclass(kw_only=True)
class _Assigned:
    """Trials assigned to a worker.

    Attributes:
        assignment: all of them.
        trials: those that have not ended, by id.
        since: time of the assignment, by `time.monotonic`.
        reported_seconds: device-seconds of the epochs that the worker has reported since.
        errors: why trials of it failed.
    """

    assignment: Assignment
    trials: dict[str, Trial]
    since: float
    reported_seconds: float = 0.0
    errors: set[str] = field(default_factory=set)


class Dispatcher(FIFOScheduler):  # type: ignore[misc]  # ray is not typed for strict checking
    """Receive the workers' messages and answer through their mailboxes.

    Args:
        agenda: gives trials and takes results.
        execution: where trials run.
        post: handle of the `Mailbox` actor.
    """

    def __init__(self, agenda: DriverAgenda, execution: Execution, post: Any) -> None:
        super().__init__()
        self._agenda = agenda
        self._execution = execution
        self._post = post
        self._mailboxes: dict[str, str] = {}
        packing = execution.packing if execution.workers_per_trial == 1 else "off"
        self._packing = PackPlanner(packing, on_gpu=execution.gpus_per_trial > 0)
        self._batcher = TrialBatcher(agenda, self._packing, execution)
        self._assigned: dict[str, _Assigned] = {}
        self._measuring: dict[str, Trial] = {}
        self._idle: list[str] = []
        self._places: dict[str, str] = {}
        self._silence = SilenceWatch()
        self._renewed: set[str] = set()
        self._known_errors: set[str] = set()
        self._unfinished: dict[str, Cost] = {}
        self._failures = WorkerFailures()
        self._idle_failures = 0
        self._has_started_workers = False
        self._unfit: set[str] = set()
        self.finished = False
        self.error: Exception | None = None

    def __reduce__(self) -> tuple[type[FIFOScheduler], tuple[()]]:
        """Return a plain scheduler: Tune saves its parts to resume a run, but here the journal resumes a study."""
        return FIFOScheduler, ()

    def release(self) -> None:
        """Forget the mailboxes, which end with the cluster."""
        self._post = None

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Process a worker's message; called by Tune."""
        worker, message = trial.trial_id, result["message"]
        self._silence.hear(worker)
        with self._keep_error():
            if isinstance(message, Ready):
                self._on_ready(worker, message)
            elif isinstance(message, BenchmarkResult):
                self._on_benchmark(worker, message.speed)
            elif isinstance(message, ProgressUpdates):
                self._on_updates(worker, message.updates)
            self._dispatch()
        return str(self.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Requeue the trials of a worker that has died; called by Tune, which restarts the worker.

        Raises:
            Unreachable: workers cannot start, keep dying while they hold no trial, or can no longer be sent trials.
        """
        with self._keep_error():
            text = _last_error(trial)
            said = " ".join(text.split())
            if MAILBOX_LOST in said:
                raise Unreachable(
                    "the process that sends trials to the Ray cluster's workers has died: out of memory, or killed "
                    "from outside. All results so far are kept; run the study again to resume it"
                )
            if trial.trial_id in self._renewed:
                self._renewed.remove(trial.trial_id)
            else:
                self._idle_failures = 0 if trial.trial_id in self._assigned else self._idle_failures + 1
                self._check_idle_failures(text)
                self._drop_worker(trial.trial_id, said)
            self._dispatch()

    def _check_idle_failures(self, text: str) -> None:
        """Raise Unreachable if restarting workers is futile, given Ray's text about the last death."""
        cause = find_cause(text)
        if cause and not self._has_started_workers and self._idle_failures >= MAX_START_FAILURES:
            raise Unreachable(
                f"the workers of the Ray cluster cannot start: {cause}. Python on the workers' machines must be able "
                "to import what it imports here: compare the installed packages and PYTHONPATH of both"
            )
        if self._idle_failures > MAX_IDLE_FAILURES:
            reason = cause or " ".join(text.split())[:500] or "nothing"
            raise Unreachable(
                f"{MAX_IDLE_FAILURES} workers of the Ray cluster died one after the other before they got a trial; "
                f"Ray about the last one: {reason}"
            )

    @contextmanager
    def _keep_error(self) -> Iterator[None]:
        """Keep the agenda's exception: Tune passes on only the text of a traceback."""
        try:
            yield
        except Exception as error:
            self.error = error
            raise

    def tell_silent_workers(self) -> None:
        """Add a note on every worker that trains and has not been heard of for long; it is no failure."""
        for worker, seconds in self._silence.find_silent().items():
            names = ", ".join(trial.name for trial in self._assigned[worker].trials.values())
            self._agenda.add_note(
                f"{names}: nothing heard for {seconds / 60:.0f} minutes: a long epoch, or it hangs. It is trained by "
                f"{self._places.get(worker) or 'a worker'}. resources.time_limit in the study ends trials that hang"
            )

    def _on_ready(self, worker: str, message: Ready) -> None:
        self._has_started_workers = True
        self._drop_worker(worker)
        if message.problem is not None:
            self._mailboxes.pop(worker, None)
            self._note_unfit(message.problem)
            return
        self._mailboxes[worker] = message.mailbox
        self._places[worker] = message.place
        self._idle.append(worker)

    def _note_unfit(self, problem: str) -> None:
        """Note once that a machine that joined cannot train this study; the worker waits there without trials."""
        if problem not in self._unfit:
            self._unfit.add(problem)
            self._agenda.add_note(f"A machine that joined gets no trials, because it cannot train them: {problem}")

    def _drop_worker(self, worker: str, said: str = "") -> None:
        """Forget a worker whose process is gone and requeue its trials, except those that have lost too many workers.

        `said` is Ray's text about its death.
        """
        self._silence.end(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        measured = self._measuring.pop(worker, None)
        if measured is not None:
            # The benchmark may have killed the worker: train such trials one at a time.
            self._packing.record_speed(measured, None)
        given = self._assigned.pop(worker, None)
        for trial in given.trials.values() if given else ():
            was_last = self._failures.add(trial.id)
            if given and self._is_out_of_time(given) and not is_external_failure(said):
                self._fail_out_of_time(trial, given)
            elif was_last:
                num_workers = self._execution.workers_per_trial
                self._tell(failed_result(trial, format_worker_failure(said), num_workers=num_workers))
            else:
                self._batcher.requeue(trial)

    def _is_out_of_time(self, given: _Assigned) -> bool:
        """Whether the worker may have ended itself at its only trial's time limit; its clock started after ours."""
        limit = self._execution.time_limit
        is_alone = len(given.assignment.trials) == 1
        return is_alone and limit is not None and time.monotonic() - given.since >= limit

    def _fail_out_of_time(self, trial: Trial, given: _Assigned) -> None:
        """Fail the trial and charge it the device time up to now, also the part that no epoch reported."""
        assert self._execution.time_limit is not None
        num_workers = self._execution.workers_per_trial
        result = failed_result(trial, format_out_of_time(self._execution.time_limit), num_workers=num_workers)
        device_seconds = num_workers * (time.monotonic() - given.since)
        untold = device_cost(max(0.0, device_seconds - given.reported_seconds))
        self._tell(replace(result, cost=result.cost + untold))

    def _tell(self, result: TrialResult) -> None:
        """Tell the agenda a trial's result, including the cost of attempts that lost a worker."""
        lost = self._unfinished.pop(result.trial.id, Cost())
        self._agenda.tell(replace(result, cost=result.cost + lost))

    def _on_benchmark(self, worker: str, speed: PackSpeed | None) -> None:
        trial = self._measuring.pop(worker)
        self._packing.record_speed(trial, speed)
        self._idle.append(worker)
        if speed is not None:
            self._agenda.record_pack_speed(trial, speed)

    def _on_updates(self, worker: str, updates: Mapping[str, ProgressUpdate]) -> None:
        given = self._assigned[worker]
        self._idle_failures = 0
        for trial_id, update in updates.items():
            for epoch in update.new_epochs:
                given.reported_seconds += epoch.device_seconds
                self._failures.record_epoch(trial_id, epoch.epoch)
            if update.lost is not None:  # its worker ends in the next step
                given.reported_seconds += update.unfinished.device_seconds
                self._unfinished[trial_id] = self._unfinished.get(trial_id, Cost()) + update.unfinished
            self._on_update(worker, given.trials, given.trials[trial_id], update)
            if update.error is not None:
                given.errors.add(update.error)
        if given.errors and not given.assignment.as_pack:  # the worker has stopped at the failed one
            for trial in given.trials.values():
                self._batcher.requeue(trial)
            given.trials.clear()
        self._mark_started(given)
        if not given.trials:
            self._silence.end(worker)
            del self._assigned[worker]
            self._idle.append(worker)
            self._renew_after(worker, given.errors)

    def _renew_after(self, worker: str, errors: set[str]) -> None:
        """Have an idle worker start anew in another process after trials that failed, which may have left it broken.

        On CPUs, a failure that has been seen before is a mistake of the application: a study in which every trial fails
        needs no new process each time. After some errors a GPU refuses everything in this process.
        """
        is_new = bool(errors - self._known_errors)
        self._known_errors |= errors
        if errors and (is_new or self._execution.gpus_per_trial > 0):
            self._idle.remove(worker)
            self._send(worker, RENEW)
            del self._mailboxes[worker]
            self._renewed.add(worker)

    def _mark_started(self, given: _Assigned) -> None:
        """Mark the worker's trials that are being trained as started; the others still wait for their turn."""
        trials = list(given.trials.values())
        for trial in trials if given.assignment.as_pack else trials[:1]:
            self._agenda.mark_started(trial)

    def _on_update(self, worker: str, left: dict[str, Trial], trial: Trial, update: ProgressUpdate) -> None:
        for sentence in update.warnings:
            self._agenda.add_warning(trial, sentence)
        if update.done:
            del left[trial.id]
            self._batcher.record_duration(trial, update)
            self._tell(conclude(trial, update))
        elif update.new_epochs and not self._agenda.report(trial, update.new_epochs):
            del left[trial.id]
            self._send(worker, PRUNED)  # the next trial may come late, and the worker's time limit is running
            remove_checkpoint(self._execution.placement(trial))  # the worker may die before it reads its mailbox
            self._tell(conclude(trial, update, pruned=True))
        elif self._agenda.may_prune(trial):
            self._send(worker, CONTINUE)

    def _send(self, worker: str, item: object) -> None:
        self._post.put.remote(self._mailboxes[worker], cloudpickle.dumps(item))

    def _dispatch(self) -> None:
        """Give tasks to idle workers while there are any; stop the workers when nothing can follow."""
        while self._idle and not self.finished and not self._measuring:
            task = self._batcher.next(num_idle=len(self._idle), num_workers=len(self._mailboxes))
            if task == "wait":
                return
            if task == "done":
                self.finished = not self._assigned
                break
            worker = self._idle.pop(0)
            if isinstance(task, BenchmarkTask):
                self._measuring[worker] = task.trial
            else:
                trials = {trial.id: trial for trial in task.trials}
                self._assigned[worker] = _Assigned(assignment=task, trials=trials, since=time.monotonic())
                self._mark_started(self._assigned[worker])
                self._silence.begin(worker)
            self._send(worker, task)
        if self.finished:
            for worker in self._idle:
                self._send(worker, STOP)
            self._idle.clear()


def _last_error(trial: Any) -> str:
    """Return Ray's text about a worker's last death; Tune appends each death to a file.

    Read the file where Tune writes it: `get_error` looks in the place to which it is copied later or never.
    """
    text = ""
    if trial.error_file is not None:
        with suppress(OSError):
            text = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
    return text.rpartition("Failure # ")[2]
