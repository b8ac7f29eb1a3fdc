"""The journal: an append-only file that is the source of truth for a study's progress.

The journal is a JSON Lines file, `STORE/NAME/journal.jsonl`. Its first line holds the study's definition. Each further
line records one event: a trial starts, finishes epochs or has a result, a failed result is withdrawn, another program
or machine resumes the study, the study is amended, or packs of trials were timed. Lines carry a checksum, and results
are synced to disk. Nothing is ever rewritten, so measurements survive any end of the driver, and lost work is known and
billed.

A journal has an identity, which every line carries: a random one, or for a journal of an earlier version a digest of
its first line. So two runs of one study are never taken for one, in a store or where files were joined by hand.

The lock beside it names the trial that this process trains, so that the next one can tell which trial ended it.
"""

import fcntl
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from threading import Lock
from typing import Any

from ...trainers.spec import EpochMetrics
from ..analysis.provenance import is_same_program
from ..cost import epochs_cost
from ..errors import BadInput, StudyLocked
from ..trial import TrialResult, canonical_json, content_of
from .journal_content import AMENDED, FORMAT
from .journal_content import JournalContent as JournalContent
from .journal_content import read_journal as read_journal
from .journal_lines import format_line as format_line
from .journal_lines import parse_line as parse_line


def _not_for_others(path: str, flags: int) -> int:
    """Open a file that only its owner and group may write, even under a permissive umask."""
    return os.open(path, flags, 0o664)


def _read_trial(file: int) -> str | None:
    """Return the trial id in a lock's file; None if there is none."""
    with suppress(OSError, UnicodeDecodeError):
        return os.pread(file, 100, 0).decode("ascii") or None
    return None


class Journal:
    """A study's journal, open for appending by one driver, in the study's folder, which is created if missing.

    Attributes:
        ended_in: id of the trial that the last process was training itself when it ended without closing the journal.

    Raises:
        StudyLocked: another process is running this study.
        BadInput: the journal cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.jsonl"
        self._writing = Lock()  # the thread that writes the store may find that the journal is a copy
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
        self.ended_in = _read_trial(self._lock.fileno())
        self.content = read_journal(self.path)
        # Without a definition, the file is empty or holds only a truncated first line, which is overwritten.
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
        owner = {"owner": self.content.identity} if self.content.identity else {}
        try:
            with self._writing:
                self._file.write(format_line(canonical_json({**record, **owner})) + "\n")
                self._file.flush()
                if durable:
                    os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> BadInput:
        return BadInput(
            f"{self.path}: the journal cannot be written ({error.strerror}): fix that, then run the study again to "
            "resume it"
        )

    def start_study(self, definition: Mapping[str, Any], provenance: Mapping[str, str]) -> None:
        """Write the study's definition as the first line of a new journal."""
        identity = secrets.token_hex(6)
        record = {"kind": "study", "format": FORMAT, "definition": definition, "provenance": provenance}
        self._append({**record, "identity": identity}, durable=True)
        self.content.definition = definition
        self.content.sessions.append(provenance)
        self.content._take_identity(identity)

    @property
    def identity(self) -> str:
        """What tells this journal from every other."""
        return self.content.identity

    @property
    def folder(self) -> Path:
        """The study's folder, absolute."""
        return self.path.parent.resolve()

    def holds(self, trial_id: str, finished_at: float) -> bool:
        """Return whether this journal recorded the trial's result of this time, even if it was withdrawn since."""
        return (trial_id, finished_at) in self.content._measured

    def fork(self) -> None:
        """Take another identity, since another copy of this journal has results that this one lacks."""
        identity = secrets.token_hex(6)
        self._append({"kind": "forked", "identity": identity}, durable=True)
        self.content._take_identity(identity)

    def resume(self, provenance: Mapping[str, str]) -> None:
        """Record that the study is resumed, if the program or machine has changed."""
        if not self.content.sessions or not is_same_program(self.content.sessions[-1], provenance):
            self._append({"kind": "resumed", "provenance": provenance}, durable=True)
            self.content._resume(provenance)

    def amend(self, definition: Mapping[str, Any], provenance: Mapping[str, str]) -> None:
        """Record that the study goes on with a definition that adds to its own, and what amends it."""
        record = {"kind": "study", "format": AMENDED, "definition": definition, "provenance": provenance}
        self._append({**record, "identity": self.identity}, durable=True)
        self.content._amend(definition, provenance)

    def start(self, trial_id: str) -> int:
        """Record that a trial starts, and return the attempt number, counted from 1."""
        self.content.started[trial_id] += 1
        attempt = self.content.started[trial_id]
        self._append({"kind": "started", "trial": trial_id, "attempt": attempt, "at": time.time()}, durable=False)
        return attempt

    def note_training(self, trial_id: str | None) -> None:
        """Note which trial this process trains itself; None for none."""
        with suppress(OSError):  # without the note, only a message is missing
            os.ftruncate(self._lock.fileno(), 0)
            os.write(self._lock.fileno(), (trial_id or "").encode())

    def retry_trial(self, trial_id: str) -> None:
        """Record that a failed trial will run again. Its cost so far stays on its bill."""
        self._append({"kind": "retried", "trial": trial_id}, durable=True)
        self.content._retry_trial(trial_id)

    def packs(self, trial_id: str, facts: Mapping[str, Any]) -> None:
        """Record the measured speed of trainings like this trial's, alone and in packs."""
        self._append({"kind": "packs", "trial": trial_id, **facts}, durable=False)

    def progress(self, trial_id: str, epochs: Sequence[EpochMetrics]) -> None:
        """Record finished epochs of a running trial. They are billed even if the trial is lost."""
        self.content.epochs[trial_id].extend(epochs)
        self._append({"kind": "epochs", "trial": trial_id, "epochs": [asdict(e) for e in epochs]}, durable=False)

    def finish(self, result: TrialResult) -> TrialResult:
        """Write a trial's result, synced to disk unless it was reused or looked up in a table.

        Epochs that earlier attempts reported but that are not part of the result were lost and repeated. Their cost is
        added to the result's, so that every device second is billed once. The whole cost of a withdrawn failed result
        is added as well; it still counts as one trial, and its searcher time is billed once.

        Returns:
            The result as written.
        """
        kept = {(epoch.epoch, epoch.device_seconds) for epoch in result.epochs}
        reported = self.content.epochs[result.trial.id]
        lost = [epoch for epoch in reported if (epoch.epoch, epoch.device_seconds) not in kept]
        lost += self.content.lost.get(result.trial.id, [])
        if lost:
            result = replace(result, cost=result.cost + epochs_cost(lost))
        if result.trial.id in self.content.retried:
            again = replace(result.cost, trials=0, searcher_seconds=0.0)
            result = replace(result, cost=self.content.results[result.trial.id].cost + again)
        record = {"kind": "result", "result": content_of(result)}
        can_be_had_again = result.reused_from is not None or result.is_tabulated
        self._append(record, durable=not can_be_had_again)
        self.content._put(result)
        return result

    def close(self) -> None:
        """Release the file and the lock."""
        self.note_training(None)
        with suppress(OSError):  # write errors were already reported by `_append`
            self._file.close()
        self._lock.close()
