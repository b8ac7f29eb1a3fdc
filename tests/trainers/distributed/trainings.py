"""Small trainings for tests of several workers, with user applications that the other workers must find too."""

from dataclasses import replace
from typing import Any

import pytest
import torch.distributed

from zerotune.trainers.applications.user_file import ApplicationFile
from zerotune.trainers.distributed.data_parallel import ProcessGroup
from zerotune.trainers.distributed.local_workers import LocalWorkers
from zerotune.trainers.loop import Training
from zerotune.trainers.spec import OptimizerSpec, Placement, Recipe, ScheduleSpec, TrainConfig, TrainResult

NEEDS_GLOO = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="this build of torch has no gloo, which workers on CPUs need",
)

APPLICATION_NAMES = (
    *("resnet50", "cropped_resnet50", "small_lenet", "tiny_lenet"),
    *("half_used", "unscored", "half_scored"),
)
APPLICATIONS_FILE = """
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from zerotune.trainers.applications import Application
from zerotune.trainers.applications.classification import cross_entropy, num_correct, smoothed_cross_entropy
from zerotune.trainers.data.byte_images import crop_and_mirror
from zerotune.trainers.data.dataset import Dataset, DataSource, TensorSplit
from zerotune.trainers.models.cifar_resnet import CifarResNet
from zerotune.trainers.models.lenet import LeNet5
from zerotune.trainers.spec import Baseline, OptimizerSpec, ScheduleSpec


def drawn(folder, shape, num_train, augment=None):
    draw = torch.Generator().manual_seed(0)

    def split(n, augment=None):
        inputs = torch.randn(n, *shape, generator=draw)
        return TensorSplit(inputs=inputs, targets=torch.randint(10, (n,), generator=draw), augment=augment)

    return Dataset(train=split(num_train, augment), validation=split(20), test=split(20), info={"num_classes": 10})


class HalfUsed(nn.Module):  # an image decides which of two layers is used: the right one, of these images
    def __init__(self, num_classes):
        super().__init__()
        self.left, self.right = nn.Linear(784, num_classes), nn.Linear(784, num_classes)

    def forward(self, images):
        flat = images.flatten(1)
        return self.left(flat) if flat[0, 0] > 9 else self.right(flat)


def narrow_resnet50(num_classes):
    return CifarResNet(num_classes=num_classes, num_blocks=(3, 4, 6, 3), num_filters=2, bottleneck=True)


def application(build_model, shape, num_train, augment=None):
    return Application(
        description="of drawn images",
        source="",
        build_model=build_model,
        data_sources={"drawn": DataSource(load=partial(drawn, shape=shape, num_train=num_train, augment=augment))},
        loss=cross_entropy,
        smoothed_loss=smoothed_cross_entropy,
        score_sum=num_correct,
        metric="accuracy",
        higher_is_better=True,
        chance_score=0.1,
        target=0.5,
        epochs=2,
        baseline=Baseline(batch_size=8, schedule=ScheduleSpec(peak_lr=0.1), optimizer=OptimizerSpec(name="momentum")),
    )


resnet50 = application(narrow_resnet50, (3, 32, 32), 101)
cropped_resnet50 = application(narrow_resnet50, (3, 32, 32), 101, crop_and_mirror)
small_lenet = application(LeNet5, (1, 28, 28), 330)
tiny_lenet = application(LeNet5, (1, 28, 28), 33)
half_used = application(HalfUsed, (1, 28, 28), 330)


def not_a_number(outputs, targets):
    return outputs.sum() * torch.nan


unscored = replace(small_lenet, score_sum=not_a_number)
half_scored = replace(small_lenet, other_scores={"top5": not_a_number})
"""


class TwoWorkers(LocalWorkers):
    """This worker and another one, which finds the user applications in `files`."""

    def __init__(self, files: dict[str, ApplicationFile]) -> None:
        super().__init__(2)
        self.files = files

    def start_training(
        self, config: TrainConfig, placement: Placement, application: ApplicationFile | None = None
    ) -> ProcessGroup:
        return super().start_training(config, placement, application or self.files.get(config.application))


