"""Trials and their results, which methods, drivers, journal, store and analysis exchange."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from functools import cache, cached_property
from typing import Any, Literal, Protocol, TypeGuard

from pydantic import TypeAdapter

from ..trainers.spec import MAX_SCORE, EpochMetrics, OptionValue, TrainConfig
from .cost import Cost

Role = Literal["baseline", "search", "repeat", "probe", "confirmation"]
"""Purpose of a trial: tune the baseline at B0, search at a target batch size, repeat that search to see how much its
outcome varies, probe a rule's learning rate in a short training, or confirm a choice of any of these."""

TrialStatus = Literal["finished", "diverged", "pruned", "failed"]
"""How a trial ended. Diverged and failed trials are recorded and billed like all others."""

ROLES: tuple[Role, ...] = ("baseline", "search", "repeat", "probe", "confirmation")


def canonical_json(value: object) -> str:
    """Return JSON that is the same for the same content: sorted keys, no spaces; a dataclass is its fields.

    >>> from dataclasses import asdict
    >>> canonical_json(Cost(trials=1)) == canonical_json(asdict(Cost(trials=1)))
    True
    """
    return _CANONICAL.encode(value)


def _content(value: object) -> dict[str, object]:
    """Return what JSON cannot hold as a dict: `dataclasses.asdict` copies deeply, which takes ten times as long."""
    kind: Any = type(value)
    names = _field_names(kind)
    if names is not None:
        return {name: getattr(value, name) for name in names}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"JSON cannot hold a value of type {type(value).__name__}")


@cache
def _field_names(kind: type) -> tuple[str, ...] | None:
    """Return the names of a dataclass's fields; None for another type."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else None


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_content)


def short_digest(value: object) -> str:
    """Return twelve hex digits of a value's content, the same for a value and its copy read from JSON.

    >>> short_digest({"lr": 0.1, "betas": (0.9, 0.99)}) == short_digest({"betas": [0.9, 0.99], "lr": 0.1})
    True
    """
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Training that a study asks for.

    Attributes:
        study: name of the study.
        arm: name of the arm, or "baseline", or "ARM baseline" for a baseline that an arm tunes for itself.
        batch_size: samples of a weight update; B0 for a baseline.
        role: purpose of the trial.
        index: 0-based number within its arm, batch size, role and repeat.
        params: hyperparameters that the method chose, by name; empty for a confirmation of a rule.
        config: complete description of the training.
        repeat: the search that the trial is of, or whose choice it confirms: 0 for the first of an arm at a batch size.
    """

    study: str
    arm: str
    batch_size: int
    role: Role
    index: int
    params: Mapping[str, OptionValue]
    config: TrainConfig
    repeat: int = 0

    @cached_property
    def id(self) -> str:
        """Twelve hex digits of the trial's content, so that a study that is run again has the same trials."""
        return short_digest(without_first_repeat(vars(self)))

    @cached_property
    def content_id(self) -> str:
        """Twelve hex digits of the training alone, whatever study, arm or role asks for it."""
        return short_digest(self.config)

    @property
    def name(self) -> str:
        """Short readable name: arm, batch size, role and number."""
        of_repeat = f" of search {self.repeat + 1}" if self.repeat else ""
        return f"{self.arm} B={self.batch_size:,} {self.role} {self.index + 1}{of_repeat}"


