"""The Ray driver: Ray Tune keeps one worker per slot alive, which trains one trial or pack after another.

A Tune trial is a worker here, not a trial of the study. A new process for each trial costs seconds (Ray's process,
importing torch, loading data); a worker pays them once. Tune places the workers, watches them and restarts those that
die. The agenda decides what they train (`tuner.execution.ray.dispatcher`).
"""

import gc
import logging
import os
import socket
import time
import uuid
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from .settings import ray  # before Ray itself, which reads its settings on import

# isort: split
from ray import cloudpickle, tune
from ray.exceptions import RayActorError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ....trainers.applications.user_file import ApplicationFile
from ....trainers.distributed.local_workers import WorkerLost
from ....trainers.interrupts import note_interrupts, raise_if_interrupted, waiting_for
from ....trainers.memory import configure_malloc
from ....trainers.packing.benchmark import measure_packs
from ....trainers.spec import Placement
from ...errors import Unreachable
from ...trial import Trial
from ..packing import PackRunner
from ..preflight import find_problem
from ..progress_update import ProgressUpdate
from ..time_limit import end_process_after
from ..trial_runner import DriverAgenda, Execution, PeerWorkers, TrialRunner, load_application
from .attach import client_port, make_inspection, run_tune_locally
from .cluster import Slots, connect
from .dispatcher import Dispatcher
from .health_check import ATTACHED_PATIENCE, LOCAL_PATIENCE, watch_head
from .messages import (
    MAILBOX_LOST,
    PRUNED,
    RENEW,
    STOP,
    UPDATE_SECONDS,
    Assignment,
    BenchmarkResult,
    BenchmarkTask,
    Idle,
    Mailbox,
    ProgressUpdates,
    Ready,
)
from .session_dir import make_session_dir
from .worker_group import WorkerGroup

IDLE_SECONDS = 2.0
"""How long a worker waits for a message before it reports that none came."""


class TuneWorker(tune.Trainable):  # type: ignore[misc]  # ray is not typed for strict checking
    """One slot: train the trials that arrive in the mailbox until told to stop."""

    def setup(self, config: dict[str, Any]) -> None:
        """Set up the worker; called by Tune when the process starts or restarts."""
        configure_malloc()
        self._post = config["post"]
        self._application = config.get("application")
        self._others = WorkerGroup(**config["worker_group"])
        self._mailbox = uuid.uuid4().hex
        inspection = config.get("inspection")
        problem = None if inspection is None else find_problem(inspection)
        self._problem = None if problem is None else f"{socket.gethostname()}: {problem}"
        self._introduced = False
        self._work: _TrialSequence | PackRunner | None = None
        self._asks_after_each_epoch = False

    def step(self) -> dict[str, Any]:
        """Take one turn: read a message or train, and return a message to the driver."""
        if not self._introduced:
            self._introduced = True
            return {"message": Ready(mailbox=self._mailbox, problem=self._problem, place=describe_process())}
        if self._problem is not None:
            time.sleep(IDLE_SECONDS)
            return {"message": Idle()}
        if self._work is None or self._asks_after_each_epoch:
            try:
                letter = ray.get(self._post.take.remote(self._mailbox, IDLE_SECONDS))
            except RayActorError as error:
                raise RuntimeError(MAILBOX_LOST) from error
            if letter is None:
                return {"message": Idle()}
            item = cloudpickle.loads(letter)
            if item == PRUNED:
                if isinstance(self._work, _TrialSequence):
                    self._work.discard()
                self._end_work()
                return {"message": Idle()}
            if item == RENEW:
                raise RuntimeError("a new process follows a failed trial")  # Tune starts it
            if item == STOP:
                return {"message": Idle(), "done": True}
            if isinstance(item, BenchmarkTask):
                return {"message": self._benchmark(item)}
            if isinstance(item, Assignment):
                self._work = self._start(item)
                self._asks_after_each_epoch = item.may_be_pruned
        assert self._work is not None
        updates = self._work.advance(0.0 if self._asks_after_each_epoch else UPDATE_SECONDS)
        if self._work.done:
            self._end_work()
        return {"message": ProgressUpdates(updates)}

    def _end_work(self) -> None:
        self._work = None
        end_process_after(None)

    def _start(self, item: Assignment) -> "_TrialSequence | PackRunner":
        end_process_after(item.time_limit)
        if item.as_pack:
            return PackRunner(item.trials, item.placements, self._application)
        return _TrialSequence(item.trials, item.placements, self._application, self._others)

    def _benchmark(self, item: BenchmarkTask) -> BenchmarkResult:
        end_process_after(item.time_limit)
        try:
            with note_interrupts() as arrived:
                load_application(self._application, item.trial.config)
                return BenchmarkResult(speed=measure_packs(item.trial.config, item.placement))
        except BaseException as error:  # the trial itself will fail in the same way and report it
            raise_if_interrupted(arrived, error)
            return BenchmarkResult(speed=None)
        finally:
            end_process_after(None)


def describe_process() -> str:
    """Describe this process and the file that its errors and log messages go to.

    >>> describe_process().startswith(f"process {os.getpid()} on ")
    True
    """
    place = f"process {os.getpid()} on {socket.gethostname()}"
    with suppress(OSError):  # no Linux
        log = Path("/proc/self/fd/2").readlink()
        place += f", its log is {log}" if log.is_file() else ""
    return place


