"""ResNet-50 v1 on CIFAR-10 (LIMIT, Table 2 and Sections 6.1 to 6.4): 93.9% at batch 128 in 200 epochs.

The paper prints batch size and epochs but no learning rate, and names kuangliu's pytorch-cifar as its implementation.
The baseline is that implementation's: momentum 0.9, learning rate 0.1, weight decay 5e-4, cosine decay over 200 epochs.
The implementation reports 93.62% for ResNet-50 (learning rates 0.1, 0.01, 0.001 from epochs 0, 150, 250 of 350).
"""

from ..data.cifar10 import CIFAR10, CIFAR10_50K, CIFAR10_PART
from ..models.cifar_resnet import CifarResNet
from ..options import Options
from ..spec import Baseline, DecaySpec, OptimizerSpec, ScheduleSpec
from .classification import classifier

RESNET50_CIFAR10 = classifier(
    description="ResNet-50 v1 classifies CIFAR-10's photographs",
    source="LIMIT Table 2, Figs 13 to 15, 20 to 22",
    build_model=CifarResNet,
    model_options=Options(
        defaults={"num_blocks": (3.0, 4.0, 6.0, 3.0), "num_filters": 64, "bottleneck": True},
        ranges={"num_blocks": (1, 100), "num_filters": (1, 1024)},
    ),
    data_sources={"cifar10": CIFAR10, "cifar10-50k": CIFAR10_50K, "cifar10-part": CIFAR10_PART},
    chance_score=0.1,
    target=0.939,
    epochs=200,
    baseline=Baseline(
        batch_size=128,
        schedule=ScheduleSpec(peak_lr=0.1, decay=DecaySpec(name="cosine")),
        optimizer=OptimizerSpec(name="momentum", options={"momentum": 0.9, "weight_decay": 5e-4}),
    ),
)
