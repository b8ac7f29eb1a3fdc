"""The journal: an append-only file that is the truth of what a study has done.

JSON lines in `STORE/NAME/journal.jsonl`. The first line holds the study's definition; then a line when a trial starts,
lines with the epochs it has finished, a line with its result, one that takes a failed result back, one where another
program or machine goes on, and one where packs of trials were timed. Lines carry a checksum, and results are forced to
disk. Nothing is ever rewritten, so whatever ends the driver, what was measured is there, and work that was lost is
known and billed.
"""

import fcntl
import json
import os
import re
import time
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ...trainers.spec import EpochMetrics
from ..analysis.provenance import is_same_program
from ..cost import epochs_cost
from ..errors import BadInput, StudyLocked
from ..trial import TrialResult, canonical_json, check_measured, result_from_content, result_to_json

FORMAT = 1
_EPOCHS = TypeAdapter(tuple[EpochMetrics, ...])
_DEFINITION = TypeAdapter(dict[str, Any])
_SESSION = TypeAdapter(dict[str, str])
_SUM = re.compile(rb',"sum":"([0-9a-f]{8})"}\n?\Z')
"""The end of a line; one without is damaged where its checksum stood."""


class _OtherFormatError(Exception):
    """A whole journal of another format."""


@dataclass
class JournalContent:
    """The content of a journal.

    Attributes:
        definition: the study's content as it was when the study began; empty for a new journal.
        sessions: what programs and machines drove the study, in order, each as
            `tuner.analysis.provenance.collect_provenance` gives it.
        results: the results by trial id.
        started: how often each trial was started.
        epochs: epochs that attempts reported, by trial id, work that was done twice included; of a failed trial that is
            run again, those since then, since the earlier ones are on the failed result's bill.
        retried: trials whose failed result was taken back and that have no other yet: to be run again. Until then the
            failed result stays among `results`, so that it is billed even if nobody asks for the trial any more.
        first_failures: the first result, by trial id, of the trials that were ever taken back.
        unreadable_lines: lines that hold no record: cut short by a crash, or damaged.
    """

    definition: Mapping[str, Any] = field(default_factory=dict)
    sessions: list[Mapping[str, str]] = field(default_factory=list)
    results: dict[str, TrialResult] = field(default_factory=dict)
    started: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    epochs: dict[str, list[EpochMetrics]] = field(default_factory=lambda: defaultdict(list))
    retried: set[str] = field(default_factory=set)
    first_failures: dict[str, TrialResult] = field(default_factory=dict)
    unreadable_lines: int = 0

    def result_of(self, trial_id: str) -> TrialResult | None:
        """Return the trial's result; None where there is none, or where it was taken back."""
        return None if trial_id in self.retried else self.results.get(trial_id)

    def _retry_trial(self, trial_id: str) -> None:
        failed = self.results[trial_id]
        if failed.status != "failed":
            raise ValueError("only failed results are taken back")
        self.retried.add(trial_id)
        self.first_failures.setdefault(trial_id, failed)
        self.epochs.pop(trial_id, None)

    def _put(self, result: TrialResult) -> None:
        self.results[result.trial.id] = result
        self.retried.discard(result.trial.id)


def read_journal(path: Path) -> JournalContent:
    """Read a journal, skipping lines that are cut or damaged: their trials run again.

    A journal that ends within its first line is a new one: its driver was stopped before any trial began.

    Raises:
        BadInput: the file is there but its first line is not a study's definition, or it cannot be read.
    """
    content = JournalContent()
    if not path.exists():
        return content
    try:
        with path.open("rb") as file:
            for line in file:
                try:
                    _take(content, parse_line(line))
                except _OtherFormatError as error:
                    raise BadInput(
                        f"{path}: {error}, which this version does not read: run the study with that one, or move the "
                        "folder away to start the study anew"
                    ) from None
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    content.unreadable_lines += 1
                if not content.definition and line.endswith(b"\n"):
                    raise BadInput(
                        f"{path}: the first line is not a study's definition, so this journal cannot be resumed: "
                        "move the folder away to start the study anew"
                    )
    except OSError as error:
        raise BadInput(f"{path}: the journal cannot be read ({error.strerror}): mend that, or move it away") from None
    return content


def _take(content: JournalContent, record: Mapping[str, Any]) -> None:
    match record["kind"]:
        case "study":
            if record["format"] != FORMAT:
                version = record["provenance"].get("version.zerotune")
                writer = f"zerotune {version}" if version else "another version of zerotune"
                raise _OtherFormatError(f"written by {writer} in format {record['format']}")
            if content.definition:
                raise ValueError("a second study")
            session = _SESSION.validate_python(record["provenance"])
            content.definition = _DEFINITION.validate_python(record["definition"])
            content.sessions.append(session)
        case "resumed":
            content.sessions.append(_SESSION.validate_python(record["provenance"]))
        case "started":
            content.started[record["trial"]] += 1
        case "packs":
            pass  # for a reader of the file; a resumed study measures anew, perhaps on another device
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


