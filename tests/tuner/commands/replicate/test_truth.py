"""When a verdict is true."""

import pytest

from zerotune.tuner.analysis.lost_seeds import Guessing
from zerotune.tuner.analysis.verdict import Kind
from zerotune.tuner.commands.replicate.truth import TrueScores, Truth


def scores(*values: float, num_diverged: int = 0) -> TrueScores:
    return TrueScores(scores=values, num_diverged=num_diverged)


BASELINE, REFERENCE = scores(0.96, 0.94), scores(0.93, 0.95)
"""With a margin of 0.99, 0.0095 is tolerated."""


def truth(*, higher_is_better: bool = True) -> Truth:
    guessing = Guessing(score=0.1, metric="accuracy", higher_is_better=higher_is_better)
    return Truth(all_seeds=lambda config: pytest.fail("asked"), guessing=guessing, margin=0.99)


@pytest.mark.parametrize(
    ("kind", "arm", "expected"),
    [
        ("yes", scores(0.931, 0.931), True),
        ("yes", scores(0.93, 0.93), False),
        ("yes, but", scores(0.93, 0.93), False),
        ("worse", scores(0.939, 0.94), True),
        ("worse", scores(0.94, 0.94), False),
        ("unreliable", scores(0.95, 0.5), True),
        ("unreliable", scores(0.95, 0.94, num_diverged=1), True),
        ("unreliable", scores(0.95, 0.6), False),
        ("not shown", scores(0.95, 0.94), None),
        ("cannot be judged", scores(0.95, 0.94), None),
    ],
)
def test_a_verdict_is_true_by_the_means_of_the_table(kind: Kind, arm: TrueScores, expected: bool | None) -> None:
    assert truth().is_true(kind, arm, REFERENCE, BASELINE) is expected


def test_a_batch_is_too_large_if_arm_and_reference_both_fall_below_the_margin() -> None:
    low = scores(0.92, 0.93)
    assert truth().is_true("batch too large", low, scores(0.94, 0.939), BASELINE) is True
    assert truth().is_true("batch too large", low, scores(0.95, 0.939), BASELINE) is False


def test_losses_are_better_the_lower_they_are() -> None:
    lower = truth(higher_is_better=False)
    assert lower.is_true("worse", scores(0.95, 0.96), REFERENCE, BASELINE) is True
    assert lower.is_true("yes", scores(0.95, 0.96), REFERENCE, BASELINE) is False
