"""Small studies whose verdicts are known: the synthetic one with test scores of a test's choice."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.reported_study import definition, reported
from tests.synthetic_study import confirmations, result
from zerotune.trainers.spec import ScheduleSpec
from zerotune.tuner.reports.answer import Answer
from zerotune.tuner.trial import TrialResult

FIVE = [0.9885, 0.9895, 0.989, 0.9888, 0.9892]
AS_FIVE = [0.9887, 0.9893, 0.9891, 0.989, 0.9889]
FAR = [0.939, 0.938, 0.94, 0.9392, 0.9388]
FARTHER = [0.929, 0.927, 0.93, 0.9291, 0.9289]
ONE_LOST = [0.9887, 0.9893, 0.9891, 0.989, 0.1135]
OPEN = [0.982, 0.991, 0.98, 0.99, 0.989]
LIKELY = [0.9915, 0.9905, 0.9845, 0.9843, 0.9842]
"""Five seeds of an arm: as good, far and farther below, unreliable, not shown or likely as good against `FIVE`."""

LR0 = 0.01
"""Learning rate that the baseline's search chose."""


def judged(scores: Mapping[int, Mapping[str, Sequence[float]]], **changes: Any) -> Answer:
    """Return a study of these arms with these test scores, by batch size and arm; rules train with what they give."""
    stored = definition(batch_sizes=list(scores), seeds=[0, 1, 2, 3, 4], **changes)
    arms = next(iter(scores.values()))
    stored["arms"] = [arm for arm in stored["arms"] if arm["name"] in arms]
    cells = [(size, arm, list(tests)) for size, by_arm in scores.items() for arm, tests in by_arm.items()]
    results = [_scaled(run) for size, arm, tests in cells for run in confirmations(arm, size, tests)]
    for size in scores:
        results += [result("tuned", size, "search", n, validation=0.99 - n / 1000, lr=0.03) for n in range(6)]
    results += [result("baseline", 256, "baseline", n, validation=0.99 - n / 1000, lr=LR0 * (n + 1)) for n in range(4)]
    return reported(stored, [*results, *confirmations("baseline", 256, FIVE)])


def _scaled(run: TrialResult) -> TrialResult:
    """Give a run of the arm "sqrt" the learning rate of that rule."""
    if run.trial.arm != "sqrt":
        return run
    schedule = ScheduleSpec(peak_lr=LR0 * (run.trial.batch_size / 256) ** 0.5)
    return replace(run, trial=replace(run.trial, config=replace(run.trial.config, schedule=schedule)))
