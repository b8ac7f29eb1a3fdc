"""Dry run of a study: find reused and failed trials before any training.

This module must not know what runs the trials.
"""

from dataclasses import dataclass

from ..trial import Agenda, Trial
from .journal import JournalContent
from .reuse import ReusableResults, may_reuse


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a study will do before its first training.

    Attributes:
        num_reused: trials that reuse an earlier result before the first training. More may follow later.
        is_complete: whether nothing is left to train.
    """

    num_reused: int
    is_complete: bool


def dry_run(agenda: Agenda, content: JournalContent, reusable: ReusableResults | None) -> DryRun:
    """Find out what a study will do first, without starting anything.

    Args:
        agenda: an agenda of its own, used up here: known and reused results are told to it, and other trials are left
            running.
        content: content of the study's own journal.
        reusable: results to reuse; None to train everything.
    """
    num_reused = left = 0
    while isinstance(trial := agenda.ask(), Trial):
        result = content.result_of(trial.id)
        if reusable is None and result is not None and result.reused_from is not None:
            result = None  # reused results do not count here, see `RecordingAgenda`
        if result is None and reusable is not None and may_reuse(trial, agenda, content):
            result = reusable.find(trial)
            num_reused += result is not None
        if result is None:
            left += 1
        else:
            agenda.tell(result)
    return DryRun(num_reused=num_reused, is_complete=trial == "done" and not left)


def find_failed_trials(agenda: Agenda, content: JournalContent) -> list[Trial]:
    """Return the failed trials that the study still asks for, in its order, including retried ones.

    Confirmations of a choice that was replaced by a better one are no longer asked for.

    Args:
        agenda: an agenda of its own, used up here: known results are told to it, and other trials are left running.
        content: content of the study's journal.
    """
    failed = []
    while isinstance(trial := agenda.ask(), Trial):
        result = content.result_of(trial.id)
        if result is not None:
            agenda.tell(result)
        if trial.id in content.retried or (result is not None and result.status == "failed"):
            failed.append(trial)
    return failed
