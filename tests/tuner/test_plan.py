"""The plan: what a study would do, known before anything is trained."""

from pathlib import Path

import pytest

from tuner.campaign import Campaign
from tuner.plan import plan_study
from tuner.study import load_study, study_from_text
from tuner.trial import Trial

STUDY = """
name: planned
application: lenet_mnist
data: {source: mnist5k}
epochs: 2
batch_sizes: [1500, 3000]
seeds: [1, 2, 3]
reference: tuned
baseline: {batch_size: 1000, optimizer: momentum, tune: {method: grid, space: {lr: {choices: [0.01, 0.02]}}}}
arms:
  - {name: tuned, method: random, trials: 4, space: {lr: {low: 0.01, high: 0.1}}}
  - {name: sqrt, method: sqrt}
"""
MISSING = Path("no-such-folder")


def test_a_plan_counts_the_trials_of_every_arm_and_batch_size() -> None:
    cells = plan_study(study_from_text(STUDY, "planned.yaml"))
    assert [(c.arm, c.batch_size, c.search_trials, c.confirmation_trials) for c in cells] == [
        ("baseline", 1000, 2, 3),
        ("tuned", 1500, 4, 3),
        ("sqrt", 1500, 0, 3),
        ("tuned", 3000, 4, 3),
        ("sqrt", 3000, 0, 3),
    ]


def test_iterations_and_samples_are_those_of_the_papers_arithmetic() -> None:
    """Iterations are ceil(E n / B) a trial (DATE, Algorithm 1), and n is 3,000."""
    cells = {(c.arm, c.batch_size): c for c in plan_study(study_from_text(STUDY, "planned.yaml"))}
    assert cells["baseline", 1000].iterations == 5 * 6
    assert cells["tuned", 1500].iterations == 7 * 4
    assert cells["sqrt", 3000].samples == 3 * 2 * 3000


def test_a_sample_costs_the_same_at_every_batch_size() -> None:
    cells = plan_study(study_from_text(STUDY, "planned.yaml"))
    assert {cell.flops / cell.samples for cell in cells if cell.flops} == {cells[0].flops / cells[0].samples}  # type: ignore[operator]


def test_a_plan_needs_no_data() -> None:
    study = study_from_text(STUDY.replace("mnist5k", "mnist"), "planned.yaml")
    cells = plan_study(study, str(MISSING))
    assert [(cell.flops, cell.seconds) for cell in cells] == [(None, None)] * 5
    assert [cell.iterations for cell in cells] == [5 * 110, 7 * 74, 3 * 74, 7 * 37, 3 * 37]


@pytest.mark.parametrize("name", ["quickstart"])
def test_a_plan_is_the_campaigns_own_count(name: str) -> None:
    study = load_study(name)
    assert sum(c.search_trials + c.confirmation_trials for c in plan_study(study)) == sum(
        cell.planned for cell in Campaign(study).cells
    )
    assert isinstance(Campaign(study).ask(), Trial)
