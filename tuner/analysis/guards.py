"""The probes of guarded rules: what each trained, and which multiple of the rule's learning rate was taken.

Pure functions of results.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ..study.lr_factor import LR_FACTOR
from ..trial import TrialResult


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A short training at the target batch size.

    Attributes:
        factor: multiple of the rule's learning rate.
        lr: peak learning rate.
        epochs: epochs that it trained.
        score: its last validation score; None if it failed.
        diverged: whether it diverged.
    """

    factor: float
    lr: float
    epochs: int
    score: float | None
    diverged: bool


@dataclass(frozen=True, kw_only=True)
class GuardedRule:
    """The probes of an arm at a batch size, in their order, and the multiple that it trains with.

    `factor` is None before the arm's first confirmation run.
    """

    arm: str
    batch_size: int
    probes: tuple[Probe, ...]
    factor: float | None


def find_guards(results: Iterable[TrialResult], arms: Iterable[str]) -> tuple[GuardedRule, ...]:
    """Return the probes of these arms by arm and batch size, where there are any or the arm was confirmed."""
    order = list(arms)
    places: dict[tuple[int, int], list[TrialResult]] = {}
    for result in results:
        if result.trial.arm in order and result.trial.role in ("probe", "confirmation"):
            places.setdefault((order.index(result.trial.arm), result.trial.batch_size), []).append(result)
    return tuple(_guarded(order[arm], size, places[arm, size]) for arm, size in sorted(places))


def _guarded(arm: str, batch_size: int, results: list[TrialResult]) -> GuardedRule:
    probes = sorted((r for r in results if r.trial.role == "probe"), key=lambda result: result.trial.index)
    confirmed = [result for result in results if result.trial.role == "confirmation"]
    last = max(confirmed, key=lambda result: result.finished_at, default=None)
    return GuardedRule(
        arm=arm,
        batch_size=batch_size,
        probes=tuple(map(_probe, probes)),
        factor=None if last is None else _factor(last),
    )


def _probe(result: TrialResult) -> Probe:
    return Probe(
        factor=_factor(result),
        lr=result.trial.config.schedule.peak_lr,
        epochs=result.cost.epochs,
        score=result.validation_score,
        diverged=result.status == "diverged",
    )


def _factor(result: TrialResult) -> float:
    factor = result.trial.params[LR_FACTOR]
    assert isinstance(factor, int | float)
    return float(factor)
