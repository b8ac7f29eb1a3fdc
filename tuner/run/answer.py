"""The answer of a study, built from the results in a journal or read from a store."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.text import Text

from ...trainers.applications import APPLICATIONS
from ..addresses import STORE
from ..analysis.amendments import count_looks, read_amendments
from ..analysis.comparison import compare
from ..analysis.provenance import RESULTS, Origin
from ..analysis.study_facts import facts_of
from ..errors import BadInput
from ..reports.answer import Answer
from ..reports.text.amendments import describe_amendments
from ..reports.text.missing import describe_progress, describe_unconfirmed
from ..store import Store, read_results, store_uri
from ..store.connection import absolute_uri
from ..study import Study, load_study
from ..study.fields import is_name
from ..trial import TrialResult
from .command_text import format_report_command, format_study_options
from .journal import Journal
from .journal_lines import read_identity
from .summary import spent_metrics, study_metrics, study_tags, summary_metrics, summary_tags

CHANCE_SCORE = "chance_score"
"""Key of a stored definition with the score of guessing, which earlier versions did not store."""


def stored_definition(study: Study) -> dict[str, Any]:
    """Return the resolved study in stored form, with the metric and direction that readers need."""
    application = APPLICATIONS[study.application]
    return {
        **study.resolved(),
        "metric": application.metric,
        "higher_is_better": application.higher_is_better,
        CHANCE_SCORE: application.chance_score,
    }


def read_answer(
    study: Study | str | Path,
    *,
    store: str | Path | None = None,
    tracking_uri: str | None = None,
    with_epochs: bool = True,
) -> Answer:
    """Read a study's answer from its store.

    If others have run the study there too, use the results of the journal in `store`; without one, those of the study
    that was started last.

    Args:
        study: a definition, the path of a study file, or the name of a study in the store.
        store: folder of the local store; None for mlruns.
        tracking_uri: MLflow server or database; None as in `run_study`.
        with_epochs: whether to also read per-epoch metrics, which learning curves need. A server needs several
            requests per trial for them.

    Returns:
        The answer, equal to the one that `run_study` returned.

    Raises:
        BadInput: the store or study does not exist.
        Unreachable: the store does not answer.
    """
    root = STORE if store is None else Path(store)
    uri, name = find_store_and_name(study, None if store is None else root, tracking_uri)
    journal = read_identity(root / name / "journal.jsonl")
    stored = read_results(uri, name, journal=journal, with_epochs=with_epochs)
    origin = Origin(
        definition=stored.resolved_study,
        fingerprint=stored.fingerprint,
        sessions=stored.sessions,
        command=format_report_command(uri, name, root),
        places=format_study_options(uri, root, stored.resolved_study["application"]),
    )
    found = build_answer(stored.results, origin)
    progress = describe_progress(
        len(stored.results), stored.num_expected, num_planned=stored.num_planned, has_ended=stored.has_ended
    )
    return replace(found, missing=(*stored.remarks, *progress, *found.missing))


def find_store_and_name(study: Study | str | Path, store: Path | None, tracking_uri: str | None) -> tuple[str, str]:
    """Return the address of the MLflow store and the study's name; a bare name needs no study file.

    Raises:
        BadInput: the study file is invalid, or `tuner.store.store_uri` refuses the address.
    """
    if not isinstance(study, Study):
        try:
            study = load_study(study)
        except BadInput:
            if not is_name(str(study)):  # not a valid study name, so it must have been meant as a file
                raise
            return store_uri(store, named=tracking_uri, in_study=None), str(study)
    return store_uri(store, named=tracking_uri, in_study=study.tracking_uri), study.name


def build_answer(results: Iterable[TrialResult], origin: Origin) -> Answer:
    """Build the answer from results in any order, whose origin has a definition returned by `stored_definition`."""
    in_order = tuple(sorted(results, key=lambda result: (result.finished_at, result.trial.id)))
    definition = origin.definition
    facts = facts_of(
        origin.study,
        metric=definition["metric"],
        higher_is_better=definition["higher_is_better"],
        chance_score=_chance_score(definition),
    )
    amendments = read_amendments(origin.sessions)
    facts = replace(facts, looks=count_looks(amendments), is_amended=bool(amendments))
    comparison = compare(facts, in_order)
    return Answer(comparison=comparison, results=in_order, origin=origin, missing=describe_unconfirmed(comparison))


def _chance_score(definition: Mapping[str, Any]) -> float | None:
    """Return the score of guessing; where it was not stored, that of the application, if known."""
    if CHANCE_SCORE in definition:
        return float(definition[CHANCE_SCORE])
    application = APPLICATIONS.get(definition["application"])
    return None if application is None else application.chance_score


def make_store_opener(
    study: Study, tracking_uri: str, journal: Journal, num_planned: int | None = None, *, begins: bool = False
) -> Callable[[], Store]:
    """Return a function that opens a study's store for its journal, called again after every failure.

    Args:
        study: the definition.
        tracking_uri: the address.
        journal: gives the results' identity and the sessions.
        num_planned: number of trials planned; None if it is not known.
        begins: whether trials are about to run, so that the stored study is unfinished until `Store.finish`.
    """
    definition, methods = stored_definition(study), {arm.name: arm.method for arm in study.arms}
    content = journal.content
    sessions = content.stored_sessions()
    tracking_uri = absolute_uri(tracking_uri)  # another thread opens it, and the working directory may change

    def opened() -> Store:
        store = Store(tracking_uri, study.name, content.fingerprint, definition, methods, journal)
        store.write_sessions(sessions)
        if begins:
            store.write_progress(num_results=len(content.results), num_planned=num_planned, has_ended=False)
        return store

    return opened


def report_store_state(console: Console, command: str, sentence: str, is_behind: bool) -> None:
    """Print the state of the store, with the sync command if results are missing from it."""
    if not is_behind:
        console.print(Text(sentence, style="green"))
        return
    what = Text(f"{sentence} To bring them in later:", style="yellow")
    to_copy = Text(f"  {command}", style="yellow", no_wrap=True, overflow="ignore")
    console.print(Group(what, to_copy), crop=False)


def write_answer(store: Store, found: Answer, files: Iterable[Path]) -> None:
    """Write the report files, the answer's sessions, and what the first screen shows of each arm and of the study."""
    if any(RESULTS in session for session in found.origin.sessions):
        store.write_sessions(found.origin.sessions)  # a session has other results where a trial was trained again
    store.log_artifacts(files, "report")
    comparison = found.comparison
    for row in (*comparison.rows, *([comparison.baseline] if comparison.baseline else [])):
        if row.search.trials or row.num_seeds:
            metrics, tags = summary_metrics(comparison, row), summary_tags(comparison, row)
            store.summarise(row.arm, row.batch_size, metrics, tags)
    for (arm, batch_size), cost in comparison.ledger.arms().items():
        store.summarise(arm, batch_size, spent_metrics(cost, comparison.unknown))
    *each, whole = found.first_lines  # the UI shows the beginning
    sentences = (*found.missing, whole, *each, *describe_amendments(found))
    store.summarise_study(study_metrics(comparison), study_tags(found), sentences)
    store.finish()
