"""ImageNet classification with the papers' convolutional networks.

ResNet-50 is v1.5 in LIMIT (Table 2) and v1 in LARS (Section 5); DATE and LEGW do not say. `resnet50_imagenet` is v1.5
with DATE's baseline and target; `resnet50_v1_imagenet` is v1 with LARS's. The other models are those of DATE's weak
scaling (Section 5.1, 64 images per chip, 256 on its smallest machine), which reports neither accuracies nor learning
rates.

A diverged training scores 0.1%, random guessing among ImageNet's 1,000 classes, also on other image folders.
"""

from collections.abc import Callable

from torch import nn

from ..data.image_folder import IMAGENET_224, IMAGENET_299
from ..models.imagenet import alexnet, alexnet_bn, inception_v4, mnasnet, mobilenet, resnet50, resnet50_v1, squeezenet
from ..spec import Baseline, DecaySpec, OptimizerSpec, ScheduleSpec
from .application import Application, DataSource
from .classification import cross_entropy, num_correct, num_correct_in_top5, smoothed_cross_entropy

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


def _imagenet(
    build_model: Callable[..., nn.Module],
    *,
    description: str,
    source: str,
    target: float,
    epochs: int,
    baseline: Baseline,
    data_source: DataSource = IMAGENET_224,
    packages: tuple[str, ...] = ("torchvision",),
) -> Application:
    """Return an application that classifies ImageNet."""
    return Application(
        description=description,
        source=source,
        build_model=build_model,
        data_sources={"imagenet": data_source},
        loss=cross_entropy,
        score_sum=num_correct,
        metric="accuracy",
        other_scores={"top5": num_correct_in_top5},
        higher_is_better=True,
        chance_score=0.001,
        target=target,
        epochs=epochs,
        baseline=baseline,
        smoothed_loss=smoothed_cross_entropy,
        packages=dict.fromkeys(packages, "vision"),
    )


RESNET50_IMAGENET = _imagenet(
    resnet50,
    description="ResNet-50 v1.5 classifies ImageNet",
    source="DATE 4.4, Tables 2 and 4; weight decay: LIMIT Table 4",
    target=0.753,
    epochs=90,
    baseline=Baseline(
        batch_size=1024,
        schedule=ScheduleSpec(peak_lr=2**2.5, warmup_epochs=0.3125, decay=POLY_2),
        optimizer=OptimizerSpec(name="lars", options={"momentum": 0.9, "weight_decay": 1e-4}),
    ),
)

RESNET50_V1_IMAGENET = _imagenet(
    resnet50_v1,
    description="ResNet-50 v1 classifies ImageNet",
    source="LARS Table 4",
    target=0.730,
    epochs=90,
    baseline=_momentum(256, 0.2, 1e-4),
)

ALEXNET_IMAGENET = _imagenet(
    alexnet,
    description="AlexNet classifies ImageNet",
    source="LARS 3, Table 1(a); weight decay: Table 3",
    target=0.588,
    epochs=100,
    baseline=_momentum(512, 0.02, 5e-4),
)

ALEXNET_BN_IMAGENET = _imagenet(
    alexnet_bn,
    description="AlexNet with batch normalisation classifies ImageNet",
    source="LARS 3, Table 1(b); 100 epochs: Table 3, 128 in footnote 4",
    target=0.602,
    epochs=100,
    baseline=_momentum(512, 0.02, 5e-4),
)

SQUEEZENET_IMAGENET = _imagenet(
    squeezenet,
    description="SqueezeNet 1.0 classifies ImageNet",
    source="DATE 5.1; target: torchvision's SqueezeNet1_0_Weights; baseline: its authors' solver.prototxt",
    target=0.58092,
    epochs=68,
    baseline=_momentum(512, 0.04, 2e-4, DecaySpec(name="poly", options={"power": 1.0})),
)

MOBILENET_IMAGENET = _imagenet(
    mobilenet,
    description="MobileNet (the first version) classifies ImageNet",
    source="DATE 5.1; target: arXiv 1704.04861, Table 8; baseline: customary, not tuned",
    target=0.706,
    epochs=90,
    baseline=CUSTOMARY,
    packages=("torchvision", "timm"),
)

MNASNET_IMAGENET = _imagenet(
    mnasnet,
    description="MnasNet classifies ImageNet",
    source="DATE 5.1; target: torchvision's MNASNet1_0_Weights; baseline: customary, not tuned",
    target=0.73456,
    epochs=90,
    baseline=CUSTOMARY,
    packages=("torchvision", "timm"),
)

INCEPTION_V4_IMAGENET = _imagenet(
    inception_v4,
    description="Inception-v4 classifies ImageNet at 299 pixels",
    source="DATE 5.1; target: arXiv 1602.07261, Table 2; baseline: customary, not tuned",
    target=0.800,
    epochs=90,
    baseline=CUSTOMARY,
    data_source=IMAGENET_299,
    packages=("torchvision", "timm"),
)

IMAGENET_APPLICATIONS: dict[str, Application] = {
    "resnet50_imagenet": RESNET50_IMAGENET,
    "resnet50_v1_imagenet": RESNET50_V1_IMAGENET,
    "alexnet_imagenet": ALEXNET_IMAGENET,
    "alexnet_bn_imagenet": ALEXNET_BN_IMAGENET,
    "squeezenet_imagenet": SQUEEZENET_IMAGENET,
    "mobilenet_imagenet": MOBILENET_IMAGENET,
    "mnasnet_imagenet": MNASNET_IMAGENET,
    "inception_v4_imagenet": INCEPTION_V4_IMAGENET,
}
"""The ImageNet applications by name, for `APPLICATIONS`."""
