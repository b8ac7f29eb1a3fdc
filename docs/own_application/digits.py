"""Your own application, the example: a small network that reads the 8 x 8 digits of scikit-learn."""

from sklearn.datasets import load_digits
from torch import nn

from zerotune import Application, Dataset, DataSource, cross_entropy, divide, num_correct


def build_model():
    """Return a new network with random initial weights."""
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def load(folder):
    """Return the digits in three splits. `folder` is not used: scikit-learn contains the file."""
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
