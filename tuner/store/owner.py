"""Whose runs are whose: a run in MLflow carries the identity of the journal that its result comes from.

A study may be run from two folders on one server, or be started over. Each journal has runs of its own, and no journal
deletes, replaces or counts those of another. This module must not know how a journal is written.
"""

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..addresses import redact
from . import record
from .runs import StoredRun

if TYPE_CHECKING:
    from mlflow import MlflowClient

MAX_NAMED = 3
"""Number of owners that a sentence names."""


class Owner(Protocol):
    """The journal whose results a store keeps."""

    @property
    def identity(self) -> str:
        """What tells the journal from every other."""

    @property
    def folder(self) -> Path:
        """The study's folder, absolute."""

    def holds(self, trial_id: str, finished_at: float) -> bool:
        """Return whether the journal recorded this result."""

    def fork(self) -> None:
        """Take another identity, since another copy of the journal has results that this one lacks."""


def owner_tags(owner: Owner) -> dict[str, str]:
    """Return the tags that say who owns a study's run."""
    return {
        record.TAG_JOURNAL: owner.identity,
        record.TAG_HOST: socket.gethostname(),
        record.TAG_FOLDER: str(owner.folder)[: record.TAG_PART_CHARACTERS],
    }


def journal_of(run_tags: Mapping[str, str]) -> str:
    """Return the identity of a run's journal; empty for runs of earlier versions, which did not keep it."""
    return run_tags.get(record.TAG_JOURNAL, "")


def describe_owner(run_tags: Mapping[str, str]) -> str:
    """Describe the owner of a study by the tags of its run: host, folder and since when, as far as they are known.

    >>> describe_owner({record.TAG_HOST: "cat", record.TAG_FOLDER: "/data/mlruns/quickstart"})
    'cat:/data/mlruns/quickstart'
    """
    host, folder = run_tags.get(record.TAG_HOST), run_tags.get(record.TAG_FOLDER)
    place = f"{host}:{folder}" if host and folder else "a folder that an earlier version did not keep"
    try:
        return f"{place}, since {json.loads(record.join_text(record.TAG_SESSIONS, run_tags))[0]['begun_at']}"
    except (ValueError, KeyError, TypeError, IndexError):  # not kept, or damaged
        return place


def describe_owners(studies: Sequence[Mapping[str, str]]) -> str:
    """Describe several owners, each by the tags of its study's run; at most `MAX_NAMED` are named."""
    owners = [describe_owner(run_tags) for run_tags in studies]
    more = [f"and {len(owners) - MAX_NAMED} more"] if len(owners) > MAX_NAMED else []
    return "; ".join([*owners[:MAX_NAMED], *more])


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The runs of a definition, by whose they are.

    Attributes:
        ours: the runs of the journal.
        others: the runs of other journals and of no known one.
        num_strange: number of results under the journal's identity that it does not hold, so that a copy of it, or the
            journal before it lost its end, wrote them.
    """

    ours: list[StoredRun]
    others: list[StoredRun]
    num_strange: int


def claim_runs(client: "MlflowClient", runs: Sequence[StoredRun], owner: Owner | None) -> Claim:
    """Find the journal's runs, and adopt those of an earlier version that hold its results, with their arms and study.

    Without an owner these are the runs that have none.
    """
    if owner is None:
        return Claim(ours=[run for run in runs if not journal_of(run.tags)], others=[], num_strange=0)
    ours = [run for run in runs if journal_of(run.tags) == owner.identity]
    strange = [key for run in ours if (key := record.measurement(run.tags)) and not owner.holds(*key)]
    adopted = _adoptable([run for run in runs if not journal_of(run.tags)], owner, has_own=bool(ours))
    for run in adopted:
        client.set_tag(run.run_id, record.TAG_JOURNAL, owner.identity)
    ours += adopted
    kept = {run.run_id for run in ours}
    return Claim(ours=ours, others=[run for run in runs if run.run_id not in kept], num_strange=len(strange))


def _adoptable(runs: Sequence[StoredRun], owner: Owner, *, has_own: bool) -> list[StoredRun]:
    """Return the runs without an owner that are the journal's; all of them, where they hold no result yet."""
    measured = {run.run_id: key for run in runs if (key := record.measurement(run.tags)) is not None}
    held = {run_id for run_id, key in measured.items() if owner.holds(*key)}
    if not held and (measured or has_own):
        return []
    return [run for run in runs if run.run_id in held or run.run_id not in measured]


def describe_others(claim: Claim, tracking_uri: str, study: str) -> str:
    """State that a store has results of other journals too."""
    studies = [run.tags for run in claim.others if run.tags.get("role") == record.ROLE_STUDY]
    number = sum(record.measurement(run.tags) is not None for run in claim.others)
    owners = f" ({describe_owners(studies)})" if studies else ""
    return (
        f"The MLflow store at {redact(tracking_uri)} also holds {_results(number)} of study {study!r} from elsewhere"
        f"{owners}: they stay as they are, and do not count here."
    )


def describe_copy(claim: Claim, tracking_uri: str, owner: Owner) -> str:
    """State that a journal is a copy, and what follows."""
    return (
        f"{owner.folder} was copied, or its journal lost its end: the MLflow store at {redact(tracking_uri)} holds "
        f"{_results(claim.num_strange)} that the journal lacks. They stay as they are; from here on this folder's "
        "results are kept apart from them."
    )


def describe_race(claim: Claim, tracking_uri: str, owner: Owner) -> str:
    """State that another copy of a journal wrote at the same time."""
    return (
        f"the MLflow store at {redact(tracking_uri)} got {_results(claim.num_strange)} from another copy of "
        f"{owner.folder} while this one was running: the two are kept apart once this one is written again"
    )


def _results(number: int) -> str:
    return f"{number} result{'' if number == 1 else 's'}"
