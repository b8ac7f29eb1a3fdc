"""Applications: a model, its data, loss, metric, target and tuned baseline, one file each.

`APPLICATIONS` is the one table of them. An application says how one training is made; it must not know schedules being
searched, trials or costs.
"""

from trainers.applications.application import Application
from trainers.applications.lenet_mnist import LENET_MNIST
from trainers.applications.lstm_mnist import LSTM_MNIST

APPLICATIONS: dict[str, Application] = {
    "lenet_mnist": LENET_MNIST,
    "lstm_mnist": LSTM_MNIST,
}
