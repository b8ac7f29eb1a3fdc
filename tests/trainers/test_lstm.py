"""The LSTM reads an image's rows in order and answers after the last."""

import torch
from torch import Tensor

from trainers.models.lstm import RowLSTM


def step_by_step(model: RowLSTM, image: Tensor) -> Tensor:
    """The published recurrence, written out for one image (28, 28)."""
    weights = dict(model.lstm.named_parameters())
    hidden = cell = torch.zeros(128, dtype=image.dtype)
    for row in image:
        inputs = model.transform.weight @ row + model.transform.bias
        gates = weights["weight_ih_l0"] @ inputs + weights["bias_ih_l0"]
        gates = gates + weights["weight_hh_l0"] @ hidden + weights["bias_hh_l0"]
        to_keep, to_forget, candidate, to_show = gates.split(128)
        cell = to_forget.sigmoid() * cell + to_keep.sigmoid() * candidate.tanh()
        hidden = to_show.sigmoid() * cell.tanh()
    return model.classifier.weight @ hidden + model.classifier.bias


def test_lstm_has_the_papers_sizes():
    weights = {name: tuple(p.shape) for name, p in RowLSTM().named_parameters() if "weight" in name}
    assert weights == {
        "transform.weight": (128, 28),
        "lstm.weight_ih_l0": (512, 128),
        "lstm.weight_hh_l0": (512, 128),
        "classifier.weight": (10, 128),
    }


def test_lstm_equals_the_recurrence_written_out():
    torch.manual_seed(0)
    model, images = RowLSTM().double(), torch.randn(2, 1, 28, 28, dtype=torch.float64)
    expected = torch.stack([step_by_step(model, image) for image in images[:, 0]])
    torch.testing.assert_close(model(images), expected)
