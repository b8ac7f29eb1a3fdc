"""Batch trials for the workers: one trial, several short ones, or a pack.

This module must not know Ray, nor how messages reach workers.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..trial import Agenda, Trial
from .packing import PackPlanner, trial_pack_key, workload_key
from .progress_update import ProgressUpdate
from .ray.messages import UPDATE_SECONDS


@dataclass(frozen=True, kw_only=True)
class TrialBatch:
    """The trials that a worker gets next.

    Attributes:
        trials: one or more.
        as_pack: whether they are trained at the same time, as a pack.
        is_benchmark: whether the worker measures packs of such trials instead of training them.
    """

    trials: list[Trial]
    as_pack: bool = False
    is_benchmark: bool = False


class TrialBatcher:
    """Choose the next batch of trials for a worker.

    Args:
        agenda: gives trials.
        packing: chooses how many trials are trained at the same time.
    """

    def __init__(self, agenda: Agenda, packing: PackPlanner) -> None:
        self._agenda = agenda
        self._packing = packing
        self._buffer: deque[Trial] = deque()
        self._requeued: list[Trial] = []
        self._seconds: dict[tuple[str, int], float] = {}

    def next(self, *, num_idle: int, num_workers: int) -> TrialBatch | Literal["wait", "done"]:
        """Return the next batch for one worker.

        Args:
            num_idle: idle workers, this one included.
            num_workers: all workers.
        """
        if self._requeued:
            # Alone: a trial that kills its worker must take no other trial with it.
            return TrialBatch(trials=[self._requeued.pop()])
        trial = self._take()
        if not isinstance(trial, Trial):
            return trial
        if self._agenda.may_prune(trial):
            return TrialBatch(trials=[trial])
        size = self._packing.size(trial)
        if size is None:
            self._buffer.appendleft(trial)
            return TrialBatch(trials=[trial], is_benchmark=True)
        if size > 1:
            found = self._fair_share(trial, size, trial_pack_key, among=num_idle)
            if self._packing.pays_off(trial, len(found)):
                return TrialBatch(trials=found, as_pack=True)
            self._buffer.extendleft(reversed(found[1:]))
        return TrialBatch(trials=self._fair_share(trial, self._num_short(trial), _length_of, among=num_workers))

    def requeue(self, trial: Trial) -> None:
        """Return a trial whose worker is gone. It goes to a worker before any new trial."""
        self._requeued.append(trial)

    def record_duration(self, trial: Trial, last: ProgressUpdate) -> None:
        """Record how long a finished trial took, from its last update."""
        if last.error is None and last.training is not None and last.training.status == "finished":
            seconds = last.training.setup_seconds + sum(epoch.device_seconds for epoch in last.training.epochs)
            self._seconds[_length_of(trial)] = seconds

    def _num_short(self, trial: Trial) -> int:
        """Return how many such trials fill the time between two updates; 1 if their duration is unknown."""
        seconds = self._seconds.get(_length_of(trial))
        return 1 if seconds is None else max(1, int(UPDATE_SECONDS / max(seconds, 1e-3)))

    def _take(self) -> Trial | Literal["wait", "done"]:
        return self._buffer.popleft() if self._buffer else self._agenda.ask()

    def _fair_share(self, trial: Trial, size: int, kind: Callable[[Trial], object], *, among: int) -> list[Trial]:
        """Return the trial and others of its kind, at most one worker's share of those available.

        Args:
            trial: the first one.
            size: most trials to return.
            kind: equal for trials that may go together.
            among: number of workers to share between.
        """
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
