"""Handing out trials: the driver's side of the conversation with the workers that Ray Tune keeps alive.

Dispatch hears every word of a worker, because Tune tells it as it would tell a scheduler, and answers through the
worker's mailbox. It decides which trials go into one pack; what is trained, the agenda decides.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from ray.tune.schedulers import FIFOScheduler

from trainers.pack_speed import PackSpeed
from tuner.drivers.packing import Packing, form_of
from tuner.drivers.words import CONTINUE, STOP, Assignment, Measured, Measurement, Ready, Slices
from tuner.drivers.work import Execution, RecordingAgenda, Slice, conclude, failed
from tuner.trial import Progress, Trial

MAX_DEATHS = 3
"""Workers that may die under a trial before the trial is called failed."""


class Dispatch(FIFOScheduler):  # type: ignore[misc]  # ray is not typed for strict checking
    """Hears what the workers say, and answers through their mailboxes.

    Args:
        agenda: gives trials and takes results.
        execution: where trials run.
        post: handle of the `Mailbox` actor.
    """

    def __init__(self, agenda: RecordingAgenda, execution: Execution, post: Any) -> None:
        super().__init__()
        self._agenda = agenda
        self._execution = execution
        self._post = post
        self._mailboxes: dict[str, str] = {}
        self._packing = Packing(execution.packing, on_gpu=execution.gpus_per_trial > 0)
        self._held: dict[str, dict[str, Trial]] = {}
        self._measuring: dict[str, Trial] = {}
        self._idle: list[str] = []
        self._ahead: deque[Trial] = deque()
        self._lost: list[Trial] = []
        self._deaths: dict[str, int] = {}
        self.finished = False
        self.error: Exception | None = None

    def __reduce__(self) -> tuple[type[FIFOScheduler], tuple[()]]:
        """Tune saves its parts for a resume of its own, which is never used: the journal resumes a study."""
        return FIFOScheduler, ()

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Called by Tune with every word of a worker."""
        worker, word = trial.trial_id, result["word"]
        with self._kept():
            if isinstance(word, Ready):
                self._on_ready(worker, word)
            elif isinstance(word, Measured):
                self._on_measured(worker, word.speed)
            elif isinstance(word, Slices):
                self._on_slices(worker, word.pieces)
            self._hand_out()
        return str(self.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Called by Tune when a worker has died, whether or not it is started again."""
        with self._kept():
            self._forget(trial.trial_id)
            self._hand_out()

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Keeps what the agenda raises: Tune passes on the text of a traceback only."""
        try:
            yield
        except Exception as error:
            self.error = error
            raise

    def _on_ready(self, worker: str, word: Ready) -> None:
        self._forget(worker)
        self._mailboxes[worker] = word.mailbox
        self._idle.append(worker)

    def _forget(self, worker: str) -> None:
        """A worker's process is gone: what it held goes to others, but for trials that have killed too many."""
        if worker in self._idle:
            self._idle.remove(worker)
        measured = self._measuring.pop(worker, None)
        if measured is not None:
            self._packing.learn(measured, None)  # it may be what killed the worker: such trials are trained alone
        for trial in self._held.pop(worker, {}).values():
            self._deaths[trial.id] = self._deaths.get(trial.id, 0) + 1
            if self._deaths[trial.id] < MAX_DEATHS:
                self._lost.append(trial)
            else:
                reason = f"its worker died {MAX_DEATHS} times while training it: out of memory, or killed from outside"
                self._agenda.tell(failed(trial, reason))

    def _on_measured(self, worker: str, speed: PackSpeed | None) -> None:
        trial = self._measuring.pop(worker)
        self._packing.learn(trial, speed)
        self._idle.append(worker)
        if speed is not None:
            self._agenda.packs_measured(trial, speed)

    def _on_slices(self, worker: str, pieces: Mapping[str, Slice]) -> None:
        held = self._held[worker]
        for trial_id, piece in pieces.items():
            self._on_slice(worker, held, held[trial_id], piece)
        if not held:
            del self._held[worker]
            self._idle.append(worker)

    def _on_slice(self, worker: str, held: dict[str, Trial], trial: Trial, piece: Slice) -> None:
        if piece.done:
            del held[trial.id]
            self._agenda.tell(conclude(trial, piece))
        elif not self._agenda.report(Progress(trial=trial, new_epochs=piece.new_epochs)):
            del held[trial.id]
            self._agenda.tell(conclude(trial, piece, pruned=True))
        elif self._agenda.may_prune(trial):
            self._send(worker, CONTINUE)

    def _send(self, worker: str, item: object) -> None:
        self._post.put.remote(self._mailboxes[worker], item)

    def _hand_out(self) -> None:
        """Gives idle workers trials, while there are any; stops them when nothing will follow."""
        while self._idle and not self.finished and not self._measuring:
            trials = self._next_trials()
            if trials == "wait":
                return
            if trials == "done":
                self.finished = not self._held
                break
            if trials:
                worker = self._idle.pop(0)
                self._held[worker] = {trial.id: trial for trial in trials}
                self._send(worker, self._assignment(trials))
        if self.finished:
            for worker in self._idle:
                self._send(worker, STOP)
            self._idle.clear()

    def _next_trials(self) -> list[Trial] | Literal["wait", "done"]:
        """What one worker is given next; nothing where a worker was asked to measure packs of it first."""
        if self._lost:
            return [self._lost.pop()]  # alone, so that one that kills its worker takes no other with it
        trial = self._take()
        if not isinstance(trial, Trial):
            return trial
        size = 1 if self._agenda.may_prune(trial) else self._packing.size(trial)
        if size is None:
            worker = self._idle.pop(0)
            self._measuring[worker] = trial
            self._ahead.appendleft(trial)
            self._send(worker, Measurement(trial=trial, placement=self._execution.placement(trial)))
            return []
        return [trial] if size == 1 else self._pack_with(trial, size)

    def _take(self) -> Trial | Literal["wait", "done"]:
        return self._ahead.popleft() if self._ahead else self._agenda.ask()

    def _pack_with(self, trial: Trial, size: int) -> list[Trial]:
        """The trial and others of its form, an idle worker's fair share of those that can be had now."""
        form, found = form_of(trial), [trial]
        while len(found) < size * len(self._idle):
            other = self._take()
            if not isinstance(other, Trial):
                break
            if form_of(other) != form or self._agenda.may_prune(other):
                self._ahead.appendleft(other)
                break
            found.append(other)
        share = -(-len(found) // len(self._idle))
        if not self._packing.pays(trial, share):
            share = 1
        self._ahead.extendleft(reversed(found[share:]))
        return found[:share]

    def _assignment(self, trials: list[Trial]) -> Assignment:
        return Assignment(
            trials=tuple(trials),
            placements=tuple(self._execution.placement(trial) for trial in trials),
            may_be_pruned=len(trials) == 1 and self._agenda.may_prune(trials[0]),
        )
