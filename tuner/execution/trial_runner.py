"""Run one trial step by step. Every driver uses this module, wherever the trial runs."""

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol

from ...trainers.applications.registry import find_application, register_application
from ...trainers.applications.user_file import ApplicationFile
from ...trainers.cores import num_cores
from ...trainers.distributed.data_parallel import SINGLE_PROCESS, ProcessGroup
from ...trainers.distributed.local_workers import WorkerLost
from ...trainers.flops_and_memory import device_model
from ...trainers.interrupts import note_interrupts, raise_if_interrupted
from ...trainers.loop import Training
from ...trainers.packing.benchmark import PackSpeed
from ...trainers.process_state import ProcessState
from ...trainers.spec import EpochMetrics, Placement, TrainConfig
from ..cost import Cost, device_cost
from ..trial import Agenda, Trial
from .failures import describe_error
from .preflight import Workload
from .progress_update import ProgressUpdate
from .time_limit import OutOfTime, format_out_of_time, raise_after

PackSetting = Literal["auto", "off"] | int


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Where and how trials run. Nothing here changes their scores.

    Attributes:
        cpus_per_trial: CPU cores, and torch threads, for each worker of a trial, >= 1.
        gpus_per_trial: GPUs for each worker, >= 0; may be a fraction below 1 with a single worker.
        workers_per_trial: processes that train a trial together, each with its local batch, >= 1.
        max_concurrent: most trials at once; None for as many as fit.
        data_folder: folder of the data source, or None for its default.
        checkpoints: folder for checkpoints of running trials, or None.
        address: an existing Ray cluster ("auto", HOST:PORT, ray://HOST:PORT), or None for a local one.
        application: the user application's file, which every worker loads; None for an application of the package.
        workers_per_machine: most workers that train on one machine at once, >= 1: they share its energy meter.
        packing: how many trials are trained at the same time on one device: a number, "off" for one, or "auto" for
            the fastest number measured on the device.
        workload: what a machine must be able to load before it gets trials; None to skip the check.
        time_limit: seconds that an attempt at a trial may take, > 0; None for no limit. A pack of n may take n times
            as long.
    """

    cpus_per_trial: int = 1
    gpus_per_trial: float = 0.0
    workers_per_trial: int = 1
    max_concurrent: int | None = None
    data_folder: str | None = None
    checkpoints: Path | None = None
    address: str | None = None
    application: ApplicationFile | None = None
    workers_per_machine: int = 1
    packing: PackSetting = "off"
    workload: Workload | None = None
    time_limit: float | None = None

    @property
    def local_cores(self) -> int:
        """Cores of a local cluster: those that this process may use, or as many as one trial needs."""
        return max(num_cores(), self.cpus_per_trial * self.workers_per_trial)

    def placement(self, trial: Trial) -> Placement:
        """Return where a trial trains. Workers on one energy meter get equal shares, even while some are idle."""
        on_gpu = self.gpus_per_trial > 0
        sharing = max(1, int(1 / self.gpus_per_trial)) if on_gpu else self.workers_per_machine
        checkpoint = None if self.checkpoints is None else str(self.checkpoints / f"{trial.id}.pt")
        return Placement(
            data_folder=self.data_folder,
            device="cuda" if on_gpu else "cpu",
            num_threads=self.cpus_per_trial,
            checkpoint=checkpoint,
            energy_share=1 / sharing,
            num_workers=self.workers_per_trial,
        )


class PeerWorkers(Protocol):
    """The other workers of the trials that are trained in this process."""

    def start_training(
        self, config: TrainConfig, placement: Placement, application: ApplicationFile | None
    ) -> ProcessGroup:
        """Start the others' training and return the process group for this process.

        Raises:
            WorkerLost: one of them could not be started.
        """

    def failure(self) -> str | None:
        """Return the error that one of them reports; None if none does.

        Raises:
            WorkerLost: one of them ended without reporting an error.
        """

    def close(self) -> None:
        """End them; the next training starts new ones."""


class DriverAgenda(Agenda, Protocol):
    """An agenda that also records what a driver observes."""

    def mark_started(self, trial: Trial) -> None:
        """Record that a trial is being trained from now on; may be called again for the same trial."""

    def record_pack_speed(self, trial: Trial, speed: PackSpeed) -> None:
        """Record how fast trainings like this trial's are, alone and in packs."""

    def add_note(self, sentence: str) -> None:
        """Record a note about the execution environment."""

    def add_warning(self, trial: Trial, sentence: str) -> None:
        """Record a warning about a training that continues."""


class TrialRunner:
    """Train one trial.

    An exception inside a training is the trial's failure, not the driver's: it becomes the `error` of an update.

    Args:
        trial: what to train.
        placement: where to train it.
        application: the user application's file, loaded once per process; None for an application of the package.
        time_limit: seconds from the first `advance` after which the trial fails, in the program's main thread; None for
            no limit, or if the caller enforces it.
        others: workers that train together with this process; None if it trains alone.
    """

    def __init__(
        self,
        trial: Trial,
        placement: Placement,
        application: ApplicationFile | None = None,
        time_limit: float | None = None,
        others: PeerWorkers | None = None,
    ) -> None:
        self._trial = trial
        self._others = others
        self._time_limit = time_limit
        self._begun_at: float | None = None
        self._placement = placement
        self._application = application
        self._training: Training | None = None
        self._process: ProcessState | None = None
        self._setup = Cost()
        self._checkpoint_before: tuple[int, int] | None = None

    def advance(self, seconds: float) -> ProgressUpdate:
        """Train at least one epoch, and until `seconds` have passed, the training ends or a worker is lost."""
        begin = time.perf_counter()
        end = begin + seconds
        new_epochs: list[EpochMetrics] = []
        error, lost, unfinished = None, None, Cost()
        warnings: list[str] = []
        try:
            with note_interrupts() as arrived, raise_after(self._seconds_left()), collect_warnings(warnings):
                if self._training is None:
                    load_application(self._application, self._trial.config)
                    process_group = self._join_process_group()
                    self._process = ProcessState()
                    self._checkpoint_before, gathered = self._checkpoint_now(), time.perf_counter()
                    self._training = Training(self._trial.config, self._placement, process_group)
                    begin = time.perf_counter()
                    self._setup = device_cost(process_group.world_size * (begin - gathered))
                while not self._training.finished:
                    new_epochs.append(self._training.run_epoch())
                    begin = time.perf_counter()
                    if begin >= end:
                        break
            raise_if_interrupted(arrived)
            if self._training.finished:
                self._restore_process()
        except BaseException as exception:  # a model or a data set may raise anything
            self._restore_process()
            raise_if_interrupted(arrived, exception)
            try:
                error = self._error(exception)
            except WorkerLost as loss:
                lost = str(loss)
            if self._others is not None:
                self._others.close()
            num_workers = self._placement.num_workers
            unfinished = self._unfinished() + device_cost(num_workers * (time.perf_counter() - begin))
            if lost is None:
                remove_checkpoint(self._placement)
            else:
                if self._checkpoint_now() == self._checkpoint_before:  # otherwise the next attempt reports it
                    unfinished += self._setup
                self._training, self._setup, self._begun_at = None, Cost(), None
        return ProgressUpdate(
            new_epochs=tuple(new_epochs),
            training=None if self._training is None else self._training.result(),
            error=error,
            host=socket.gethostname(),
            device=device_name(self._placement.device),
            unfinished=unfinished,
            warnings=tuple(warnings),
            num_workers=self._placement.num_workers,
            lost=lost,
        )

    def _restore_process(self) -> None:
        """Put back what the training changed in this process, so that the next one does not depend on it."""
        if self._process is not None:
            self._process.restore()
            self._process = None

    def _join_process_group(self) -> ProcessGroup:
        if self._others is None:
            return SINGLE_PROCESS
        return self._others.start_training(self._trial.config, self._placement, self._application)

    def _error(self, exception: BaseException) -> str:
        """Return why the trial failed. Raise WorkerLost if another worker is gone, which is no fault of the trial."""
        if isinstance(exception, WorkerLost):
            raise exception
        if isinstance(exception, OutOfTime) and self._time_limit is not None:
            return format_out_of_time(self._time_limit)
        said = None if self._others is None else self._others.failure()
        return said or describe_error(exception)

    def _checkpoint_now(self) -> tuple[int, int] | None:
        """Identify the current checkpoint file, to detect a newer one; None if there is none."""
        with suppress(OSError):
            if self._placement.checkpoint is not None:
                found = Path(self._placement.checkpoint).stat()
                return found.st_ino, found.st_mtime_ns
        return None

    def _seconds_left(self) -> float | None:
        """Return the seconds until the time limit, > 0; None without a limit."""
        if self._time_limit is None:
            return None
        now = time.perf_counter()
        self._begun_at = now if self._begun_at is None else self._begun_at
        return max(1e-6, self._time_limit - (now - self._begun_at))

    def _unfinished(self) -> Cost:
        """Return the cost of the updates since the last finished epoch, without their device seconds."""
        training = self._training
        if training is None:
            return Cost()
        return Cost(
            iterations=training.updates.iterations,
            samples=training.updates.samples,
            flops=training.flops_per_sample * training.updates.samples,
            words=training.result().num_parameters * training.updates.iterations,
        )

    def discard(self) -> None:
        """End a trial that will not be resumed and remove its checkpoint."""
        if self._training is not None:
            try:
                self._training.stop()
            except RuntimeError:  # another worker is gone and cannot be told
                if self._others is not None:
                    self._others.close()
        self._restore_process()
        remove_checkpoint(self._placement)


def load_application(file: ApplicationFile | None, config: TrainConfig) -> None:
    """Load the application that trains a configuration, from the user's file if there is one.

    What its import changes in the process is no training's, and stays.
    """
    if file is not None:
        register_application(file)
    find_application(config.application)


def remove_checkpoint(placement: Placement) -> None:
    """Remove the checkpoint of a training that will not be resumed, if there is one."""
    if placement.checkpoint is not None:
        with suppress(OSError):  # a file left behind does no harm
            Path(placement.checkpoint).unlink()


@lru_cache
def device_name(device: str) -> str:
    """Return the model of a device, or the device's name if it is missing."""
    try:
        return device_model(device)
    except (RuntimeError, AssertionError):  # the device is missing, which the training has reported
        return device


@contextmanager
def collect_warnings(sentences: list[str]) -> Iterator[None]:
    """Collect the warnings that the trainers log inside the block, since nobody reads a worker's log."""
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: sentences.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("zerotune.trainers")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