class _TrialSequence:
    """Trials that are trained one after the other; usually a single one. The arguments are those of `TrialRunner`."""

    def __init__(
        self,
        trials: Sequence[Trial],
        placements: Sequence[Placement],
        application: ApplicationFile | None,
        others: PeerWorkers,
    ) -> None:
        self._lost: str | None = None
        self._left = deque(
            (trial.id, TrialRunner(trial, placement, application, others=others))
            for trial, placement in zip(trials, placements, strict=True)
        )

    @property
    def done(self) -> bool:
        """Whether every trial has ended."""
        return not self._left

    def advance(self, seconds: float) -> dict[str, ProgressUpdate]:
        """Train at least one epoch, and until `seconds` have passed; return an update of every trial trained.

        Raises:
            WorkerLost: the last update reported the loss; Tune restarts all workers of the trial.
        """
        if self._lost is not None:
            raise WorkerLost(self._lost)
        end, updates = time.perf_counter() + seconds, {}
        while self._left:
            trial_id, work = self._left[0]
            updates[trial_id] = work.advance(max(0.0, end - time.perf_counter()))
            self._lost = updates[trial_id].lost
            if updates[trial_id].error is not None:
                self._left.clear()  # the driver gives the others to a process in which nothing has failed
            elif updates[trial_id].done:
                self._left.popleft()
            if time.perf_counter() >= end or self._lost is not None:
                break
        return updates

    def discard(self) -> None:
        """Remove the checkpoint of the current trial."""
        self._left[0][1].discard()


def start_mailbox() -> Any:
    """Start a mailbox on the machine that this program connects through, so that both are lost together or not."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(Mailbox).remote()


class _StopWhenFinished(tune.Stopper):  # type: ignore[misc]  # ray is not typed for strict checking
    """End the run when the study is done, even if a worker still waits for a machine."""

    def __init__(self, dispatch: Dispatcher) -> None:
        self._dispatch = dispatch

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        self._dispatch.tell_silent_workers()
        return self._dispatch.finished


def num_workers(execution: Execution, slots: Slots) -> int:
    """Return how many workers to request: those that fit, or on a growing cluster as many as the study allows."""
    if execution.address is not None and execution.max_concurrent is not None:
        return execution.max_concurrent
    return slots.total


def _watch_head(execution: Execution) -> AbstractContextManager[None]:
    """Watch the head and end the program if it is lost; a Ray client knows the head by its client port."""
    patience = LOCAL_PATIENCE if execution.address is None else ATTACHED_PATIENCE
    head = client_port(execution.address) or ray.get_runtime_context().gcs_address
    return watch_head(head, patience=patience)


def run_ray(agenda: DriverAgenda, execution: Execution) -> None:
    """Run every trial of the agenda on a Ray cluster.

    Args:
        agenda: gives trials and takes results; called from this thread only.
        execution: where trials run.

    Raises:
        Unreachable: the cluster does not answer or was lost. Results told to the agenda are kept. If the head is lost,
            the program ends as by this error (`tuner.execution.ray.health_check`).
        BadInput: no machine could ever run such a trial.
    """
    for name in ("ray.tune", "ray.train", "ray"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    scratch = make_session_dir()  # removed with the cluster's own, or by the next program if this one is killed
    try:
        with connect(execution) as slots, _watch_head(execution), run_tune_locally(execution.address, scratch):
            for note in slots.notes:
                agenda.add_note(note)
            post = start_mailbox()
            dispatch = Dispatcher(agenda, replace(execution, workers_per_machine=slots.per_machine), post)
            try:
                cpus, gpus = execution.cpus_per_trial, execution.gpus_per_trial
                worker_group = {"world_size": execution.workers_per_trial, "cpus": cpus, "gpus": gpus}
                bundles = [{"CPU": cpus, "GPU": gpus}] * execution.workers_per_trial
                # A machine that joins later was not inspected before the first trial.
                inspection = None if execution.address is None else make_inspection(execution)
                application = execution.application
                tune.run(
                    TuneWorker,
                    name="workers",
                    config={
                        "post": post,
                        "application": application,
                        "worker_group": worker_group,
                        "inspection": inspection,
                    },
                    resources_per_trial=tune.PlacementGroupFactory(bundles, strategy="PACK"),
                    num_samples=num_workers(execution, slots),
                    scheduler=dispatch,
                    stop=_StopWhenFinished(dispatch),
                    storage_path=scratch,
                    verbose=0,
                    max_failures=-1,  # the dispatcher ends the run
                    raise_on_failed_trial=False,
                    checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                    _remote=False,  # over ray:// Tune would send itself and a copy of the dispatcher to the cluster
                )
            finally:
                with waiting_for("Ray's workers to stop"):
                    del post
                    dispatch.release()
                    gc.collect()  # Ray ends a program that releases a cluster's objects after the cluster
    except tune.TuneError:
        if dispatch.error is None:
            raise
        raise dispatch.error from None
    except (RayError, ConnectionError) as error:
        reason = str(error).strip().split("\n")[0]
        raise Unreachable(
            f"the Ray cluster was lost while the study ran: {reason}. All results so far are kept; run the study "
            "again to resume it"
        ) from None
    if not dispatch.finished:
        raise Unreachable("the Ray cluster ended before the study did: its workers could not be started")
