"""One training for all trials of a study that ask for the same: what was trained before, and what is being trained now.

This module must not know where earlier results are kept, nor what runs the trials.
"""

from dataclasses import dataclass

from ..trial import Agenda, Trial, TrialResult
from .earlier import EarlierResults
from .journal import JournalContent


class Sharing:
    """Which trials of a study need not be trained, since the same was trained before or is being trained now.

    Args:
        earlier: results at hand; None where everything is to be trained.
    """

    def __init__(self, earlier: EarlierResults | None) -> None:
        self._earlier = earlier
        self._running: dict[str, Trial] = {}
        self._waiting: list[Trial] = []
        self._released: list[Trial] = []

    @property
    def trains_everything(self) -> bool:
        """Whether no result is taken over."""
        return self._earlier is None

    def next_released(self) -> Trial | None:
        """A trial that waited for one that has ended by now; None where there is none."""
        return self._released.pop(0) if self._released else None

    @property
    def is_waiting(self) -> bool:
        """Whether a trial was put off until another ends."""
        return bool(self._waiting)

    def find(self, trial: Trial) -> TrialResult | None:
        """The trial's result, taken over; None where there is none."""
        return None if self._earlier is None else self._earlier.find(trial)

    def put_off(self, trial: Trial) -> bool:
        """Puts a trial off where one that is running will serve it as well; says whether it did."""
        running = self._running.get(trial.content_id)
        if running is None or (trial.role == "confirmation" and running.role != "confirmation"):
            return False
        self._waiting.append(trial)
        return True

    def begin(self, trial: Trial) -> None:
        """A trial is trained from now on, to its end."""
        if self._earlier is not None:
            self._running[trial.content_id] = trial

    def end(self, result: TrialResult, *, serves: bool = True) -> None:
        """A trial has ended, in whatever way: those that waited for it are released, to be found or trained.

        Args:
            result: its result.
            serves: whether others may take it over; not where a failed attempt is on its bill, which they would pay.
        """
        trial = result.trial
        if self._earlier is None:
            return
        if serves:
            self._earlier.add(result)
        if self._running.get(trial.content_id) == trial:
            del self._running[trial.content_id]
            self._released += [other for other in self._waiting if other.content_id == trial.content_id]
            self._waiting = [other for other in self._waiting if other.content_id != trial.content_id]


def may_share(trial: Trial, agenda: Agenda, content: JournalContent) -> bool:
    """Whether a trial may do without a training of its own.

    Not where its method may end it early, by what other trials of the same search did; and not where it was begun
    already, or has failed and is to be run again: what was spent on it stays on its bill.
    """
    begun = content.epochs.get(trial.id) or trial.id in content.retried
    return not begun and not agenda.may_prune(trial)


@dataclass(frozen=True, kw_only=True)
class Foresight:
    """What a study will do first.

    Attributes:
        taken_over: trials that get an earlier result before the first is trained; later ones may follow.
        is_complete: whether nothing is left to be trained.
    """

    taken_over: int
    is_complete: bool


def foresee(agenda: Agenda, content: JournalContent, earlier: EarlierResults | None) -> Foresight:
    """What a study will do first, before anything is started for it.

    Args:
        agenda: one made for this question: what is known and found is told to it, and the rest left running.
        content: the study's own journal.
        earlier: results to take over; None where everything is to be trained.
    """
    taken_over = left = 0
    while isinstance(trial := agenda.ask(), Trial):
        result = content.result_of(trial.id)
        if earlier is None and result is not None and result.reused_from is not None:
            result = None  # it does not count, see `Recorder`
        if result is None and earlier is not None and may_share(trial, agenda, content):
            result = earlier.find(trial)
            taken_over += result is not None
        if result is None:
            left += 1
        else:
            agenda.tell(result)
    return Foresight(taken_over=taken_over, is_complete=trial == "done" and not left)
