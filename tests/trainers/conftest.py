"""Configurations of small trainings for the tests of the recipe."""

from dataclasses import replace

import pytest

from tests.trainers.small_trainings import LENET, NUM_SAMPLES, batch_norm_net, first_of, spots
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.data import Dataset, DataSource
from zerotune.trainers.spec import TrainConfig


@pytest.fixture
def batch_norm(monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Return the configuration of an application whose small model has batch normalisation."""
    source = DataSource(load=lambda folder: spots(), num_train=NUM_SAMPLES, description="spots")
    application = replace(APPLICATIONS["lenet_mnist"], build_model=batch_norm_net, data_sources={"spots": source})
    monkeypatch.setitem(APPLICATIONS, "batch_norm", application)
    return replace(LENET, application="batch_norm", data="spots", batch_size=97, epochs=3)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Configure LeNet or the LSTM ("lstm_mnist") on MNIST's first 120 images: float64 and bfloat16 are slow here."""
    whole = APPLICATIONS["lenet_mnist"].data_sources["mnist5k"]
    loaded = whole.load(None)
    parts = {"train": loaded.train, "validation": loaded.validation, "test": loaded.test}
    first = Dataset(**{name: first_of(part, 120) for name, part in parts.items()})
    source = replace(whole, load=lambda folder: first, num_train=120)
    for name in ("lenet_mnist", "lstm_mnist"):
        monkeypatch.setitem(APPLICATIONS, name, replace(APPLICATIONS[name], data_sources={"few": source}))
    return replace(LENET, data="few", batch_size=100)
