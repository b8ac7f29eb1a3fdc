"""An application of one's own: a small network reads the 8 x 8 digits that scikit-learn ships."""

from sklearn.datasets import load_digits
from torch import nn

from zerotune.trainers.applications import Application
from zerotune.trainers.applications.classification import cross_entropy, num_correct
from zerotune.trainers.data import Dataset, DataSource, divide


def build_model():
    """A new network, its initial weights from torch's random numbers."""
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def load(folder):
    """The digits in three parts; `folder` is of no use here: scikit-learn brings the file."""
    images, labels = load_digits(return_X_y=True)  # (1797, 64) values 0..16, (1797,) labels 0..9
    train, validation, test = divide((images / 16, labels), shares=(0.6, 0.2, 0.2))
    return Dataset(train=train, validation=validation, test=test)


digits = Application(
    build_model=build_model,
    data_sources={"sklearn": DataSource(load=load)},
    loss=cross_entropy,
    score_sum=num_correct,
    metric="accuracy",
    higher_is_better=True,
    chance_score=0.1,
)
