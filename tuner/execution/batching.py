"""Batch trials for the workers: one trial, several short ones, or a pack.

This module must not know Ray, nor how messages reach workers.
"""

from collections import deque
from collections.abc import Callable
from typing import Literal

from ...trainers.packing.benchmark import PACK_SIZES
from ..trial import Agenda, Trial
from .packing import PackPlanner, trial_pack_key, workload_key
from .progress_update import ProgressUpdate
from .ray.messages import UPDATE_SECONDS, Assignment, BenchmarkTask
from .trial_runner import Execution


class TrialBatcher:
    """Choose what a worker does next: one trial, several short ones, a pack, or a benchmark of packs."""

    def __init__(self, agenda: Agenda, packing: PackPlanner, execution: Execution) -> None:
        self._agenda = agenda
        self._packing = packing
        self._execution = execution
        self._buffer: deque[Trial] = deque()
        self._requeued: list[Trial] = []
        self._seconds: dict[tuple[str, int], float] = {}

    def next(self, *, num_idle: int, num_workers: int) -> Assignment | BenchmarkTask | Literal["wait", "done"]:
        """Return the next task of one worker, which counts among the idle ones."""
        if self._requeued:
            # Alone: a trial that kills its worker must take no other trial with it.
            return self._assign([self._requeued.pop()])
        trial = self._take()
        if not isinstance(trial, Trial):
            return trial
        if self._agenda.may_prune(trial):
            return self._assign([trial])
        size = self._packing.size(trial)
        if size is None:
            self._buffer.appendleft(trial)
            limit = self._time_limit(max(PACK_SIZES))
            return BenchmarkTask(trial=trial, placement=self._execution.placement(trial), time_limit=limit)
        if size > 1:
            found = self._fair_share(trial, size, trial_pack_key, among=num_idle)
            if self._packing.pays_off(trial, len(found)):
                return self._assign(found, as_pack=True)
            self._buffer.extendleft(reversed(found[1:]))
        return self._assign(self._fair_share(trial, self._num_short(trial), _length_of, among=num_workers))

    def requeue(self, trial: Trial) -> None:
        """Return a trial whose worker is gone. It goes to a worker before any new trial."""
        self._requeued.append(trial)

    def record_duration(self, trial: Trial, last: ProgressUpdate) -> None:
        """Record how long a finished trial took, from its last update."""
        if last.error is None and last.training is not None and last.training.status == "finished":
            seconds = last.training.setup_seconds + sum(epoch.device_seconds for epoch in last.training.epochs)
            self._seconds[_length_of(trial)] = seconds

    def _assign(self, trials: list[Trial], *, as_pack: bool = False) -> Assignment:
        return Assignment(
            trials=tuple(trials),
            placements=tuple(self._execution.placement(trial) for trial in trials),
            as_pack=as_pack,
            may_be_pruned=len(trials) == 1 and self._agenda.may_prune(trials[0]),
            time_limit=self._time_limit(len(trials)),
        )

    def _time_limit(self, num_trials: int) -> float | None:
        limit = self._execution.time_limit
        return None if limit is None else limit * num_trials

    def _num_short(self, trial: Trial) -> int:
        """Return how many such trials fill the time between two updates; 1 if their duration is unknown."""
        seconds = self._seconds.get(_length_of(trial))
        return 1 if seconds is None else max(1, int(UPDATE_SECONDS / max(seconds, 1e-3)))

    def _take(self) -> Trial | Literal["wait", "done"]:
        return self._buffer.popleft() if self._buffer else self._agenda.ask()

    def _fair_share(self, trial: Trial, size: int, kind: Callable[[Trial], object], *, among: int) -> list[Trial]:
        """Return the trial and others of the same `kind`: at most `size`, and one worker's share of those available."""
        found = [trial]
        while 1 < size and len(found) < size * among:
            other = self._take()
            if not isinstance(other, Trial):
                break
            if kind(other) != kind(trial) or self._agenda.may_prune(other):
                self._buffer.appendleft(other)
                break
            found.append(other)
        share = -(-len(found) // among)
        self._buffer.extendleft(reversed(found[share:]))
        return found[:share]


def _length_of(trial: Trial) -> tuple[str, int]:
    """Return a key that is equal for trials that take the same time."""
    return workload_key(trial.config), trial.config.epochs
