"""A dry run through a study's trials before any is trained: what comes first, and which have failed.

This module must not know what runs the trials.
"""

from dataclasses import dataclass

from ..trial import Agenda, Trial
from .journal import JournalContent
from .reuse import ReusableResults, may_reuse


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a study will do first.

    Attributes:
        num_reused: trials that get an earlier result before the first is trained; later ones may follow.
        is_complete: whether nothing is left to be trained.
    """

    num_reused: int
    is_complete: bool


def dry_run(agenda: Agenda, content: JournalContent, reusable: ReusableResults | None) -> DryRun:
    """Find out what a study will do first, before anything is started for it.

    Args:
        agenda: one made for this question: what is known and found is told to it, and the rest left running.
        content: the study's own journal.
        reusable: results to take over; None where everything is to be trained.
    """
    num_reused = left = 0
    while isinstance(trial := agenda.ask(), Trial):
        result = content.result_of(trial.id)
        if reusable is None and result is not None and result.reused_from is not None:
            result = None  # it does not count, see `RecordingAgenda`
        if result is None and reusable is not None and may_reuse(trial, agenda, content):
            result = reusable.find(trial)
            num_reused += result is not None
        if result is None:
            left += 1
        else:
            agenda.tell(result)
    return DryRun(num_reused=num_reused, is_complete=trial == "done" and not left)


def find_failed_trials(agenda: Agenda, content: JournalContent) -> list[Trial]:
    """Return the failed trials that a study still asks for, in its order, retried ones included.

    A confirmation of a choice that was given up for a better one is not asked for any more.

    Args:
        agenda: one made for this question: what is known is told to it, and the rest left running.
        content: the study's journal.
    """
    failed = []
    while isinstance(trial := agenda.ask(), Trial):
        result = content.result_of(trial.id)
        if result is not None:
            agenda.tell(result)
        if trial.id in content.retried or (result is not None and result.status == "failed"):
            failed.append(trial)
    return failed