def lenet(**changes: Any) -> TrainConfig:
    plain: dict[str, Any] = {
        "application": "small_lenet",
        "data": "drawn",
        "batch_size": 80,
        "epochs": 2,
        "schedule": ScheduleSpec(peak_lr=0.02, warmup_epochs=0.5),
        "optimizer": OptimizerSpec(name="momentum"),
        "seed": 3,
        "recipe": Recipe(precision="float64"),
    }
    return TrainConfig(**{**plain, **changes})


def resnet(optimizer: str, **recipe: Any) -> TrainConfig:
    options = Recipe(**{"precision": "float64", "ghost_batch_size": 8, **recipe})
    changes = {"application": "resnet50", "data": "drawn", "batch_size": 48, "epochs": 1, "recipe": options}
    return lenet(**changes, optimizer=OptimizerSpec(name=optimizer, options={"weight_decay": 1e-3}))


def language_model(optimizer: str, **recipe: Any) -> TrainConfig:
    return lenet(
        application="ptb_small",
        data="text",
        data_options={"num_steps": 5, "vocabulary": 30},
        model_options={"num_hidden": 12},
        batch_size=9,
        optimizer=OptimizerSpec(name=optimizer),
        recipe=Recipe(precision="float64", **recipe),
    )


def translation(optimizer: str, **recipe: Any) -> TrainConfig:
    return lenet(
        application="gnmt_wmt16",
        data="multi30k",
        data_options={"vocabulary": 300},
        model_options={"num_hidden": 8, "num_layers": 2, "dropout": 0.0, "beam_size": 2},
        batch_size=17,
        epochs=1,
        optimizer=OptimizerSpec(name=optimizer),
        recipe=Recipe(precision="float64", **recipe),
    )


CASES = {
    "lenet momentum": lenet(),
    "lenet lars": lenet(optimizer=OptimizerSpec(name="lars", options={"weight_decay": 1e-4})),
    "lenet lamb": lenet(optimizer=OptimizerSpec(name="lamb", options={"weight_decay": 1e-4})),
    "lenet date": lenet(optimizer=OptimizerSpec(name="date", options={"weight_decay": 1e-4})),
    "lenet schedule-free": lenet(optimizer=OptimizerSpec(name="schedule-free-sgd")),
    "lenet clipped, in micro-batches": lenet(
        recipe=Recipe(precision="float64", clip_norm=0.5, micro_batch_size=30, label_smoothing=0.1)
    ),
    "language model lars": language_model("lars"),
    "language model date": language_model("date", clip_norm=1.0),
    "language model lamb": language_model("lamb", micro_batch_size=2),
    "resnet50 date": resnet("date"),
    "resnet50 lars": resnet("lars", micro_batch_size=8),
    "resnet50 lamb": resnet("lamb", ghost_batch_size=16),
    "resnet50, a ghost batch for two workers": replace(resnet("momentum"), batch_size=8),
    "resnet50 schedule-free": replace(resnet("schedule-free-sgd"), batch_size=49),
    "resnet50 on crops": replace(resnet("date", micro_batch_size=8), application="cropped_resnet50"),
    "translation adam": translation("adam", clip_norm=5.0, label_smoothing=0.1, micro_batch_size=4),
    "translation date": translation("date"),
    "one sample for two workers": lenet(
        application="tiny_lenet", batch_size=1, epochs=1, schedule=ScheduleSpec(peak_lr=1e-4)
    ),
}


def trained(config: TrainConfig, placement: Placement, process_group: ProcessGroup) -> Training:
    """Return a training that has ended."""
    training = Training(config, placement, process_group)
    while not training.finished:
        training.run_epoch()
    return training


def learned(result: TrainResult) -> list[tuple[float, ...]]:
    """Return what must be equal of a result."""
    scores = [(e.epoch, e.lr, e.iterations, e.samples, e.flops, e.words) for e in result.epochs]
    losses = [(e.train_loss, e.validation_loss, e.validation_score) for e in result.epochs]
    return [*scores, *losses, (result.validation_score, result.test_score or 0.0, result.test_loss or 0.0)]
