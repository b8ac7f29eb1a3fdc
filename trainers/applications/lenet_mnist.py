"""LeNet-5 on MNIST: the smallest of the papers' applications (DATE, Section 3.6; LIMIT, Table 2).

The baseline is LIMIT's: B0 = 256, momentum 0.9. The learning rate is this project's choice: 0.01, 0.02 and 0.05
(constant, four epochs, one seed) reached 98.4%, 98.8% and 98.6% validation accuracy. DATE's Section 3.6 uses another
baseline: B0 = 1,024, lr0 = 1.25e-3, w0 = 2, on all 60,000 images (`mnist60k`).
"""

from ..data.mnist import MNIST, MNIST60K
from ..data.mnist5k import MNIST5K
from ..models.lenet import LeNet5
from ..spec import Baseline, OptimizerSpec, ScheduleSpec
from .classification import classifier

LENET_MNIST = classifier(
    description="LeNet-5 classifies MNIST's digits",
    source="DATE 3.6; LIMIT Table 2",
    build_model=LeNet5,
    data_sources={"mnist5k": MNIST5K, "mnist": MNIST, "mnist60k": MNIST60K},
    chance_score=0.1,
    target=0.992,
    epochs=30,
    baseline=Baseline(
        batch_size=256,
        schedule=ScheduleSpec(peak_lr=0.02),
        optimizer=OptimizerSpec(name="momentum", options={"momentum": 0.9}),
    ),
)
