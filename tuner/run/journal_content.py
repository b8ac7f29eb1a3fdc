"""What a journal holds: read line by line, skipping what is damaged or another journal's."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ...trainers.spec import EpochMetrics
from ..analysis.provenance import APPLICATION, RESULTS
from ..analysis.training_changes import describe_training_changes
from ..errors import BadInput
from ..study.amendments import Beginning, beginnings
from ..trial import TrialResult, check_measured, result_from_content, short_digest
from .journal_lines import identity_of, parse_line

FORMAT = 1
AMENDED = 2
"""Format of the line that amends a study: versions that know no amendments refuse the journal, and change nothing."""
_EPOCHS = TypeAdapter(tuple[EpochMetrics, ...])
_DEFINITION = TypeAdapter(dict[str, Any])
_SESSION = TypeAdapter(dict[str, str])
_IDENTITY = TypeAdapter(str)


@dataclass
class JournalContent:
    """The content of a journal.

    Attributes:
        definition: the study's content when the study started, or was amended last; empty for a new journal.
        earlier: the definitions before every amendment, the one that the study started with first.
        identity: what tells this journal from every other; empty for a new one.
        sessions: the programs and machines that ran the study, in order, each as returned by
            `tuner.analysis.provenance.collect_provenance`.
        results: the results by trial id.
        started: number of attempts by trial id.
        epochs: epochs reported by all attempts, by trial id, including repeated work. For a retried trial, only the
            epochs since the retry: the failed result's bill includes the earlier ones.
        lost: epochs of trials without a result that a session reported whose training has changed since. No training
            goes on from them, and the trial's result will bill them.
        trained_in: the position in `sessions` of the one that each result is of, by trial id.
        num_changes: how often the training changed between two sessions.
        retried: trials whose failed result was withdrawn and that have no new result yet. The failed result stays in
            `results` until then, so that it is billed even if the trial is never asked for again.
        first_failures: the first result of every trial that was ever retried, by trial id.
        unreadable_lines: number of lines without a valid record, truncated by a crash or damaged.
        foreign_results: number of results that another journal recorded, in lines put here by hand; they do not count.
    """

    definition: Mapping[str, Any] = field(default_factory=dict)
    earlier: list[Mapping[str, Any]] = field(default_factory=list)
    identity: str = ""
    sessions: list[Mapping[str, str]] = field(default_factory=list)
    results: dict[str, TrialResult] = field(default_factory=dict)
    started: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    epochs: dict[str, list[EpochMetrics]] = field(default_factory=lambda: defaultdict(list))
    lost: dict[str, list[EpochMetrics]] = field(default_factory=lambda: defaultdict(list))
    trained_in: dict[str, int] = field(default_factory=dict)
    num_changes: int = 0
    retried: set[str] = field(default_factory=set)
    first_failures: dict[str, TrialResult] = field(default_factory=dict)
    unreadable_lines: int = 0
    foreign_results: int = 0
    _identities: set[str] = field(default_factory=set)
    _measured: set[tuple[str, float]] = field(default_factory=set)
    _is_in_foreign_part: bool = False

    def result_of(self, trial_id: str) -> TrialResult | None:
        """Return the trial's result, or None if it has none or the result was withdrawn."""
        return None if trial_id in self.retried else self.results.get(trial_id)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the definition that the study was started with, whatever changed or was added since."""
        return short_digest([*self.earlier, self.definition][0])

    @property
    def beginnings(self) -> dict[tuple[str, int], Beginning]:
        """How the searches began, by arm and batch size; empty for a study that was not amended."""
        return beginnings([*self.earlier, self.definition])

    def training_of(self, session: int) -> Mapping[str, str]:
        """Return a session by its position; one that lacks the application's code gets it from the definition."""
        code, facts = self.definition.get("application_code"), self.sessions[session]
        return facts if code is None or APPLICATION in facts else {**facts, APPLICATION: f". {code}"}

    def stored_sessions(self) -> list[Mapping[str, str]]:
        """Return the sessions as a store keeps them: if the training changed, with the results of all but the last."""
        if not self.num_changes:
            return list(self.sessions)
        of_session = defaultdict(list)
        for trial_id in sorted(self.results):
            of_session[self.trained_in[trial_id]].append(trial_id)
        *earlier, last = self.sessions
        return [*({**facts, RESULTS: " ".join(of_session[i])} for i, facts in enumerate(earlier)), last]

    def _retry_trial(self, trial_id: str) -> None:
        failed = self.results[trial_id]
        if failed.status != "failed":
            raise ValueError("only failed results can be withdrawn")
        self.retried.add(trial_id)
        self.first_failures.setdefault(trial_id, failed)
        self.epochs.pop(trial_id, None)
        self.lost.pop(trial_id, None)

    def _put(self, result: TrialResult) -> None:
        self.results[result.trial.id] = result
        self._measured.add((result.trial.id, result.finished_at))
        self.trained_in[result.trial.id] = len(self.sessions) - 1
        self.retried.discard(result.trial.id)
        self.lost.pop(result.trial.id, None)

    def _resume(self, session: Mapping[str, str]) -> None:
        if self.sessions and describe_training_changes(self.training_of(-1), session):
            self.num_changes += 1
            for trial_id in [trial_id for trial_id in self.epochs if self.result_of(trial_id) is None]:
                self.lost[trial_id] += self.epochs.pop(trial_id)
        self.sessions.append(session)

    def _amend(self, definition: Mapping[str, Any], session: Mapping[str, str]) -> None:
        self.earlier.append(self.definition)
        self.definition = definition
        self._resume(session)

    def _take_identity(self, identity: str) -> None:
        self.identity = identity
        self._identities.add(identity)

    def _is_foreign(self, record: Mapping[str, Any]) -> bool:
        """Return whether another journal wrote this record; earlier versions named none, so the line above decides."""
        if "owner" in record:
            return record["owner"] not in self._identities
        is_of_another = record["kind"] == "result" and record["result"]["trial"]["study"] != self.definition["name"]
        return self._is_in_foreign_part or is_of_another


