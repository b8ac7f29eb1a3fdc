"""Write the journals of a study and of its regime search to an MLflow store that lacks them."""

from contextlib import closing

from rich.console import Console
from rich.text import Text

from ...analysis.provenance import application_provenance
from ...campaign.campaign import Campaign
from ...errors import BadInput
from ...reports.text.format import pluralize
from ...run.answer import make_store_opener, write_answer
from ...run.journal import Journal, JournalContent
from ...run.options import RunOptions
from ...run.run import answer_from_journal, write_report
from ...run.same_training import check_definition, check_training
from ...run.session import warn_about_damage
from ...run.store_writing import WritingDisplay
from ...store import Store, redact
from ...store.locked import wait_while_locked
from ...study import Study
from ...trial import Trial
from ..regime.run import read_recorded_study, regime_folder


def sync_study(
    study: Study, options: RunOptions, console: Console, *, accept_changes: bool = False, command: str = "zerotune sync"
) -> list[str]:
    """Write the results that the store lacks, of a study and of a regime search over it.

    The figures and the arms' summaries of a finished study are written too. Those of a regime search are written when
    it is run again, since only that knows the range that was searched. Notices are printed on the console.

    The application's code and environment must be those of the results, unless changes are accepted: metric and
    summaries come from them. Packages and data need not, since nothing is trained.

    Returns:
        A sentence per journal: what was written, and what is still missing.

    Raises:
        BadInput: neither has a journal, or the store's address cannot be used.
        StudyChanged: a journal belongs to another definition, or its results to another code of the application.
        StudyLocked: the study, or the search, is running.
        Unreachable: the store does not answer.
    """
    folder, uri = options.folder(study), options.uri(study)
    writers = ((folder, _sync_journal), (regime_folder(study, options), _sync_regime))
    present = [(where, what) for where, what in writers if (where / "journal.jsonl").exists()]
    if not present:
        raise BadInput(f"{folder}: holds no journal: run study {study.name!r} first, or name its --store")
    done = []
    for where, what in present:
        with closing(Journal(where)) as journal:
            warn_about_damage(journal, console)
            facts = application_provenance(study)
            told = check_training(where.name, journal, facts, accept_changes=accept_changes, command=command)
            if told and accept_changes:
                console.print(Text(told, style="yellow"))
            done.append(what(study, options, uri, journal, console))
    return done


def _sync_journal(study: Study, options: RunOptions, uri: str, journal: Journal, console: Console) -> str:
    check_definition(study, journal)
    store, done = _write_results(study, uri, journal, console)
    if not is_finished(study, journal.content):
        num_planned = sum(cell.num_planned for cell in Campaign(study, begun=journal.content.beginnings).cells)
        store.write_progress(num_results=len(journal.content.results), num_planned=num_planned, has_ended=False)
        return f"{done}; figures and summaries follow once the study has ended"
    found = answer_from_journal(study, options, journal.content)
    files = write_report(found, options.folder(study))
    wait_while_locked(lambda: write_answer(store, found, files))
    return done


def _sync_regime(study: Study, options: RunOptions, uri: str, journal: Journal, console: Console) -> str:
    store, done = _write_results(read_recorded_study(study, journal), uri, journal, console)
    store.write_progress(num_results=len(journal.content.results))
    return f"{done}; figures and summaries follow when zerotune regime is run again"


def _write_results(study: Study, uri: str, journal: Journal, console: Console) -> tuple[Store, str]:
    """Write the results that the store lacks; return the store and how many there were."""
    results = journal.content.results
    store = wait_while_locked(make_store_opener(study, uri, journal))
    for note in store.notes:
        console.print(Text(note))
    display = WritingDisplay(console)
    try:
        num_written = wait_while_locked(lambda: store.sync(display.watch(results.values())))
    finally:
        display.stop()
    num_known = len(results) - num_written
    written = f"{pluralize(num_written, 'result')} written to {redact(uri)}, {num_known} there before"
    return store, f"{study.name}: {written}"


def is_finished(study: Study, content: JournalContent) -> bool:
    """Return whether nothing is left to train, and at least one trial did not fail."""
    results = content.results
    campaign = Campaign(study, results, content.first_failures, content.beginnings)
    while isinstance(trial := campaign.ask(), Trial):
        if trial.id not in results:
            return False
        campaign.tell(results[trial.id])
    return trial == "done" and any(result.status != "failed" for result in results.values())
