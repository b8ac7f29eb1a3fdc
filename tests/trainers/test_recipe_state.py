"""Trainings with a recipe resume bit for bit, and optimizers with evaluation weights are evaluated at those."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.contracts.optimizer_cases import EVERY_OPTIMIZER
from tests.trainers.small_trainings import NUM_CLASSES, NUM_SAMPLES, numbers, trained, with_recipe
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.loop import Training, train
from zerotune.trainers.optimizers import OPTIMIZERS, OptimizerEntry
from zerotune.trainers.spec import OptimizerSpec, Placement, ScheduleSpec, TrainConfig

# -- resuming ----------------------------------------------------------------------------------------------------------

EVERYTHING = {"clip_norm": 1.0, "label_smoothing": 0.1, "ghost_batch_size": 8, "micro_batch_size": 32}


@pytest.fixture
def schedule_free(batch_norm: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Configure Schedule-Free SGD directly from its package."""
    package = pytest.importorskip("schedulefree", reason="needs the package schedulefree")
    entry = OptimizerEntry(
        build=lambda named, lr, options: package.SGDScheduleFree([parameter for _, parameter in named], lr=lr),
        defaults={},
        description="Schedule-Free SGD",
        source="arXiv 2405.15682",
    )
    monkeypatch.setitem(OPTIMIZERS, "schedulefree-test", entry)
    return replace(batch_norm, optimizer=OptimizerSpec(name="schedulefree-test"), schedule=ScheduleSpec(peak_lr=0.5))


def assert_resumes_bit_for_bit(config: TrainConfig, tmp_path: Path) -> None:
    placement = Placement(checkpoint=str(tmp_path / "training.pt"), checkpoint_seconds=0)
    train(config, placement, report=lambda metrics: metrics.epoch < 2)
    resumed, whole = train(config, placement), train(config)
    assert resumed.resumed_epochs == 2
    assert numbers(resumed) == numbers(whole)
    assert (resumed.test_score, resumed.test_loss) == (whole.test_score, whole.test_loss)


@pytest.mark.parametrize("precision", ["bfloat16", "float64"])
def test_an_interrupted_training_equals_one_that_was_not_in_every_precision(
    schedule_free: TrainConfig, precision: str, tmp_path: Path
):
    assert_resumes_bit_for_bit(with_recipe(schedule_free, precision=precision, **EVERYTHING), tmp_path)


@EVERY_OPTIMIZER
def test_an_interrupted_training_equals_one_that_was_not_with_every_optimizer(
    batch_norm: TrainConfig, name: str, tmp_path: Path
):
    config = replace(batch_norm, optimizer=OptimizerSpec(name=name))
    assert_resumes_bit_for_bit(with_recipe(config, **EVERYTHING), tmp_path)


# -- optimizers with separate evaluation weights -----------------------------------------------------------------------


def test_schedule_free_is_evaluated_at_the_average_and_trained_at_the_interpolation(
    schedule_free: TrainConfig, monkeypatch: pytest.MonkeyPatch
):
    """Defazio et al., arXiv 2405.15682, Equations 3 to 5, written out with beta 0.9 and a full batch, in float64."""
    linear = replace(
        APPLICATIONS["batch_norm"], build_model=lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, NUM_CLASSES))
    )
    monkeypatch.setitem(APPLICATIONS, "batch_norm", linear)
    config = with_recipe(replace(schedule_free, batch_size=NUM_SAMPLES, epochs=5), precision="float64")
    training = Training(config, Placement())
    model, data = training.model[1], training.data.train
    inputs = data.inputs.flatten(1)
    z = x = [parameter.detach().clone() for parameter in model.parameters()]
    for t in range(1, 6):
        metrics = training.run_epoch()
        y = [(0.1 * a + 0.9 * b).requires_grad_() for a, b in zip(z, x, strict=True)]
        train_loss = F.cross_entropy(F.linear(inputs, *y), data.targets)
        z = [a - 0.5 * g for a, g in zip(z, torch.autograd.grad(train_loss, y), strict=True)]
        x = [(1 - 1 / t) * b + a / t for a, b in zip(z, x, strict=True)]
        assert metrics.train_loss == pytest.approx(train_loss.item(), rel=1e-9)
        evaluated = F.cross_entropy(F.linear(inputs, *x), data.targets).item()
        assert metrics.validation_loss == pytest.approx(evaluated, rel=1e-9)


@pytest.mark.parametrize("micro_batch_size", [None, 40])
def test_running_statistics_are_recomputed_at_the_weights_that_are_evaluated(
    schedule_free: TrainConfig, micro_batch_size: int | None
):
    config = with_recipe(replace(schedule_free, batch_size=100), precision="float64", micro_batch_size=micro_batch_size)
    training = trained(config)
    with torch.no_grad():
        maps = training.model[0](training.data.train.inputs)
    actual = training.model[1].running_mean
    if micro_batch_size is None:  # the mean of the means of equal pieces is the mean of all
        torch.testing.assert_close(actual, maps.mean(dim=(0, 2, 3)), rtol=1e-9, atol=1e-9)
    else:
        torch.testing.assert_close(actual, maps.mean(dim=(0, 2, 3)), rtol=0.1, atol=0.05)
        assert training.model[1].num_batches_tracked == 9
    assert training.model[1].momentum == 0.1
    assert not training.model.training


def test_running_statistics_of_other_optimizers_are_those_of_training(batch_norm: TrainConfig):
    training = trained(batch_norm)
    assert training.model[1].num_batches_tracked == sum(m.iterations for m in training.result().epochs)