def parse_line(line: bytes) -> Any:
    """Return the record in a line of a journal.

    Raises:
        ValueError: it is not what was written: no JSON, or its checksum is missing or of something else.
        RecursionError: it is nested deeper than any record.
    """
    found = _SUM.search(line)
    if found is None or found[1] != _checksum(line[: found.start()] + b"}"):
        raise ValueError("no checksum, or another")
    return json.loads(line)


def format_line(text: str) -> str:
    """Return a record's JSON text with its checksum, as a line that `parse_line` reads."""
    return f'{text[:-1]},"sum":"{_checksum(text.encode()).decode()}"}}'


def _checksum(record: bytes) -> bytes:
    """Return eight hex digits that find what a failing disk or memory changed; no protection against forgery."""
    return b"%08x" % zlib.crc32(record)


def _not_for_others(path: str, flags: int) -> int:
    """Open a file that only its owner and group may write, however open the process makes its files."""
    return os.open(path, flags, 0o664)


class Journal:
    """A study's journal, open for appending by one driver.

    Args:
        folder: the study's folder; made where absent.

    Raises:
        StudyLocked: another process drives this study.
        BadInput: the journal cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o775)
            self._lock = open(folder / "lock", "a+", opener=_not_for_others)  # noqa: SIM115  # until closed
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StudyLocked(
                f"{folder}: another process is running this study: wait for it, or stop it, then run again"
            ) from None
        except OSError as error:
            raise BadInput(
                f"{folder}: the study's folder cannot be written ({error.strerror}): choose another --store"
            ) from None
        self.content = read_journal(self.path)
        # Without a definition the file is empty, or the start of a first line, which holds nothing.
        mode = "a" if self.content.definition else "w"
        try:
            self._file = open(self.path, mode, encoding="utf-8", opener=_not_for_others)  # noqa: SIM115  # until closed
        except OSError as error:
            raise self._unwritable(error) from None
        if self._file.tell() and not self._ends_in_newline():
            self._file.write("\n")

    def _ends_in_newline(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def _append(self, record: Mapping[str, Any], *, durable: bool) -> None:
        try:
            self._file.write(format_line(canonical_json(record)) + "\n")
            self._file.flush()
            if durable:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> BadInput:
        return BadInput(
            f"{self.path}: the journal cannot be written ({error.strerror}): mend that, then run again to go on"
        )

    def start_study(self, definition: Mapping[str, Any], provenance: Mapping[str, str]) -> None:
        """Write the study's definition as the first line of a new journal."""
        record = {"kind": "study", "format": FORMAT, "definition": definition, "provenance": provenance}
        self._append(record, durable=True)
        self.content.definition = definition
        self.content.sessions.append(provenance)

    def resume(self, provenance: Mapping[str, str]) -> None:
        """Record that the study goes on, where program or machine differ from before."""
        if not self.content.sessions or not is_same_program(self.content.sessions[-1], provenance):
            self._append({"kind": "resumed", "provenance": provenance}, durable=True)
            self.content.sessions.append(provenance)

    def start(self, trial_id: str) -> int:
        """Record that a trial starts; return which attempt it is, from 1."""
        self.content.started[trial_id] += 1
        attempt = self.content.started[trial_id]
        self._append({"kind": "started", "trial": trial_id, "attempt": attempt, "at": time.time()}, durable=False)
        return attempt

    def retry_trial(self, trial_id: str) -> None:
        """Record that a failed trial is to be run again; what it cost stays on its bill."""
        self._append({"kind": "retried", "trial": trial_id}, durable=True)
        self.content._retry_trial(trial_id)

    def packs(self, trial_id: str, facts: Mapping[str, Any]) -> None:
        """Record how fast trainings like this trial's are, alone and in packs."""
        self._append({"kind": "packs", "trial": trial_id, **facts}, durable=False)

    def progress(self, trial_id: str, epochs: Sequence[EpochMetrics]) -> None:
        """Record finished epochs of a running trial, which are billed even if the trial is lost."""
        self.content.epochs[trial_id].extend(epochs)
        self._append({"kind": "epochs", "trial": trial_id, "epochs": [asdict(e) for e in epochs]}, durable=False)

    def finish(self, result: TrialResult) -> TrialResult:
        """Write a trial's result, durably where it was trained here.

        Epochs that earlier attempts reported and that are no part of the result were lost and done again: they are
        added to the result's cost here, so that every second held is billed once. So is the whole bill of a failed
        result that was taken back; it stays one trial, and what it took to propose it is billed once.

        Returns:
            The result as it was written.
        """
        kept = {(epoch.epoch, epoch.device_seconds) for epoch in result.epochs}
        reported = self.content.epochs[result.trial.id]
        lost = [epoch for epoch in reported if (epoch.epoch, epoch.device_seconds) not in kept]
        if lost:
            result = replace(result, cost=result.cost + epochs_cost(lost))
        if result.trial.id in self.content.retried:
            again = replace(result.cost, trials=0, searcher_seconds=0.0)
            result = replace(result, cost=self.content.results[result.trial.id].cost + again)
        record = {"kind": "result", "result": json.loads(result_to_json(result))}
        self._append(record, durable=result.reused_from is None)  # one that was taken over can be again
        self.content._put(result)
        return result

    def close(self) -> None:
        """Release the file and the lock."""
        with suppress(OSError):  # what cannot be written was said when it was appended
            self._file.close()
        self._lock.close()
