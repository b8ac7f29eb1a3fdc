"""How long a training takes to reach the baseline's score, at growing batch sizes on the same devices (DATE, Fig. 2).

The target is the baseline's own mean validation score after its last epoch, less the margin that counts as a match.
Seconds are those of the clock from the training's first update on, evaluation included: of several workers once. Of a
training in a pack they are its part of the pack's, fewer than the clock's; no result tells, so that reports warn of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from ..trial import TrialResult
from .comparison import confirmation_runs, tolerated_loss
from .study_facts import StudyFacts

BASELINE = "baseline"


@dataclass(frozen=True, kw_only=True)
class TimeToTarget:
    """The confirmation runs of an arm at a batch size.

    Attributes:
        arm: its name, or "baseline".
        batch_size: samples.
        seconds: of the runs that reached the target, ascending.
        epochs: after which they did, in the same order.
        num_runs: all of them, those that did not included.
    """

    arm: str
    batch_size: int
    seconds: tuple[float, ...]
    epochs: tuple[int, ...]
    num_runs: int

    @property
    def median_seconds(self) -> float | None:
        """Half of all runs reach the target by then; None where fewer than half ever do."""
        if 2 * len(self.seconds) < self.num_runs or not self.seconds:
            return None
        beyond = self.num_runs - len(self.seconds)
        known = median([*self.seconds, *[float("inf")] * beyond])
        return None if known == float("inf") else known


def target_score(results: Sequence[TrialResult], facts: StudyFacts) -> float | None:
    """What is to be reached on validation; None where the baseline was not run or has no score."""
    runs = confirmation_runs(results, BASELINE, facts.baseline_batch_size)
    scores = [run.validation_score for run in runs if run.status == "finished" and run.validation_score is not None]
    if not scores:
        return None
    score = fmean(scores)
    loss = tolerated_loss(facts.margin, score)
    return score - loss if facts.higher_is_better else score + loss


def times_to_target(results: Sequence[TrialResult], facts: StudyFacts) -> list[TimeToTarget]:
    """The baseline at its batch size, then every arm at every batch size, where there are runs with epochs.

    Empty where there is no target.
    """
    target = target_score(results, facts)
    if target is None:
        return []
    cells = [(BASELINE, facts.baseline_batch_size), *((arm, size) for arm in facts.arms for size in facts.batch_sizes)]
    found = []
    for arm, batch_size in cells:
        runs = [run for run in confirmation_runs(results, arm, batch_size) if run.epochs]
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
    """How many times as fast as the baseline, by the medians; None where half of the runs of either never get there.

    >>> slow, fast = (TimeToTarget(arm=arm, batch_size=1, seconds=(seconds,), epochs=(1,), num_runs=1)
    ...     for arm, seconds in (("baseline", 30.0), ("date", 20.0)))
    >>> speed_up([slow, fast], fast)
    1.5
    """
    baseline = next((other.median_seconds for other in times if other.arm == BASELINE), None)
    own = time.median_seconds
    return None if baseline is None or own is None else baseline / own


def _reached(run: TrialResult, target: float, *, higher: bool) -> tuple[float, int] | None:
    """Seconds and epochs until the run's validation score first was as good as the target; None where it never was."""
    seconds = 0.0
    for epoch in run.epochs:
        seconds += epoch.device_seconds / run.num_workers
        score = epoch.validation_score
        if score >= target if higher else score <= target:
            return seconds, epoch.epoch
    return None
