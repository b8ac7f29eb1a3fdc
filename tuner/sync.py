"""Bringing a study's journal into an MLflow store: one that did not answer while it ran, or another one."""

from contextlib import closing
from dataclasses import dataclass

from rich.console import Console

from tuner.campaign import Campaign
from tuner.errors import BadInput
from tuner.journal import Journal, JournalContent
from tuner.run import Place, answer_at_hand, check_definition, definition_of, draw, tell_damage
from tuner.store import redact
from tuner.study import Study
from tuner.tracking import keep, store_opener
from tuner.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Synced:
    """What was done.

    Attributes:
        written: results that the store lacked.
        known: results that it had.
        address: the store's, without credentials.
        is_complete: whether the study has ended, so that its figures and summaries were brought in too.
    """

    written: int
    known: int
    address: str
    is_complete: bool


def sync_study(study: Study, place: Place, console: Console) -> Synced:
    """Writes what the store lacks of a study; of one that has ended also the figures and the arms' summaries.

    Args:
        study: the definition.
        place: where it lives; nothing is run.
        console: what it says goes there.

    Raises:
        BadInput: there is no journal of the study, or the store's address cannot be used.
        StudyChanged: the journal is of another definition.
        StudyLocked: the study is being run.
        Unreachable: the store does not answer.
    """
    folder, uri = place.folder(study), place.uri(study)
    if not (folder / "journal.jsonl").exists():
        raise BadInput(f"{folder}: holds no journal: run study {study.name!r} first, or name its --store")
    with closing(Journal(folder)) as journal:
        check_definition(study, journal)
        tell_damage(journal, console)
        results, sessions = journal.content.results, journal.content.sessions
        store = store_opener(study, uri, definition_of(study), sessions)()
        written = store.sync(results.values())
        is_complete = has_ended(study, journal.content)
        if is_complete:
            found = answer_at_hand(study, place, results.values(), tuple(sessions))
            keep(store, found, draw(found, folder))
    return Synced(written=written, known=len(results) - written, address=redact(uri), is_complete=is_complete)


def has_ended(study: Study, content: JournalContent) -> bool:
    """Whether a journal's results leave the study nothing to train, and at least one of them did not fail."""
    results = content.results
    campaign = Campaign(study, results, content.first_failures)
    while isinstance(trial := campaign.ask(), Trial):
        if trial.id not in results:
            return False
        campaign.tell(results[trial.id])
    return trial == "done" and any(result.status != "failed" for result in results.values())
