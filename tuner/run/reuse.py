"""Result reuse: use an earlier result for a trial instead of training the same configuration again.

A training is identified by the trial's configuration (`Trial.content_id`), independent of study, arm and role. A result
is reused if its session trained in the same way (`tuner.analysis.provenance.is_same_training`) on the same kind of
device. It then equals the result of a new training, so the study's outcome does not depend on the content of the store.
On devices that are not bitwise reproducible (GPUs), it is one of the possible results of a new training.

Journals of other studies are read, never locked or written. This module must not know who trains.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from ...trainers.flops_and_memory import device_model
from ..analysis.provenance import is_same_training
from ..study import Study
from ..trial import Agenda, Trial, TrialResult, is_score, result_from_content, short_digest
from .journal import JournalContent, parse_line
from .journal_lines import identity_of

_NOT_NEEDED = (b'{"at":', b'{"epochs":')
"""First bytes of the lines that record trial starts and epochs."""
_RESULT = b'{"kind":"result"'
_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError)


@dataclass(frozen=True, kw_only=True)
class _Line:
    """Position of a result in a journal. The result is read only when it is needed."""

    journal: Path
    offset: int
    is_tested: bool = False


class ReusableResults:
    """Reusable results of the study's own journal and of all other journals in its store.

    Args:
        store: folder of the local store.
        study: name of the current study; its own results take precedence.
        session: provenance of the current session.
        device: model of the device that the session trains on. None if unknown, as on a cluster; then only the study's
            own results are reused.
    """

    def __init__(self, store: Path, study: str, session: Mapping[str, str], device: str | None) -> None:
        self._session = session
        self._lines: dict[str, _Line | TrialResult] = {}
        own = store / study / "journal.jsonl"
        others = [] if device is None else sorted(store.glob("*/journal.jsonl"))
        for journal in (own, *(other for other in others if other != own)):
            with suppress(*_DAMAGED):
                self._read(journal, device)

    def __len__(self) -> int:
        """Return the number of configurations that need no training."""
        return len(self._lines)

    def find(self, trial: Trial) -> TrialResult | None:
        """Return the trial's result, reused from a trial with the same training, or None.

        A search trial gets no test score, even if the earlier trial had one: the test set is used once, for the chosen
        configuration. The result's cost is that of the training, without the searcher time of the earlier trial.
        """
        entry = self._lines.get(trial.content_id)
        if entry is None or (trial.role == "confirmation" and not _is_tested(entry)):
            return None
        found = entry if isinstance(entry, TrialResult) else _result_at(entry)
        if found is None or found.trial.config != trial.config or not is_score(found.validation_score):
            return None
        tested = trial.role == "confirmation"
        if not tested and found.diverged_on_test:  # the test split plays no part in a search
            return None
        return replace(
            found,
            trial=trial,
            test_score=found.test_score if tested else None,
            test_other_scores=found.test_other_scores if tested else {},
            test_samples=found.test_samples if tested else None,
            cost=replace(found.cost, searcher_seconds=0.0),
            finished_at=time.time(),
            reused_from=found.reused_from or f"{found.trial.study}/{found.trial.id}",
        )

    def add(self, result: TrialResult) -> None:
        """Add a result that this session trained."""
        kept_samples = sum(epoch.samples for epoch in result.epochs)
        if _may_serve(result.status, result.cost.trials, result.cost.samples, kept_samples):
            self._keep(result.trial.content_id, result)

    def _keep(self, content_id: str, entry: _Line | TrialResult) -> None:
        known = self._lines.get(content_id)
        if known is None or (_is_tested(entry) and not _is_tested(known)):
            self._lines[content_id] = entry

    def _read(self, journal: Path, device: str | None) -> None:
        """Index a journal's results, up to its end or the first damaged line.

        Nothing after a damaged line is used, because that line may have recorded that another program resumed. Lines of
        several journals may have been joined by hand, so a result counts by what its own journal says of its training.
        """
        trained_alike: dict[str, bool] = {}
        retried, part, study = set(), "", ""
        for offset, text in _lines(journal):
            if text.startswith(_RESULT) and not any(trained_alike.values()):
                continue
            record = from_json(text)  # twice as fast as json: indexing 10,000 results takes a second
            if record["kind"] == "study":
                part, study = identity_of(record), record["definition"]["name"]
            owner = record.get("owner", part)
            if "provenance" in record:
                trained_alike[owner] = is_same_training(record["provenance"], self._session)
            elif record["kind"] == "forked":
                trained_alike[record["identity"]] = trained_alike.get(owner, False)
            elif record["kind"] == "retried":
                retried.add(record["trial"])
            elif record["kind"] == "result" and trained_alike.get(owner):
                trial = record["result"]["trial"]
                if ("owner" in record or trial["study"] == study) and not (retried and short_digest(trial) in retried):
                    self._note(_Line(journal=journal, offset=offset), record["result"], device)

    def _note(self, line: _Line, result: Mapping[str, Any], device: str | None) -> None:
        cost, kept_samples = result["cost"], sum(epoch["samples"] for epoch in result["epochs"])
        on_such_a_device = device is None or result["device"] == device
        if on_such_a_device and _may_serve(result["status"], cost["trials"], cost["samples"], kept_samples):
            self._keep(
                short_digest(result["trial"]["config"]), replace(line, is_tested=result["test_score"] is not None)
            )


def find_reusable_results(
    study: Study, store: Path, session: Mapping[str, str], *, on_a_cluster: bool = False
) -> ReusableResults:
    """Find the results in a store that a session can reuse.

    On a cluster (`on_a_cluster`) the devices are not known in advance, so only the study's own results can be.
    """
    device = None
    if not on_a_cluster:
        with suppress(RuntimeError, AssertionError):  # no such device here; the first trial will report it
            device = device_model("cuda" if study.resources.gpus_per_trial > 0 else "cpu")
    return ReusableResults(store, study.name, session, device)


class ResultReuse:
    """Reuse of past and running trainings within a study; without `reusable` results everything is trained."""

    def __init__(self, reusable: ReusableResults | None) -> None:
        self._reusable = reusable
        self._running: dict[str, Trial] = {}
        self._waiting: list[Trial] = []
        self._released: list[Trial] = []

    @property
    def trains_everything(self) -> bool:
        """Whether no result is reused."""
        return self._reusable is None

    def next_released(self) -> Trial | None:
        """Return the next deferred trial whose training has ended, or None."""
        return self._released.pop(0) if self._released else None

    @property
    def has_waiting(self) -> bool:
        """Whether a trial is deferred until another ends."""
        return bool(self._waiting)

    def find(self, trial: Trial) -> TrialResult | None:
        """Return the reused result of the trial, or None."""
        return None if self._reusable is None else self._reusable.find(trial)

    def defer(self, trial: Trial) -> bool:
        """Defer a trial if a running trial trains the same configuration; return whether it was deferred."""
        running = self._running.get(trial.content_id)
        if running is None or (trial.role == "confirmation" and running.role != "confirmation"):
            return False
        self._waiting.append(trial)
        return True

    def start(self, trial: Trial) -> None:
        """Record that the training of a trial starts."""
        if self._reusable is not None:
            self._running[trial.content_id] = trial

    def finish(self, result: TrialResult, *, serves: bool = True) -> None:
        """Record that a trial has ended, and release the trials deferred for it, to be reused or trained.

        Others may not reuse a result (`serves`) whose cost includes a failed attempt, which they would pay for.
        """
        trial = result.trial
        if self._reusable is None:
            return
        if serves:
            self._reusable.add(result)
        if self._running.get(trial.content_id) == trial:
            del self._running[trial.content_id]
            self._released += [other for other in self._waiting if other.content_id == trial.content_id]
            self._waiting = [other for other in self._waiting if other.content_id != trial.content_id]


def may_reuse(trial: Trial, agenda: Agenda, content: JournalContent) -> bool:
    """Return whether a trial may reuse a result.

    It may not if its method may prune it, which depends on other trials of the same search. It also may not if it was
    already started, or failed and is retried: its cost so far stays on its bill.
    """
    begun = content.epochs.get(trial.id) or content.lost.get(trial.id) or trial.id in content.retried
    return not begun and not agenda.may_prune(trial)


def _lines(journal: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the offset and content of the relevant lines of a journal."""
    with journal.open("rb") as file:
        offset = 0
        for line in file:
            if not line.startswith(_NOT_NEEDED):
                yield offset, line
            offset += len(line)


def _result_at(line: _Line) -> TrialResult | None:
    """Read a result at its position, or return None if it is no longer readable."""
    try:
        with line.journal.open("rb") as file:
            file.seek(line.offset)
            return result_from_content(parse_line(file.readline())["result"])
    except _DAMAGED:
        return None


def _is_tested(entry: _Line | TrialResult) -> bool:
    return entry.is_tested if isinstance(entry, _Line) else entry.test_score is not None


def _may_serve(status: str, trials: int, samples: int, kept_samples: int) -> bool:
    """Return whether a result comes from one complete training and its cost covers only the epochs it kept.

    Epochs lost in an interruption and repeated are part of the cost, but another trial must not pay for them. The same
    holds for a failed attempt, see `ReusableResults._read`.

    >>> _may_serve("finished", 1, 3000, 3000), _may_serve("finished", 1, 4000, 3000), _may_serve("pruned", 1, 300, 300)
    (True, False, False)
    """
    return status in ("finished", "diverged") and trials == 1 and samples == kept_samples > 0
