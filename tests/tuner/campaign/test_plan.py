"""A plan predicts what a study would do, without training."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import zerotune.tuner.campaign.plan
from zerotune.trainers.applications import APPLICATIONS
from zerotune.tuner.campaign.campaign import Campaign
from zerotune.tuner.campaign.plan import plan_study
from zerotune.tuner.errors import BadInput
from zerotune.tuner.study import load_study, study_from_text
from zerotune.tuner.trial import Trial

TEXT = """
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
STUDY = study_from_text(TEXT, "planned.yaml")


def test_a_plan_counts_trials_iterations_samples_and_operations() -> None:
    """A trial has ceil(E n / B) iterations (DATE, Algorithm 1), and n is 3,000; a sample costs the same at every B."""
    cells = plan_study(STUDY)
    assert [(c.arm, c.batch_size, c.search_trials, c.confirmation_trials) for c in cells] == [
        ("baseline", 1000, 2, 3),
        ("tuned", 1500, 4, 3),
        ("sqrt", 1500, 0, 3),
        ("tuned", 3000, 4, 3),
        ("sqrt", 3000, 0, 3),
    ]
    assert [cell.iterations for cell in cells] == [5 * 6, 7 * 4, 3 * 4, 7 * 2, 3 * 2]
    assert [cell.samples for cell in cells] == [num * 2 * 3000 for num in (5, 7, 3, 7, 3)]
    assert len({cell.flops / cell.samples for cell in cells if cell.flops}) == 1
    assert all(cell.flops for cell in cells)


@pytest.mark.parametrize("folder", ["no-such-folder", None])
def test_a_plan_needs_no_data_and_downloads_nothing(
    folder: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*address: object, **options: object) -> None:
        raise AssertionError(f"the plan asked the network for {address}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ZEROTUNE_DATA", raising=False)
    cells = plan_study(study_from_text(TEXT.replace("mnist5k", "mnist"), "planned.yaml"), folder)
    assert [(cell.flops, cell.seconds) for cell in cells] == [(None, None)] * 5
    assert [cell.iterations for cell in cells] == [5 * 110, 7 * 74, 3 * 74, 7 * 37, 3 * 37]


def test_a_plan_measures_no_more_samples_at_once_than_the_recipe_holds_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured: list[int] = []
    real = zerotune.tuner.campaign.plan.seconds_per_sample

    def seconds_per_sample(application: Any, data: Any, batch_size: int, *options: Any) -> float:
        measured.append(batch_size)
        return real(application, data, batch_size, *options)

    monkeypatch.setattr(zerotune.tuner.campaign.plan, "seconds_per_sample", seconds_per_sample)
    cells = plan_study(study_from_text(f"{TEXT}recipe: {{micro_batch_size: 500}}\n", "planned.yaml"))
    assert measured == [500, 500, 500]
    assert all(cell.seconds for cell in cells)


def test_a_plan_does_without_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = replace(APPLICATIONS["lenet_mnist"], packages={"no_such_package": "vision"})
    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", lacking)
    cells = plan_study(STUDY)
    assert [cell.flops for cell in cells] == [None] * 5


def test_a_plan_that_cannot_count_the_samples_says_which_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    application = APPLICATIONS["lenet_mnist"]
    uncounted = {"mnist5k": replace(application.data_sources["mnist5k"], num_train=None)}
    lacking = replace(application, packages={"no_such_package": "vision"}, data_sources=uncounted)
    monkeypatch.setitem(APPLICATIONS, "lenet_mnist", lacking)
    with pytest.raises(BadInput, match=r"no_such_package is not installed: pip install 'zerotune\[vision\]'"):
        plan_study(STUDY)


def test_a_plan_is_the_campaigns_own_count() -> None:
    study = load_study("quickstart")
    assert sum(c.search_trials + c.confirmation_trials for c in plan_study(study)) == sum(
        cell.num_planned for cell in Campaign(study).cells
    )
    assert isinstance(Campaign(study).ask(), Trial)
