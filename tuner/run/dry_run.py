"""Dry run of a study: find reused and failed trials before any training.

This module must not know what runs the trials.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..trial import Agenda, Trial
from .journal import JournalContent
from .reuse import ReusableResults, may_reuse


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a study will do before its first training.

    Attributes:
        num_reused: trials that reuse an earlier result before the first training. More may follow later.
        failed: failed trials to run again, in the study's order.
        is_complete: whether nothing is left to train.
    """

    num_reused: int = 0
    failed: Sequence[Trial] = ()
    is_complete: bool = False


def dry_run(
    agenda: Agenda, content: JournalContent, reusable: ReusableResults | None, *, retry_failed: bool = False
) -> DryRun:
    """Find out what a study will do first, without starting anything.

    Args:
        agenda: an agenda of its own, used up here: known and reused results are told to it, and other trials are left
            running.
        content: content of the study's own journal.
        reusable: results to reuse; None to train everything, reused results of the journal included.
        retry_failed: whether failed trials will run again. Those that the study no longer asks for will not, such as
            confirmations of a choice that was replaced by a better one.
    """
    num_reused = num_left = 0
    failed: list[Trial] = []
    while isinstance(trial := agenda.ask(), Trial):
        result = content.result_of(trial.id)
        if retry_failed and (trial.id in content.retried or (result is not None and result.status == "failed")):
            failed.append(trial)
        is_retrained = reusable is None and result is not None and result.reused_from is not None
        if result is None and reusable is not None and may_reuse(trial, agenda, content):
            result = reusable.find(trial)
            num_reused += result is not None and not failed  # what follows from a failed trial may change
        num_left += result is None or is_retrained
        if result is not None:
            agenda.tell(result)
    return DryRun(num_reused=num_reused, failed=tuple(failed), is_complete=trial == "done" and not (num_left or failed))
