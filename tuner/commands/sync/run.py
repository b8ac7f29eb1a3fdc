"""Bringing a study's journal, and its regime search's, into an MLflow store that was away, or into another one."""

from contextlib import closing
from dataclasses import dataclass

from rich.console import Console

from ...campaign.campaign import Campaign
from ...errors import BadInput
from ...run.answer import make_store_opener, write_answer
from ...run.journal import Journal, JournalContent
from ...run.options import RunOptions
from ...run.run import answer_from_journal, check_definition, stored_definition_of, warn_about_damage, write_report
from ...store import redact
from ...study import Study
from ...trial import Trial
from ..regime.run import read_recorded_study, regime_folder


@dataclass(frozen=True, kw_only=True)
class SyncSummary:
    """What was done.

    Attributes:
        study: its name; a regime search has one of its own.
        written: results that the store lacked.
        known: results that it had.
        address: the store's, without credentials.
        rest: what is to be said of what was not brought in; empty where nothing is left.
    """

    study: str
    written: int
    known: int
    address: str
    rest: str


def sync_study(study: Study, place: RunOptions, console: Console) -> list[SyncSummary]:
    """Writes what the store lacks of a study, and of the regime search over it where there is one.

    Of a study that has ended its figures and the arms' summaries are written too; those of a regime search are what
    running it again brings in, which knows the range that was searched.

    Args:
        study: the definition.
        place: where it lives; nothing is run.
        console: what it says goes there.

    Returns:
        What was done, for each of them.

    Raises:
        BadInput: there is no journal of either, or the store's address cannot be used.
        StudyChanged: a journal is of another definition.
        StudyLocked: the study, or the search, is being run.
        Unreachable: the store does not answer.
    """
    folder, uri = place.folder(study), place.uri(study)
    both = ((folder, _sync_own), (regime_folder(study, place), _sync_regime))
    present = [(where, what) for where, what in both if (where / "journal.jsonl").exists()]
    if not present:
        raise BadInput(f"{folder}: holds no journal: run study {study.name!r} first, or name its --store")
    done = []
    for where, what in present:
        with closing(Journal(where)) as journal:
            warn_about_damage(journal, console)
            done.append(what(study, place, uri, journal))
    return done


def _sync_own(study: Study, place: RunOptions, uri: str, journal: Journal) -> SyncSummary:
    check_definition(study, journal)
    results, sessions = journal.content.results, journal.content.sessions
    store = make_store_opener(study, uri, stored_definition_of(study), sessions)()
    written = store.sync(results.values())
    is_complete = is_finished(study, journal.content)
    if is_complete:
        found = answer_from_journal(study, place, results.values(), tuple(sessions))
        write_answer(store, found, write_report(found, place.folder(study)))
    rest = "" if is_complete else "; figures and summaries follow once the study has ended"
    return SyncSummary(study=study.name, written=written, known=len(results) - written, address=redact(uri), rest=rest)


def _sync_regime(study: Study, place: RunOptions, uri: str, journal: Journal) -> SyncSummary:
    whole = read_recorded_study(study, journal)
    results = journal.content.results
    store = make_store_opener(whole, uri, stored_definition_of(whole), journal.content.sessions)()
    written = store.sync(results.values())
    rest = "; figures and summaries follow when zerotune regime is run again"
    return SyncSummary(study=whole.name, written=written, known=len(results) - written, address=redact(uri), rest=rest)


def is_finished(study: Study, content: JournalContent) -> bool:
    """Whether a journal's results leave the study nothing to train, and at least one of them did not fail."""
    results = content.results
    campaign = Campaign(study, results, content.first_failures)
    while isinstance(trial := campaign.ask(), Trial):
        if trial.id not in results:
            return False
        campaign.tell(results[trial.id])
    return trial == "done" and any(result.status != "failed" for result in results.values())
