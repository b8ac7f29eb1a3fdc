"""Small trainings for tests of the recipe: LeNet, and a small model with batch normalisation on synthetic images."""

from dataclasses import asdict, replace

import pytest
import torch
from torch import nn

from zerotune.trainers.data import Dataset, Split, TensorSplit
from zerotune.trainers.loop import Training
from zerotune.trainers.spec import OptimizerSpec, Placement, Recipe, ScheduleSpec, TrainConfig, TrainResult

LENET = TrainConfig(
    application="lenet_mnist",
    data="mnist5k",
    batch_size=1_000,
    epochs=1,
    schedule=ScheduleSpec(peak_lr=0.05),
    optimizer=OptimizerSpec(name="momentum", options={"momentum": 0.9}),
    seed=0,
)
PLAIN = OptimizerSpec(name="momentum", options={"momentum": 0.0})
NUM_SAMPLES, NUM_CLASSES = 300, 4


def spots() -> Dataset:
    """Return 300 images of 6 x 6 in 4 classes, each with its own quarter brighter."""
    generator = torch.Generator().manual_seed(1)
    targets = torch.arange(NUM_SAMPLES) % NUM_CLASSES
    inputs = torch.randn(NUM_SAMPLES, 1, 6, 6, generator=generator)
    for quarter in range(NUM_CLASSES):
        row, column = 3 * (quarter // 2), 3 * (quarter % 2)
        inputs[targets == quarter, :, row : row + 3, column : column + 3] += 1.0
    split = TensorSplit(inputs=inputs, targets=targets)
    return Dataset(train=split, validation=split, test=split)


def batch_norm_net() -> nn.Module:
    """Return a model without biases before batch normalisation.

    The gradient of such a bias is rounding error alone, which adaptive optimizers amplify.
    """
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 8, bias=False),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Linear(8, NUM_CLASSES),
    )


def first_of(split: Split, number: int) -> TensorSplit:
    inputs, targets = next(split.batches([torch.arange(number)]))
    return TensorSplit(inputs=inputs, targets=targets)


def with_recipe(config: TrainConfig, **recipe: object) -> TrainConfig:
    return replace(config, recipe=Recipe(**recipe))


def trained(config: TrainConfig) -> Training:
    training = Training(config, Placement())
    while not training.finished:
        training.run_epoch()
    return training


def numbers(result: TrainResult) -> list[dict[str, float]]:
    """Return the results that must not depend on the clock."""
    return [{name: value for name, value in asdict(m).items() if name != "device_seconds"} for m in result.epochs]


def assert_same_training(actual: Training, expected: Training) -> None:
    """Assert that weights, running statistics and losses are equal up to float64 rounding."""
    for name, value in expected.model.state_dict().items():
        torch.testing.assert_close(actual.model.state_dict()[name], value, rtol=1e-10, atol=1e-12, msg=name)
    losses = [m.train_loss for m in actual.result().epochs]
    assert losses == pytest.approx([m.train_loss for m in expected.result().epochs], rel=1e-12)