def without_first_repeat(trial: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial's fields, without `repeat` where it is 0: earlier versions wrote none.

    >>> without_first_repeat({"arm": "tuned", "repeat": 0}), without_first_repeat({"arm": "tuned", "repeat": 2})
    ({'arm': 'tuned'}, {'arm': 'tuned', 'repeat': 2})
    """
    names = _field_names(Trial) or ()
    return {name: trial[name] for name in names if name in trial and (name != "repeat" or trial[name])}


def content_of(result: "TrialResult") -> dict[str, Any]:
    """Return the content of a result as journals and stores keep it, which `result_from_content` reads."""
    content = asdict(result)
    return {**content, "trial": without_first_repeat(content["trial"])}


TABULATED = "table of past trainings"
"""The device of a result that was looked up."""


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """Result of a trial: how it ended and what it cost.

    Attributes:
        trial: the trial.
        status: how it ended.
        epochs: per-epoch metrics, in order.
        validation_score: the application's metric on validation after the last epoch; None if the trial failed.
        test_score: the metric on test; confirmation runs alone have one, since the test split is used once.
        cost: everything that the trial cost, including work that was lost and done again. A reused result has the cost
            of its training, so that tuning is billed the same whatever the store held.
        test_other_scores: the application's other scores on test, by name.
        test_samples: samples of the test split; None without a test score, if diverged, and for a trial of an earlier
            version.
        validation_samples: samples of the validation split; None before a first epoch, for a result of a table, and for
            a trial of an earlier version.
        error: one sentence, if the trial failed.
        divergence: which number shows that it diverged, and in which epoch; None if it did not, and for a trial of an
            earlier version.
        host: name of the machine that ran it.
        device: model of the device that ran it.
        finished_at: seconds since 1970 (UTC); of a reused result, when it was reused.
        reused_from: "STUDY/TRIAL" whose result was reused; None if the trial was trained.
        micro_batch_size: most samples that a worker had in memory at once; None for the whole batch, unless a
            measurement found that number.
        num_workers: processes that trained it together.
        accumulation_steps: micro-batches that a worker computes one after the other for an update.
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
    divergence: str | None = None
    test_samples: int | None = None
    validation_samples: int | None = None

    @property
    def is_tabulated(self) -> bool:
        """Whether it was looked up in a table of past trainings, and not trained."""
        return self.device == TABULATED

    @property
    def diverged_on_test(self) -> bool:
        """Whether the test split alone shows that it diverged: then its last epoch kept its own score, not chance."""
        return (
            self.status == "diverged"
            and bool(self.epochs)
            and self.epochs[-1].validation_score != self.validation_score
        )

    @property
    def spent_cost(self) -> Cost:
        """Cost to this study: of a reused result the searcher's time alone."""
        return self.cost if self.reused_from is None else Cost(searcher_seconds=self.cost.searcher_seconds)

    @property
    def started_at(self) -> float:
        """Start in seconds since 1970, if the workers held their devices continuously until the trial finished.

        A reused result starts when it finishes, since it held no device. The start of a trial in a pack is too late:
        each of K trials is billed a K-th of the pack's seconds, and results do not record packs. A result of a table
        was trained elsewhere, so it starts when it finishes too.
        """
        if self.is_tabulated:
            return self.finished_at
        return self.finished_at - self.spent_cost.device_seconds / self.num_workers

    @property
    def reused_cost(self) -> Cost:
        """Cost of the earlier training if the result was reused: `spent_cost` + `reused_cost` = `cost`."""
        return Cost() if self.reused_from is None else replace(self.cost, searcher_seconds=0.0)


class Agenda(Protocol):
    """Source of trials for a driver, which asks for trials and tells their results."""

    def ask(self) -> "Trial | Literal['wait', 'done']":
        """Return the next trial, "wait" until running trials are told, or "done" if none will follow."""

    def may_prune(self, trial: Trial) -> bool:
        """Return whether the trial may be pruned, so that every epoch must be reported on its own."""

    def report(self, trial: Trial, new_epochs: Sequence[EpochMetrics]) -> bool:
        """Take the epochs that a running trial has finished since the last report; return False to prune it."""

    def tell(self, result: TrialResult) -> None:
        """Take the result of a trial that was asked for."""


MAX_AMOUNT = 10**30
"""Largest plausible number of operations, words or joules."""
MAX_TIMESTAMP = 10**11
"""Largest plausible time in seconds since 1970, in three thousand years."""
_MAY_BE_ANYTHING = frozenset({"lr", "train_loss", "validation_loss", "validation_score"})
_RESULT = TypeAdapter(TrialResult)


def is_score(value: float | None) -> TypeGuard[float]:
    """Return whether a trial's score is a number to compute with: not missing, NaN, infinite or beyond `MAX_SCORE`.

    Results of earlier versions may hold a score that is none; no choice, mean or figure may rest on it.
    """
    return value is not None and abs(value) <= MAX_SCORE


def result_from_content(content: object) -> TrialResult:
    """Return the result with this content: `content_of(result)`, also after it was written as JSON and read.

    Raises:
        ValueError: the content is not a result, or has implausible measurements.
    """
    result = _RESULT.validate_python(content)
    if not 0 <= result.finished_at <= MAX_TIMESTAMP:
        raise ValueError(f"finished_at is {result.finished_at}")
    for name in ("num_workers", "accumulation_steps", "micro_batch_size", "test_samples", "validation_samples"):
        value = getattr(result, name)
        if value is not None and not 1 <= value <= MAX_AMOUNT:
            raise ValueError(f"{name} is {value}")
    check_measured((result.cost, *result.epochs))
    return result


def check_measured(measured: Iterable[Cost | EpochMetrics]) -> None:
    """Refuse implausible counts, seconds and joules of a damaged record, which would spoil every sum.

    Losses and scores may have any value, since trainings diverge.

    Raises:
        ValueError: an amount is negative, above `MAX_AMOUNT` or NaN.

    >>> check_measured([Cost(device_seconds=float("nan"))])
    Traceback (most recent call last):
    ValueError: device_seconds is nan
    """
    for part in measured:
        for name, value in vars(part).items():
            if isinstance(value, int | float) and name not in _MAY_BE_ANYTHING and not 0 <= value <= MAX_AMOUNT:
                raise ValueError(f"{name} is {value}")
