"""Result reuse: earlier results that serve a trial instead of training the same again.

What is trained is a trial's configuration (`Trial.content_id`), whatever study, arm or role asks for it. A result is
reused where the session that made it trained as this one does (`tuner.analysis.provenance.is_same_training`), on the
same kind of device. Then it is what training anew would give, and the study's outcome does not depend on what the store
holds. On devices that do not repeat themselves to the last bit (GPUs) it is one of the outcomes that training anew may
have.

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
from ..trial import Agenda, Trial, TrialResult, result_from_content, short_digest
from .journal import JournalContent, parse_line

_NOT_NEEDED = (b'{"at":', b'{"epochs":')
"""How the lines begin that say when a trial started and what its epochs were."""
_RESULT = b'{"kind":"result"'
_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError)


@dataclass(frozen=True, kw_only=True)
class _Line:
    """The place of a result in a journal; results stay there until one is asked for."""

    journal: Path
    offset: int
    is_tested: bool = False


class ReusableResults:
    """Results that may be reused: those of this study's own journal, and of all others in its store.

    Args:
        store: the folder of the local store.
        study: name of the study that asks, whose own results come first.
        session: facts of the session that asks.
        device: model of the device that it trains on; None where that is not known, as on a cluster: the study's own
            results alone then.
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
        """Configurations that need not be trained again."""
        return len(self._lines)

    def find(self, trial: Trial) -> TrialResult | None:
        """Return the result of the trial, taken over from one that trained the same; None where there is none.

        A search trial gets no test score, whatever the earlier one had: test is shown once, for what was chosen. The
        result's cost is the training's, without what an earlier searcher took to propose it.
        """
        entry = self._lines.get(trial.content_id)
        if entry is None or (trial.role == "confirmation" and not _is_tested(entry)):
            return None
        found = entry if isinstance(entry, TrialResult) else _result_at(entry)
        if found is None or found.trial.config != trial.config:
            return None
        tested = trial.role == "confirmation"
        return replace(
            found,
            trial=trial,
            test_score=found.test_score if tested else None,
            test_other_scores=found.test_other_scores if tested else {},
            cost=replace(found.cost, searcher_seconds=0.0),
            finished_at=time.time(),
            reused_from=found.reused_from or f"{found.trial.study}/{found.trial.id}",
        )

    def add(self, result: TrialResult) -> None:
        """Take a result that this session trained."""
        kept_samples = sum(epoch.samples for epoch in result.epochs)
        if _may_serve(result.status, result.cost.trials, result.cost.samples, kept_samples):
            self._keep(result.trial.content_id, result)

    def _keep(self, content_id: str, entry: _Line | TrialResult) -> None:
        known = self._lines.get(content_id)
        if known is None or (_is_tested(entry) and not _is_tested(known)):
            self._lines[content_id] = entry

    def _read(self, journal: Path, device: str | None) -> None:
        """Take note of a journal's results, up to its end or to what cannot be read.

        Beyond a damaged line nothing is taken: it may have said that another program went on.
        """
        trained_alike, retried = False, set()
        for offset, text in _lines(journal):
            if text.startswith(_RESULT) and not trained_alike:
                continue
            record = from_json(text)  # twice as fast as json: an index of 10,000 results takes a second
            if "provenance" in record:
                trained_alike = is_same_training(record["provenance"], self._session)
            elif record["kind"] == "retried":
                retried.add(record["trial"])
            elif record["kind"] == "result" and not (retried and short_digest(record["result"]["trial"]) in retried):
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
    """Find the results in a store of trainings like those of a session.

    Args:
        study: the definition.
        store: the folder of the local store.
        session: facts of the session that asks.
        on_a_cluster: whether trials run on other machines, whose devices are not known beforehand.
    """
    device = None
    if not on_a_cluster:
        with suppress(RuntimeError, AssertionError):  # no such device here, which the first trial will say
            device = device_model("cuda" if study.resources.gpus_per_trial > 0 else "cpu")
    return ReusableResults(store, study.name, session, device)


class ResultReuse:
    """Which trials of a study need not be trained, since the same was trained before or is being trained now.

    Args:
        reusable: results at hand; None where everything is to be trained.
    """

    def __init__(self, reusable: ReusableResults | None) -> None:
        self._reusable = reusable
        self._running: dict[str, Trial] = {}
        self._waiting: list[Trial] = []
        self._released: list[Trial] = []

    @property
    def trains_everything(self) -> bool:
        """Whether no result is taken over."""
        return self._reusable is None

    def next_released(self) -> Trial | None:
        """Return a trial that waited for one that has ended by now; None where there is none."""
        return self._released.pop(0) if self._released else None

    @property
    def has_waiting(self) -> bool:
        """Whether a trial was put off until another ends."""
        return bool(self._waiting)

    def find(self, trial: Trial) -> TrialResult | None:
        """Return the trial's result, taken over; None where there is none."""
        return None if self._reusable is None else self._reusable.find(trial)

    def defer(self, trial: Trial) -> bool:
        """Defer a trial that a running one will serve as well; return whether it was deferred."""
        running = self._running.get(trial.content_id)
        if running is None or (trial.role == "confirmation" and running.role != "confirmation"):
            return False
        self._waiting.append(trial)
        return True

    def start(self, trial: Trial) -> None:
        """Record that a trial is trained from now on, to its end."""
        if self._reusable is not None:
            self._running[trial.content_id] = trial

    def finish(self, result: TrialResult, *, serves: bool = True) -> None:
        """Record that a trial has ended: those deferred for it are released, to be found or trained.

        Args:
            result: its result.
            serves: whether others may take it over; not where a failed attempt is on its bill, which they would pay.
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
    """Return whether a trial may do without a training of its own.

    Not where its method may end it early, by what other trials of the same search did; and not where it was begun
    already, or has failed and is to be run again: what was spent on it stays on its bill.
    """
    begun = content.epochs.get(trial.id) or trial.id in content.retried
    return not begun and not agenda.may_prune(trial)


def _lines(journal: Path) -> Iterator[tuple[int, bytes]]:
    """Return the lines of a journal that may matter, with where they begin."""
    with journal.open("rb") as file:
        offset = 0
        for line in file:
            if not line.startswith(_NOT_NEEDED):
                yield offset, line
            offset += len(line)


def _result_at(line: _Line) -> TrialResult | None:
    """Return the result that stands there; None where it cannot be read any more."""
    try:
        with line.journal.open("rb") as file:
            file.seek(line.offset)
            return result_from_content(parse_line(file.readline())["result"])
    except _DAMAGED:
        return None


def _is_tested(entry: _Line | TrialResult) -> bool:
    return entry.is_tested if isinstance(entry, _Line) else entry.test_score is not None


def _may_serve(status: str, trials: int, samples: int, kept_samples: int) -> bool:
    """Whether a result is that of one training from beginning to end, and its bill that of the epochs it kept alone.

    What was lost in an interruption and done again stands in the bill, and is no part of what another should pay. So is
    a failed attempt, see `ReusableResults._read`.

    >>> _may_serve("finished", 1, 3000, 3000), _may_serve("finished", 1, 4000, 3000), _may_serve("pruned", 1, 300, 300)
    (True, False, False)
    """
    return status in ("finished", "diverged") and trials == 1 and samples == kept_samples > 0
