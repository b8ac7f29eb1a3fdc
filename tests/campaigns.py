"""Campaigns with synthetic scores, without any training."""

import hashlib
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.cost import Cost
from zerotune.tuner.study import Study
from zerotune.tuner.trial import Agenda, Trial, TrialResult, TrialStatus

SECONDS = 10.0
"""Cost of every trial."""

Score = Callable[[Trial], float | None]


def by_lr(trial: Trial) -> float:
    """Return a score whose best learning rate grows with the square root of the batch size, from 0.02 at 32."""
    best = 0.02 * math.sqrt(trial.batch_size / 32)
    return 1 / (1 + abs(trial.config.schedule.peak_lr / best - 1))


def by_chance(trial: Trial) -> float:
    """Return a score in [0.2, 1) unrelated to the hyperparameters, so that any trial may be the best."""
    digest = hashlib.sha256(trial.id.encode()).digest()
    return 0.2 + 0.8 * int.from_bytes(digest[:6], "big") / 2**48


def result(
    trial: Trial, score: float | None, *, status: TrialStatus = "finished", test_score: float | None = None
) -> TrialResult:
    return TrialResult(
        trial=trial,
        status="failed" if score is None else status,
        epochs=(),
        validation_score=score,
        test_score=test_score,
        cost=Cost(trials=1, device_seconds=SECONDS),
        error="out of memory" if score is None else None,
    )


@dataclass
class Executed:
    """Record of an executor: the trials in the order of `ask`, and the results of those it ran."""

    asked: list[Trial] = field(default_factory=list)
    results: dict[str, TrialResult] = field(default_factory=dict)

    def of(self, arm: str, role: str, batch_size: int | None = None) -> list[Trial]:
        sizes = {trial.batch_size for trial in self.asked} if batch_size is None else {batch_size}
        return [t for t in self.asked if (t.arm, t.role) == (arm, role) and t.batch_size in sizes]

    def ids(self) -> set[str]:
        return {trial.id for trial in self.asked}


def execute(
    campaign: Agenda,
    score: Score = by_lr,
    *,
    num_workers: int = 1,
    seed: int = 0,
    known: Mapping[str, TrialResult] | None = None,
    make: Callable[[Trial, float | None], TrialResult] = result,
    stop_after: int | None = None,
) -> Executed:
    """Run a campaign with synthetic scores; `seed` determines which running trial ends first.

    Known results are told at once, as a resumed study does. Stop after telling `stop_after` results; the running trials
    are then lost.
    """
    chance = random.Random(seed)
    done = Executed()
    running: list[Trial] = []
    while stop_after is None or len(done.results) < stop_after:
        answer = campaign.ask() if len(running) < num_workers else "wait"
        if isinstance(answer, Trial):
            done.asked.append(answer)
            if known and answer.id in known:
                campaign.tell(known[answer.id])
            else:
                running.append(answer)
        elif running:
            trial = running.pop(chance.randrange(len(running)))
            done.results[trial.id] = make(trial, score(trial))
            campaign.tell(done.results[trial.id])
        else:
            assert answer == "done"  # never "wait" with nothing to wait for
            break
    return done


def completed(
    study: Study, score: Score = by_lr, known: Mapping[str, TrialResult] | None = None
) -> dict[str, TrialResult]:
    """Return all results of a study by trial id; a confirmation's test score equals its validation score."""
    known = known or {}

    def make(trial: Trial, value: float | None) -> TrialResult:
        return result(trial, value, test_score=value if trial.role == "confirmation" else None)

    return {**known, **execute(Campaign(study, known), score, known=known, make=make).results}
