"""One past training, whichever collection it comes from, and the table of many."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pandas import DataFrame

Status = Literal["finished", "diverged", "failed"]
"""How a training ended: with a score, with a loss that is not finite, or without an evaluation."""


@dataclass(frozen=True, kw_only=True)
class PastTraining:
    """A training that somebody made before.

    Attributes:
        collection: what is compared within: a leaderboard, or the name of the collection.
        workload: data set and model.
        arm: optimizer or submission.
        tuned: whether its hyperparameters were searched for this workload.
        study: name of the search, or of the repeat of a zero-tuned arm.
        trial: number within the study.
        metric: name of the score.
        higher_is_better: direction of the score.
        score: best validation score; None without a finite one.
        test_score: test score at the best validation score; None if there is none.
        status: how it ended.
        batch_size: in samples; None if not recorded.
        lr: peak learning rate; None if not recorded.
        seed: None if not recorded.
        steps: updates; None if not recorded.
        seconds: device-seconds on the collection's hardware; None if not recorded.
        seconds_to_best: device-seconds until the best validation score; None if not recorded.
        hyperparameters: all that were recorded.
        curve: validation scores in order, each with the seconds or steps until it.
        curve_unit: what the curve counts.
    """

    collection: str
    workload: str
    arm: str
    tuned: bool
    study: str
    trial: int
    metric: str
    higher_is_better: bool
    score: float | None
    test_score: float | None = None
    status: Status = "finished"
    batch_size: int | None = None
    lr: float | None = None
    seed: int | None = None
    steps: int | None = None
    seconds: float | None = None
    seconds_to_best: float | None = None
    hyperparameters: Mapping[str, object] = field(default_factory=dict)
    curve: tuple[tuple[float, float], ...] = ()
    curve_unit: Literal["seconds", "steps"] = "seconds"

    @property
    def sign(self) -> float:
        """1 if higher scores are better, otherwise -1."""
        return 1.0 if self.higher_is_better else -1.0

    def seconds_to(self, target: float) -> float:
        """Return the seconds of the first recorded validation score that reaches a target; infinite if none does.

        The true time lies between this score and the one recorded before it.
        """
        reached = [at for at, score in self.curve if self.sign * score >= self.sign * target]
        if self.seconds_to_best is not None and self.score is not None:
            reached += [self.seconds_to_best] * (self.sign * self.score >= self.sign * target)
        return min(reached, default=math.inf) if self.curve_unit == "seconds" else math.inf


COLUMNS = tuple(one.name for one in fields(PastTraining))
"""Columns of `to_frame`, in order."""


def to_frame(trainings: Iterable[PastTraining]) -> "DataFrame":
    """Return a pandas table of trainings, one a row, with the columns `COLUMNS`."""
    from pandas import DataFrame  # takes half a second to import

    rows = [[getattr(training, name) for name in COLUMNS] for training in trainings]
    return DataFrame(rows, columns=list(COLUMNS))
