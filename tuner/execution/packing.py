"""Packs: choose how many trials to train at the same time on one device, and train them.

This module must not know where workers run or how messages reach them.
"""

import socket
import time
from collections.abc import Sequence
from dataclasses import asdict, replace

from ...trainers.applications.user_file import ApplicationFile
from ...trainers.interrupts import note_interrupts, raise_if_interrupted
from ...trainers.packing.benchmark import PackSpeed
from ...trainers.packing.packed_training import PackedTraining, pack_key, pack_problem
from ...trainers.process_state import ProcessState
from ...trainers.spec import EpochMetrics, Placement, TrainConfig
from ..cost import Cost, device_cost, epochs_cost
from ..trial import Trial, canonical_json
from .progress_update import ProgressUpdate
from .trial_runner import PackSetting, TrialRunner, device_name, load_application

LARGEST_CPU_BATCH = 32
"""Largest batch size for which packs are measured on a CPU; LeNet packs were slower at every larger one
(`benchmarks/README.md`)."""


def trial_pack_key(trial: Trial) -> str:
    """Return a key that is equal for trials that can share a pack."""
    return canonical_json(asdict(pack_key(trial.config)))


class PackPlanner:
    """Choose the pack size: the study's setting, or a size measured once for each workload."""

    def __init__(self, setting: PackSetting, *, on_gpu: bool) -> None:
        self._setting = setting
        self._on_gpu = on_gpu
        self._speeds: dict[str, PackSpeed | None] = {}

    def size(self, trial: Trial) -> int | None:
        """Return how many trials like this one to train at the same time; None if that must be measured first."""
        if self._setting in ("off", 1) or pack_problem(trial.config) is not None:
            return 1
        if isinstance(self._setting, int):
            return self._setting
        if not self._on_gpu and trial.batch_size > LARGEST_CPU_BATCH:
            return 1
        workload = workload_key(trial.config)
        if workload not in self._speeds:
            return None
        speed = self._speeds[workload]
        return 1 if speed is None else speed.best

    def pays_off(self, trial: Trial, number: int) -> bool:
        """Whether a pack of this many trials is faster; it may be smaller than a full pack."""
        speed = self._speeds.get(workload_key(trial.config))
        return number > 1 and (isinstance(self._setting, int) or (speed is not None and speed.is_worthwhile(number)))

    def record_speed(self, trial: Trial, speed: PackSpeed | None) -> None:
        """Record the measured speed of packs of trials like this one; None if it could not be measured."""
        self._speeds[workload_key(trial.config)] = speed


def workload_key(config: TrainConfig) -> str:
    """Return a key that is equal for trainings with equally fast updates: any label smoothing > 0, any clip norm."""
    recipe = config.recipe
    recipe = replace(
        recipe,
        clip_norm=None if recipe.clip_norm is None else 1.0,
        label_smoothing=0.0 if recipe.label_smoothing == 0 else 0.5,
    )
    plain = asdict(pack_key(replace(config, recipe=recipe)))
    plain["optimizer"] = config.optimizer.name
    del plain["epochs"], plain["divergence_factor"]
    return canonical_json(plain)


class PackRunner:
    """Train a pack: trials of one form, at the same time.

    If the pack fails (it does not fit into memory, for example), train every trial by itself, so that a failure belongs
    to one trial. The pack's work up to then is billed to its trials.

    Args:
        trials: of one form; none of them may be pruned.
        placements: one for each trial.
        application: the user application's file; None for an application of the package.
    """

    def __init__(
        self, trials: Sequence[Trial], placements: Sequence[Placement], application: ApplicationFile | None = None
    ) -> None:
        self._trials = trials
        self._placements = placements
        self._application = application
        self._pack: PackedTraining | None = None
        self._process: ProcessState | None = None
        self._left = {trial.id: position for position, trial in enumerate(trials)}
        self._reported = [0] * len(trials)
        self._separate: dict[str, TrialRunner] = {}
        self._lost: dict[str, Cost] = {}

    @property
    def done(self) -> bool:
        """Whether every trial has ended."""
        return not self._left

    def advance(self, seconds: float) -> dict[str, ProgressUpdate]:
        """Train at least one epoch, and until `seconds` have passed; return an update of every unfinished trial."""
        begin = last = time.perf_counter()
        while not self._separate:
            try:
                with note_interrupts() as arrived:
                    if self._pack is None:
                        load_application(self._application, self._trials[0].config)
                        self._process = ProcessState()
                        self._pack = PackedTraining([trial.config for trial in self._trials], self._placements[0])
                        last = time.perf_counter()
                    self._pack.run_epoch()
            except BaseException as error:  # training each trial by itself shows which ones fail
                self._restore_process()
                raise_if_interrupted(arrived, error)
                self._separate_trials(time.perf_counter() - last)
                break
            raise_if_interrupted(arrived)
            last = time.perf_counter()
            if not self._pack.running:
                self._restore_process()
            if not self._pack.running or last - begin >= seconds:
                return self._updates(self._pack)
        return self._advance_alone(seconds)

    def _restore_process(self) -> None:
        if self._process is not None:
            self._process.restore()
            self._process = None

    def _updates(self, pack: PackedTraining) -> dict[str, ProgressUpdate]:
        results, updates = pack.results(), {}
        for trial_id, position in list(self._left.items()):
            result = results[position]
            updates[trial_id] = ProgressUpdate(
                new_epochs=self._new_epochs(position, result.epochs),
                training=result,
                error=None,
                host=socket.gethostname(),
                device=device_name(self._placements[position].device),
            )
            if updates[trial_id].done:
                del self._left[trial_id]
        return updates

    def _new_epochs(self, position: int, epochs: tuple[EpochMetrics, ...]) -> tuple[EpochMetrics, ...]:
        new = epochs[self._reported[position] :]
        self._reported[position] = len(epochs)
        return new

    def _separate_trials(self, seconds: float) -> None:
        """Restart every trial by itself, and bill to each its part of the pack that no update has reported.

        `seconds` have passed since the pack's last epoch, or since its start.
        """
        for trial_id, position in self._left.items():
            lost = device_cost(seconds / len(self._left))
            if self._pack is not None:
                result, updates, samples = self._pack.results()[position], *self._pack.unfinished
                lost += device_cost(result.setup_seconds, result.setup_joules)
                lost += epochs_cost(result.epochs[self._reported[position] :])
                lost += Cost(
                    iterations=updates,
                    samples=samples,
                    flops=self._pack.flops_per_sample * samples,
                    words=result.num_parameters * updates,
                )
            self._lost[trial_id] = lost
            trial, placement = self._trials[position], self._placements[position]
            self._separate[trial_id] = TrialRunner(trial, placement, self._application)
        self._pack = None

    def _advance_alone(self, seconds: float) -> dict[str, ProgressUpdate]:
        """Train the first unfinished trial by itself."""
        trial_id = next(iter(self._left))
        update = self._separate[trial_id].advance(seconds)
        if update.done:
            del self._left[trial_id]
            update = replace(update, unfinished=update.unfinished + self._lost[trial_id])
        return {trial_id: update}