def read_journal(path: Path) -> JournalContent:
    """Read a journal, skipping truncated and damaged lines; their trials run again.

    A journal that ends within its first line counts as new: its driver was stopped before any trial started.

    Raises:
        BadInput: the file exists but its first line is not a study's definition, or it cannot be read.
    """
    content = JournalContent()
    if not path.exists():
        return content
    try:
        with path.open("rb") as file:
            for line in file:
                try:
                    _take(content, parse_line(line), path)
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    content.unreadable_lines += 1
                if not content.definition and line.endswith(b"\n"):
                    raise BadInput(
                        f"{path}: the first line is not a study's definition, so this journal cannot be resumed: "
                        "move the folder away to start over"
                    )
    except OSError as error:
        raise BadInput(f"{path}: the journal cannot be read ({error.strerror}): fix that, or move it away") from None
    return content


def _take(content: JournalContent, record: Mapping[str, Any], path: Path) -> None:
    """Add a record to the content.

    Raises:
        BadInput: the journal is intact but in another format.
        ValueError: the record is damaged; so are those that raise KeyError, TypeError or AttributeError.
    """
    if content.definition and record["kind"] != "study" and content._is_foreign(record):
        content.foreign_results += record["kind"] == "result"
        return
    match record["kind"]:
        case "study":
            if record["format"] != FORMAT and not (content.definition and record["format"] == AMENDED):
                version = record["provenance"].get("version.zerotune")
                writer = f"zerotune {version}" if version else "another version of zerotune"
                raise BadInput(
                    f"{path}: written by {writer} in format {record['format']}, which this version cannot read: run "
                    "the study with the one that wrote it, or move the folder away to start over"
                )
            identity = identity_of(record)
            if content.definition:
                content._is_in_foreign_part = identity not in content._identities
                if content._is_in_foreign_part:
                    return
                if record["format"] == FORMAT:
                    raise ValueError("a second study")
            session = _SESSION.validate_python(record["provenance"])
            definition = _DEFINITION.validate_python(record["definition"])
            if content.definition:
                content._amend(definition, session)
                return
            content.definition = definition
            content.sessions.append(session)
            content._take_identity(identity)
        case "forked":
            content._take_identity(_IDENTITY.validate_python(record["identity"]))
        case "resumed":
            content._resume(_SESSION.validate_python(record["provenance"]))
        case "started":
            content.started[record["trial"]] += 1
        case "packs":
            pass  # informative only; a resumed study measures again, perhaps on another device
        case "epochs":
            epochs = _EPOCHS.validate_python(record["epochs"])
            check_measured(epochs)
            content.epochs[record["trial"]].extend(epochs)
        case "result":
            result = result_from_content(record["result"])
            content._put(result)
        case "retried":
            content._retry_trial(record["trial"])
        case _:
            raise ValueError("unknown kind of record")
