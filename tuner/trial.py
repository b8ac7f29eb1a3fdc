"""A trial and its result: the words in which methods, drivers, journal, store and evidence talk to each other."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Literal, Protocol

from pydantic import TypeAdapter

from ..trainers.spec import EpochMetrics, OptionValue, TrainConfig
from .cost import Cost

Role = Literal["baseline", "search", "repeat", "confirmation"]
"""Why a trial is run: tuning the baseline at B0, searching at the target batch size, searching there once more to see
how much a search's outcome varies, or confirming a choice."""

TrialStatus = Literal["finished", "diverged", "pruned", "failed"]
"""How a trial ended. Diverged and failed trials are results too: they are recorded and billed."""

ROLES: tuple[Role, ...] = ("baseline", "search", "repeat", "confirmation")


def canonical_json(value: object) -> str:
    """JSON that is the same for the same content: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def short_digest(value: object) -> str:
    """Twelve hex digits of a value's content, in memory or read back from JSON.

    >>> short_digest({"lr": 0.1, "betas": (0.9, 0.99)}) == short_digest({"betas": [0.9, 0.99], "lr": 0.1})
    True
    """
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training that a study asks for.

    Attributes:
        study: name of the study.
        arm: name of the arm, or "baseline" (or "ARM baseline" where an arm tunes its own).
        batch_size: samples an update; the arm's target, or B0 for a baseline.
        role: why it is run.
        index: 0-based position in its arm, batch size and role; repeats of a search count on, one after the other.
        params: the hyperparameters the method chose, by name; empty for a confirmation of a rule.
        config: the training itself, completely.
    """

    study: str
    arm: str
    batch_size: int
    role: Role
    index: int
    params: Mapping[str, OptionValue]
    config: TrainConfig

    @cached_property
    def id(self) -> str:
        """Twelve hex digits made of the trial's content, so that a re-run meets the same trial."""
        return short_digest(asdict(self))

    @cached_property
    def content_id(self) -> str:
        """Twelve hex digits of what is trained, whatever study, arm or role asks for it."""
        return short_digest(asdict(self.config))

    @property
    def name(self) -> str:
        """Short readable name: arm, batch size, role and position."""
        return f"{self.arm} B={self.batch_size} {self.role} {self.index + 1}"


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """How a trial ended and what it cost.

    Attributes:
        trial: the trial.
        status: how it ended.
        epochs: per-epoch metrics, in order.
        validation_score: the application's metric on validation after the last epoch; None where it failed.
        test_score: the metric on test; only a confirmation carries one, since test is shown once.
        test_other_scores: the application's other scores on test, by name, beside `test_score`.
        cost: everything this trial cost, work that was lost and done again included. Of one that was taken over, what
            its training cost: tuning is billed the same whatever lay in the store.
        error: one sentence, where it failed.
        host: name of the machine that ran it.
        device: model of the device that ran it.
        finished_at: seconds since the epoch (UTC); of a result that was taken over, when that was.
        micro_batch_size: most samples that a worker has in memory at once, where that is not the whole batch or was
            found by a measurement; None elsewhere.
        num_workers: processes that trained it together.
        accumulation_steps: micro-batches that a worker computes one after the other for an update.
        reused_from: "STUDY/TRIAL" that trained the same before, whose result was taken over; None where it was trained.
    """

    trial: Trial
    status: TrialStatus
    epochs: tuple[EpochMetrics, ...]
    validation_score: float | None
    test_score: float | None
    cost: Cost
    test_other_scores: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    host: str = ""
    device: str = ""
    finished_at: float = 0.0
    reused_from: str | None = None
    micro_batch_size: int | None = None
    num_workers: int = 1
    accumulation_steps: int = 1

    @property
    def spent_cost(self) -> Cost:
        """What this study spent on the trial: of one that was taken over, the searcher's time alone."""
        return self.cost if self.reused_from is None else Cost(searcher_seconds=self.cost.searcher_seconds)

    @property
    def started_at(self) -> float:
        """Seconds since the epoch at which it began, had its workers held their devices without a break until it ended.

        Of one that was taken over, when it ended: it held none. Too late for one that was trained in a pack, which no
        result tells: each of K trials has a K-th of the pack's seconds.
        """
        return self.finished_at - self.spent_cost.device_seconds / self.num_workers

    @property
    def reused_cost(self) -> Cost:
        """What an earlier training spent in this one's place: `spent_cost` and this add up to `cost`."""
        return Cost() if self.reused_from is None else replace(self.cost, searcher_seconds=0.0)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a driver passes on while a trial runs: the epochs since it last did so."""

    trial: Trial
    new_epochs: tuple[EpochMetrics, ...]


class Agenda(Protocol):
    """What a driver executes: it asks for trials, tells results, and knows nothing of why."""

    def ask(self) -> "Trial | Literal['wait', 'done']":
        """The next trial; "wait" while running trials must be told first; "done" when nothing will follow."""
        ...

    def may_prune(self, trial: Trial) -> bool:
        """Whether the trial's method may end it early, so that every epoch must be reported by itself."""
        ...

    def report(self, progress: Progress) -> bool:
        """Takes per-epoch metrics of a running trial; False ends it as pruned."""
        ...

    def tell(self, result: TrialResult) -> None:
        """Takes the result of a trial that was asked for."""
        ...


MAX_AMOUNT = 10**30
"""Far above the operations, words and joules of any study."""
MAX_TIMESTAMP = 10**11
"""Seconds since the epoch: in three thousand years."""
_MAY_BE_ANYTHING = frozenset({"lr", "train_loss", "validation_loss", "validation_score"})
_RESULT = TypeAdapter(TrialResult)


def result_to_json(result: TrialResult) -> str:
    """One line of JSON that `result_from_json` reads back to an equal result; non-finite losses are kept."""
    return canonical_json(asdict(result))


def result_from_json(text: str) -> TrialResult:
    """The result that `result_to_json` wrote.

    Raises:
        ValueError: the text is not one, or what it measured cannot be.
    """
    return result_from_content(json.loads(text))


def result_from_content(content: object) -> TrialResult:
    """The result in the content of such a JSON text.

    Raises:
        ValueError: it is none, or what it measured cannot be.
    """
    result = _RESULT.validate_python(content)
    if not 0 <= result.finished_at <= MAX_TIMESTAMP:
        raise ValueError(f"finished_at is {result.finished_at}")
    for name in ("num_workers", "accumulation_steps", "micro_batch_size"):
        value = getattr(result, name)
        if value is not None and not 1 <= value <= MAX_AMOUNT:
            raise ValueError(f"{name} is {value}")
    check_measured((result.cost, *result.epochs))
    return result


def check_measured(measured: Iterable[Cost | EpochMetrics]) -> None:
    """Refuses counts, seconds and joules that no training has: a damaged record would break whoever adds them up.

    Losses and scores may be anything, as a training that diverges has them.

    Raises:
        ValueError: one is negative, beyond `MAX_AMOUNT` or no number.

    >>> check_measured([Cost(device_seconds=float("nan"))])
    Traceback (most recent call last):
    ValueError: device_seconds is nan
    """
    for part in measured:
        for name, value in vars(part).items():
            if isinstance(value, int | float) and name not in _MAY_BE_ANYTHING and not 0 <= value <= MAX_AMOUNT:
                raise ValueError(f"{name} is {value}")
