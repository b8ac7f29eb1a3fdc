"""What searches found in past trainings: the best of k trials, how many were lost. Pure functions of trainings."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..past_trainings.training import PastTraining
from .evidence import best_of_k
from .past_studies import untrained_score

SIZES = (1, 5, 20)
"""Numbers of trials for which the expected best is told."""


@dataclass(frozen=True, kw_only=True)
class PastSearch:
    """A search over hyperparameters of an arm on a workload at a batch size.

    Attributes:
        workload: its name.
        arm: its name.
        batch_size: in samples; None if not recorded.
        metric: name of the validation score.
        num_trials: trials, lost ones included.
        num_lost: trials without a finite score.
        best: best validation score; None if all are lost.
        expected_best: expected best validation score by number of trials, for the `SIZES` that the search has; a lost
            trial counts with the score of an untrained model, or with the worst score where that is not known. Empty if
            all are lost.
    """

    workload: str
    arm: str
    batch_size: int | None
    metric: str
    num_trials: int
    num_lost: int
    best: float | None
    expected_best: dict[int, float]


def past_searches(trainings: Iterable[PastTraining]) -> list[PastSearch]:
    """Return a search for every arm, workload and batch size, in this order: workload, arm, batch size."""
    groups: dict[tuple[str, str, int], list[PastTraining]] = {}
    for one in trainings:
        groups.setdefault((one.workload, one.arm, one.batch_size or 0), []).append(one)
    return [_search(groups[key]) for key in sorted(groups)]


def _search(trials: list[PastTraining]) -> PastSearch:
    first = trials[0]
    scores = [one.score for one in trials if one.score is not None]
    best = max(scores, key=lambda score: first.sign * score, default=None)
    worst = min(scores, key=lambda score: first.sign * score, default=None)
    untrained = untrained_score(trials)
    lost = untrained if untrained is not None else worst
    counted = [lost if one.score is None else one.score for one in trials if lost is not None]
    curve = best_of_k(counted, higher_is_better=first.higher_is_better) if scores else ()
    return PastSearch(
        workload=first.workload,
        arm=first.arm,
        batch_size=first.batch_size,
        metric=first.metric,
        num_trials=len(trials),
        num_lost=len(trials) - len(scores),
        best=best,
        expected_best={k: curve[k - 1] for k in SIZES if k <= len(curve)},
    )
