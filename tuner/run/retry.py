"""Failed trials that are to be run again: which those are, and taking their results back in the journal.

This module must not know what runs the trials.
"""

from contextlib import suppress
from pathlib import Path

from ..reports.text.format import pluralize
from ..trial import Agenda, Trial
from .journal import Journal, JournalContent


def failed_trials(agenda: Agenda, content: JournalContent) -> list[Trial]:
    """The failed trials that a study still asks for, in its order; those too that are to be run again already.

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


def take_back_failed(agenda: Agenda, name: str, journal: Journal, checkpoints: Path | None) -> str:
    """Takes back the results of the failed trials, which are then run again from their start.

    Args:
        agenda: as of `failed_trials`.
        name: of the study, to be said.
        journal: the study's, open for appending.
        checkpoints: the folder of its trials' checkpoints; None where there are none.

    Returns:
        What was done, one sentence.

    Raises:
        BadInput: the journal cannot be written.
    """
    content = journal.content
    failed = failed_trials(agenda, content)
    for trial in failed:
        if trial.id in content.retried:
            continue
        # A worker that died leaves one; its epochs are on the failed attempt's bill, and would be on the next's too.
        if checkpoints is not None:
            with suppress(OSError):
                (checkpoints / f"{trial.id}.pt").unlink()
        journal.take_back(trial.id)
    if not failed:
        return f"{name}: no trial has failed, so that none is run again"
    return f"{name}: {pluralize(len(failed), 'failed trial')} to be run again"
