"""Time to reach the baseline's score at growing batch sizes on the same devices (DATE, Fig. 2).

The target is the baseline's mean validation score after its last epoch, less the margin that counts as a match. Seconds
are wall-clock time from the first update on, evaluation included. A training in a pack has its part of the pack's
seconds, which are fewer; results do not record packs, so reports warn of it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from ..trial import TrialResult, is_score
from .runs import confirmation_runs
from .selection import BASELINE
from .study_facts import StudyFacts
from .verdict import tolerated_loss


@dataclass(frozen=True, kw_only=True)
class TimeToTarget:
    """Time to the target of an arm's confirmation runs at a batch size.

    Attributes:
        arm: name of the arm, or "baseline".
        seconds: seconds of the runs that reached the target, ascending.
        epochs: epochs of these runs until the target, in the same order.
        num_runs: number of all runs, including those that did not reach it.
    """

    arm: str
    batch_size: int
    seconds: tuple[float, ...]
    epochs: tuple[int, ...]
    num_runs: int

    @property
    def median_seconds(self) -> float | None:
        """Median seconds over all runs; None if fewer than half reach the target."""
        beyond = [math.inf] * (self.num_runs - len(self.seconds))
        middle = median([*self.seconds, *beyond])
        return middle if math.isfinite(middle) else None


def target_score(results: Sequence[TrialResult], facts: StudyFacts) -> float | None:
    """Return the validation score to reach; None if the baseline has no score."""
    runs = confirmation_runs(results, BASELINE, facts.baseline_batch_size)
    scores = [run.validation_score for run in runs if run.status == "finished" and is_score(run.validation_score)]
    if not scores:
        return None
    score = fmean(scores)
    loss = tolerated_loss(facts.margin, score)
    return score - loss if facts.higher_is_better else score + loss


def has_curve(result: TrialResult) -> bool:
    """Return whether a result has a learning curve: one of a table may have its last epoch alone."""
    return len(result.epochs) > (1 if result.is_tabulated else 0)


def times_to_target(results: Sequence[TrialResult], facts: StudyFacts) -> list[TimeToTarget]:
    """Return the times of the baseline and of every arm at every batch size that has runs with epochs.

    Empty without a target.
    """
    target = target_score(results, facts)
    if target is None:
        return []
    cells = [(BASELINE, facts.baseline_batch_size), *((arm, size) for arm in facts.arms for size in facts.batch_sizes)]
    found = []
    for arm, batch_size in cells:
        runs = [run for run in confirmation_runs(results, arm, batch_size) if has_curve(run)]
        if runs:
            reached = sorted(
                reach for run in runs if (reach := _reached(run, target, higher=facts.higher_is_better)) is not None
            )
            found.append(
                TimeToTarget(
                    arm=arm,
                    batch_size=batch_size,
                    seconds=tuple(seconds for seconds, _ in reached),
                    epochs=tuple(epoch for _, epoch in reached),
                    num_runs=len(runs),
                )
            )
    return found


def speed_up(times: Sequence[TimeToTarget], time: TimeToTarget) -> float | None:
    """Return the speed-up over the baseline by the medians; None if either has no median.

    >>> slow, fast = (TimeToTarget(arm=arm, batch_size=1, seconds=(seconds,), epochs=(1,), num_runs=1)
    ...     for arm, seconds in (("baseline", 30.0), ("date", 20.0)))
    >>> speed_up([slow, fast], fast)
    1.5
    """
    baseline = next((other.median_seconds for other in times if other.arm == BASELINE), None)
    own = time.median_seconds
    return None if baseline is None or own is None else baseline / own


def _reached(run: TrialResult, target: float, *, higher: bool) -> tuple[float, int] | None:
    """Return seconds and epochs until the validation score first reaches the target; None if it never does."""
    seconds = 0.0
    for epoch in run.epochs:
        seconds += epoch.device_seconds / run.num_workers
        score = epoch.validation_score
        if is_score(score) and (score >= target if higher else score <= target):
            return seconds, epoch.epoch
    return None
