"""ImageNet classification with the papers' convolutional networks.

ResNet-50 is v1.5 in LIMIT (Table 2) and v1 in LARS (Section 5); DATE and LEGW do not say. `resnet50_imagenet` is v1.5
with DATE's baseline and target; `resnet50_v1_imagenet` is v1 with LARS's. The other models are those of DATE's weak
scaling (Section 5.1, 64 images per chip, 256 on its smallest machine), which reports neither accuracies nor learning
rates.

A diverged training scores 0.1%, random guessing among ImageNet's 1,000 classes, also on other image folders.
"""

from functools import partial

from ..data.image_folder import IMAGENET_224, IMAGENET_299
from ..models.imagenet import alexnet, alexnet_bn, inception_v4, mnasnet, mobilenet, resnet50, resnet50_v1, squeezenet
from ..spec import Baseline, DecaySpec, OptimizerSpec, ScheduleSpec
from .application import Application
from .classification import classifier, num_correct_in_top5

POLY_2 = DecaySpec(name="poly", options={"power": 2.0})


def _momentum(batch_size: int, lr: float, weight_decay: float, decay: DecaySpec = POLY_2) -> Baseline:
    return Baseline(
        batch_size=batch_size,
        schedule=ScheduleSpec(peak_lr=lr, decay=decay),
        optimizer=OptimizerSpec(name="momentum", options={"momentum": 0.9, "weight_decay": weight_decay}),
    )


CUSTOMARY = _momentum(256, 0.1, 1e-4)
"""Baseline of models whose papers print none: learning rate 0.1 at 256 images and weight decay 1e-4 (Goyal et al.,
arXiv 1706.02677, Section 5.1) with LARS's decay. It is not tuned for these models: tune it first."""

_imagenet = partial(
    classifier,
    data_sources={"imagenet": IMAGENET_224},
    other_scores={"top5": num_correct_in_top5},
    chance_score=0.001,
    epochs=90,
    packages={"torchvision": "vision"},
)
_WITH_TIMM = {"torchvision": "vision", "timm": "vision"}

IMAGENET_APPLICATIONS: dict[str, Application] = {
    "resnet50_imagenet": _imagenet(
        build_model=resnet50,
        description="ResNet-50 v1.5 classifies ImageNet",
        source="DATE 4.4, Tables 2 and 4; weight decay: LIMIT Table 4",
        target=0.753,
        baseline=Baseline(
            batch_size=1024,
            schedule=ScheduleSpec(peak_lr=2**2.5, warmup_epochs=0.3125, decay=POLY_2),
            optimizer=OptimizerSpec(name="lars", options={"momentum": 0.9, "weight_decay": 1e-4}),
        ),
    ),
    "resnet50_v1_imagenet": _imagenet(
        build_model=resnet50_v1,
        description="ResNet-50 v1 classifies ImageNet",
        source="LARS Table 4",
        target=0.730,
        baseline=_momentum(256, 0.2, 1e-4),
    ),
    "alexnet_imagenet": _imagenet(
        build_model=alexnet,
        description="AlexNet classifies ImageNet",
        source="LARS 3, Table 1(a); weight decay: Table 3",
        target=0.588,
        epochs=100,
        baseline=_momentum(512, 0.02, 5e-4),
    ),
    "alexnet_bn_imagenet": _imagenet(
        build_model=alexnet_bn,
        description="AlexNet with batch normalisation classifies ImageNet",
        source="LARS 3, Table 1(b); 100 epochs: Table 3, 128 in footnote 4",
        target=0.602,
        epochs=100,
        baseline=_momentum(512, 0.02, 5e-4),
    ),
    "squeezenet_imagenet": _imagenet(
        build_model=squeezenet,
        description="SqueezeNet 1.0 classifies ImageNet",
        source="DATE 5.1; target: torchvision's SqueezeNet1_0_Weights; baseline: its authors' solver.prototxt",
        target=0.58092,
        epochs=68,
        baseline=_momentum(512, 0.04, 2e-4, DecaySpec(name="poly", options={"power": 1.0})),
    ),
    "mobilenet_imagenet": _imagenet(
        build_model=mobilenet,
        description="MobileNet (the first version) classifies ImageNet",
        source="DATE 5.1; target: arXiv 1704.04861, Table 8; baseline: customary, not tuned",
        target=0.706,
        baseline=CUSTOMARY,
        packages=_WITH_TIMM,
    ),
    "mnasnet_imagenet": _imagenet(
        build_model=mnasnet,
        description="MnasNet classifies ImageNet",
        source="DATE 5.1; target: torchvision's MNASNet1_0_Weights; baseline: customary, not tuned",
        target=0.73456,
        baseline=CUSTOMARY,
        packages=_WITH_TIMM,
    ),
    "inception_v4_imagenet": _imagenet(
        build_model=inception_v4,
        description="Inception-v4 classifies ImageNet at 299 pixels",
        source="DATE 5.1; target: arXiv 1602.07261, Table 2; baseline: customary, not tuned",
        target=0.800,
        baseline=CUSTOMARY,
        data_sources={"imagenet": IMAGENET_299},
        packages=_WITH_TIMM,
    ),
}
"""The ImageNet applications by name, for `APPLICATIONS`."""
