"""The agenda that a driver sees: a campaign that records its trials and results.

They are recorded in the journal and the store and shown on the terminal. Known results are told without training again.
This module must not know studies, methods or where trials run.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Literal, Protocol

from ...trainers.packing.benchmark import PackSpeed
from ...trainers.spec import EpochMetrics
from ..cost import Cost
from ..trial import Agenda, Trial, TrialResult
from .journal import Journal
from .progress_display import ProgressDisplay
from .reuse import ResultReuse, may_reuse

ENDED_IN = (
    "the last run ended while it trained this trial: its process was killed, ran out of memory, or was ended by the "
    "application (os._exit, a crash in C code). It is trained again; with --driver ray, such an end fails this trial "
    "alone"
)


class BilledAgenda(Agenda, Protocol):
    """An agenda that also measures its searchers' time: a campaign, or a search made of campaigns."""

    def searcher_seconds(self, trial: Trial) -> float:
        """Return the seconds the method took to propose this trial."""


class ResultWriter(Protocol):
    """Destination of results besides the journal, such as `tuner.store.Writer`."""

    def wait_until_open(self) -> None:
        """Wait until results can be submitted.

        Raises:
            BadInput: results can never be submitted.
        """

    def submit(self, result: TrialResult) -> None:
        """Queue a result for writing and return immediately."""


class RecordingAgenda:
    """A campaign's agenda that records everything the driver asks and tells.

    With `in_this_process`, trials are trained by this process, which one of them could end.
    """

    def __init__(
        self,
        campaign: BilledAgenda,
        journal: Journal,
        writer: ResultWriter,
        display: ProgressDisplay,
        reuse: ResultReuse,
        *,
        in_this_process: bool = False,
    ) -> None:
        self._campaign = campaign
        self._journal = journal
        self._writer = writer
        self._display = display
        self._reuse = reuse
        self._in_this_process = in_this_process

    def ask(self) -> Trial | Literal["wait", "done"]:
        """Return the next trial to train, after telling the campaign all known and reused results before it.

        Raises:
            BadInput: the store's address cannot be used.
        """
        self._writer.wait_until_open()
        while isinstance(trial := self._reuse.next_released() or self._campaign.ask(), Trial):
            known = self._known(trial)
            if known is not None:
                self._campaign.tell(known)
                self._display.show_result(known, replayed=True)
                continue
            if may_reuse(trial, self._campaign, self._journal.content):
                if (found := self._reuse.find(trial)) is not None:
                    self.tell(found)
                    continue
                if self._reuse.defer(trial):
                    continue
                self._reuse.start(trial)
            if epochs := self._journal.content.epochs.get(trial.id):  # interrupted; it may resume after the last one
                self._campaign.report(trial, epochs)
            self._journal.start(trial.id)
            if trial.id == self._journal.ended_in:
                self.add_warning(trial, ENDED_IN)
            return trial
        return "wait" if self._reuse.has_waiting else trial

    def _known(self, trial: Trial) -> TrialResult | None:
        """Return the result in the study's own journal, or None. A reused one does not count if all must train."""
        known = self._journal.content.result_of(trial.id)
        is_reused = known is not None and known.reused_from is not None
        return None if is_reused and self._reuse.trains_everything else known

    def may_prune(self, trial: Trial) -> bool:
        """Return whether the trial may be pruned, so that every epoch must be reported separately."""
        return self._campaign.may_prune(trial)

    def report(self, trial: Trial, new_epochs: Sequence[EpochMetrics]) -> bool:
        """Record epochs and return whether the trial continues."""
        self._journal.progress(trial.id, new_epochs)
        self._display.show_progress(trial, new_epochs[-1].epoch)
        return self._campaign.report(trial, new_epochs)

    def mark_started(self, trial: Trial) -> None:
        """Show that a trial is being trained. It may have been dispatched some time before."""
        self._display.show_start(trial)
        if self._in_this_process:
            self._journal.note_training(trial.id)

    def record_pack_speed(self, trial: Trial, speed: PackSpeed) -> None:
        """Record and show the measured speed of packs of such trials."""
        self._journal.packs(trial.id, {**asdict(speed), "best": speed.best})
        self._display.note(format_pack_speed(trial, speed))

    def add_note(self, sentence: str) -> None:
        """Show a note about the execution environment."""
        self._display.note(sentence)

    def add_warning(self, trial: Trial, sentence: str) -> None:
        """Show a warning about a training that continues."""
        self._display.note(f"{trial.name}: {sentence}")

    def tell(self, result: TrialResult) -> None:
        """Record a result with its searcher time added to its cost, then tell the campaign."""
        searcher = Cost(searcher_seconds=self._campaign.searcher_seconds(result.trial))
        was_retried = result.trial.id in self._journal.content.first_failures
        result = self._journal.finish(replace(result, cost=result.cost + searcher))
        self._journal.note_training(None)
        self._reuse.finish(result, serves=not was_retried)
        self._campaign.tell(result)
        self._writer.submit(result)
        self._display.show_result(result)


def format_pack_speed(trial: Trial, speed: PackSpeed) -> str:
    """Describe a pack speed measurement in one line.

    >>> from types import SimpleNamespace
    >>> trial = SimpleNamespace(batch_size=4, config=SimpleNamespace(optimizer=SimpleNamespace(name="date")))
    >>> format_pack_speed(trial, PackSpeed(device="CPU", alone=0.003, packed={8: 0.0012}))
    'B=4 date: in packs of up to 8, measured to give 2.5 times the trainings an hour here'
    """
    what = f"B={trial.batch_size:,} {trial.config.optimizer.name}"
    if speed.problem:
        return f"{what}: trained alone, since {speed.problem}"
    if speed.best == 1:
        return f"{what}: trained alone, measured to be as fast as packs here"
    gain = f"measured to give {speed.gain:.1f} times the trainings an hour here"
    return f"{what}: in packs of up to {speed.best}, {gain}"
