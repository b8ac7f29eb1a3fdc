"""Read studies back from MLflow alone, for `compare`, exports and reports."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ...trainers.tables import nearest
from ..addresses import redact
from ..errors import BadInput
from ..trial import TrialResult
from . import record
from .connection import connect, read_pages, search_all_runs, translate_errors
from .locked import waits_while_locked
from .owner import describe_owner, describe_owners, journal_of
from .runs import History, StoredRun, find_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


@dataclass(frozen=True, kw_only=True)
class StoredStudy:
    """A study as stored in MLflow.

    Attributes:
        fingerprint: fingerprint of the definition that the results belong to.
        resolved_study: that definition, as plain JSON values.
        sessions: the programs and machines that ran it, in order; empty for stores of versions that did not keep them.
        results: the trials in the order they finished; exact, but without epochs unless requested.
        num_expected: number of results that there should be, those that were deleted in MLflow included.
        num_planned: number of trials planned.
        has_ended: whether the study has ended. Like the two numbers, None for stores that do not say.
        remarks: sentences about whose results these are, where others have run the study too.
    """

    name: str
    fingerprint: str
    resolved_study: Mapping[str, Any]
    sessions: tuple[Mapping[str, str], ...]
    results: tuple[TrialResult, ...]
    num_expected: int | None = None
    num_planned: int | None = None
    has_ended: bool | None = None
    remarks: tuple[str, ...] = ()


@waits_while_locked
def list_studies(tracking_uri: str) -> list[str]:
    """Return the sorted names of the studies in a store.

    Raises:
        BadInput: the address is invalid, or there is no store.
        Unreachable: the store does not answer.
    """
    return _studies(connect(tracking_uri, create=False), tracking_uri)


@waits_while_locked
def read_results(
    tracking_uri: str,
    study_name: str,
    fingerprint: str | None = None,
    *,
    journal: str | None = None,
    with_epochs: bool = False,
) -> StoredStudy:
    """Return a study's results exactly as they were written.

    Args:
        tracking_uri: `sqlite:///FILE`, a database or an MLflow server.
        fingerprint: fingerprint of the study's definition; None for the definition started last.
        journal: identity of the journal whose results to read; None for the one started last.
        with_epochs: whether to also fetch the per-epoch metrics. A server needs one request per metric and trial.

    Raises:
        BadInput: the store, study or fingerprint does not exist, or a run in the store is damaged.
        Unreachable: the store does not answer.
    """
    client = connect(tracking_uri, create=False)
    experiment_id = find_experiment(client, tracking_uri, study_name)
    with translate_errors(tracking_uri, f"read the study {study_name!r}"):
        definitions = search_all_runs(client, experiment_id, f"tags.role = '{record.ROLE_STUDY}'")
        study_run = _chosen(definitions, study_name, fingerprint, journal)
        tags = study_run.data.tags
        chosen, owner = tags[record.TAG_FINGERPRINT], journal_of(tags)
        runs = find_runs(client, experiment_id, chosen)
        trials = [run for run in runs.stored() if _is_trial(run) and journal_of(run.tags) == owner]
        histories = runs.histories([run.run_id for run in trials]) if with_epochs else {}
        results = [_result(run, histories.get(run.run_id)) for run in trials]
    return StoredStudy(
        name=study_name,
        fingerprint=chosen,
        resolved_study=json.loads(record.join_text(record.TAG_DEFINITION, tags)),
        sessions=tuple(json.loads(record.join_text(record.TAG_SESSIONS, tags) or "[]")),
        results=tuple(sorted(results, key=lambda result: (result.finished_at, result.trial.id))),
        num_expected=_number(tags.get(record.TAG_RESULTS)),
        num_planned=_number(tags.get(record.TAG_PLANNED)),
        has_ended={"true": True, "false": False}.get(tags.get(record.TAG_ENDED, "")),
        remarks=_remarks(definitions, study_run, journal),
    )


def find_experiment(client: "MlflowClient", tracking_uri: str, study_name: str) -> str:
    """Return the id of a study's experiment.

    Raises:
        BadInput: there is none; the message lists the existing studies.
    """
    with translate_errors(tracking_uri, f"find the study {study_name!r}"):
        experiment = client.get_experiment_by_name(study_name)
    if experiment is not None and experiment.lifecycle_stage == "active" and record.TAG_STUDY in experiment.tags:
        return str(experiment.experiment_id)
    known = _studies(client, tracking_uri)
    guess = nearest(study_name, known)
    hint = f" did you mean {guess!r}?" if guess else ""
    raise BadInput(
        f"no study {study_name!r} in the MLflow store at {redact(tracking_uri)}:{hint} "
        f"It holds: {', '.join(known) or 'no study'}."
    )


def _studies(client: "MlflowClient", tracking_uri: str) -> list[str]:
    with translate_errors(tracking_uri, "list its studies"):
        experiments = read_pages(client.search_experiments)
    return sorted(experiment.name for experiment in experiments if record.TAG_STUDY in experiment.tags)


def _chosen(definitions: "list[Run]", study_name: str, fingerprint: str | None, journal: str | None) -> "Run":
    by_fingerprint = {run.data.tags[record.TAG_FINGERPRINT]: run for run in definitions}
    if not by_fingerprint:
        raise BadInput(f"the experiment {study_name!r} holds no study: its study run was deleted; run the study again")
    if fingerprint is None:
        return find_study_run(definitions, journal)
    if fingerprint not in by_fingerprint:
        raise BadInput(
            f"study {study_name!r} has no results of the definition {fingerprint!r}; "
            f"it has: {', '.join(by_fingerprint)}"
        )
    return find_study_run([run for run in definitions if run.data.tags[record.TAG_FINGERPRINT] == fingerprint], journal)


def find_study_run(studies: "Sequence[Run]", journal: str | None) -> "Run":
    """Return a journal's study run, or the one started last if it has none; `studies` is not empty."""
    return next((run for run in studies if journal and journal_of(run.data.tags) == journal), studies[-1])


def _remarks(definitions: "list[Run]", chosen: "Run", journal: str | None) -> tuple[str, ...]:
    """State whose results were chosen, where that is not evident; nothing where it is not known."""
    owner = journal_of(chosen.data.tags)
    others = [run.data.tags for run in definitions if journal_of(run.data.tags) != owner]
    if not owner or owner == journal or (journal is None and not others):
        return ()
    if journal is not None:
        return (
            f"Not this folder's results, which the store lacks: those of {describe_owner(chosen.data.tags)}. zerotune "
            "sync writes this folder's.",
        )
    return (
        f"The results of one of {len(others) + 1} runs of this study: {describe_owner(chosen.data.tags)}, which was "
        f"started last. Not shown: {describe_owners(others)}. --store DIR, the folder that holds the study's, shows "
        "another.",
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _is_trial(run: StoredRun) -> bool:
    """Return whether a run records a trial. A partially written run does not; `sync` rewrites it."""
    return record.TAG_TRIAL in run.tags and f"{record.TAG_RECORD}.0" in run.tags


def _result(run: StoredRun, history: History | None) -> TrialResult:
    try:
        result, num_epochs = record.result_from_tags(run.tags)
        if history is None:
            return result
        return replace(result, epochs=record.epochs_from_history(run.tags, num_epochs, history))
    except record.RecordError as error:
        raise BadInput(
            f"the MLflow run {run.tags.get('mlflow.runName')!r} ({run.run_id}) cannot be read: {error}. It was "
            "damaged, or written by another version of zerotune: read it with that one, or delete this run in MLflow "
            "and run the study again, which writes it again from its journal"
        ) from error
