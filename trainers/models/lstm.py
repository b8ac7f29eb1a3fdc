"""An LSTM that reads an image row by row (DATE, Section 4.1.1; LEGW, Section 5.1).

Shape suffixes: B batch, C channels, T steps (rows of an image), W pixels of a row, H hidden units, L layers, K classes.
"""

from typing import cast

import torch
from torch import Tensor, nn


class RowLSTM(nn.Module):
    """A linear transform of every row, LSTM layers, and a classifier on the output of the last step.

    DATE's network (28 steps, 128x28 input transform, one layer of 128 hidden units, so a cell kernel of 256x512) has
    137,098 parameters. LEGW's has two layers of 128 units and 269,194 parameters; LEGW does not describe its input, so
    it gets the same transform.

    The papers do not say what the classifier reads, how the forget gate's bias is set, or how parameters are
    initialised. Here the classifier reads the last layer's output at the last step, no gate has an extra bias, and
    initial values are torch's defaults. Differs from TensorFlow's basic cell, which adds 1 to the forget gate's input
    and has one bias vector per layer; torch has two.

    On CPUs the transform and the first layer's input weights are multiplied first: up to rounding the same function of
    the same parameters, 1.4 times as fast (benchmarks/row_lstm.py). Operations are still counted as published
    (`trainers.flops_and_memory` disables oneDNN), so that costs are comparable across devices.

    Args:
        num_hidden: H, of the transform and every layer, >= 1.
        num_layers: L, >= 1.
        num_classes: K.

    >>> sum(parameter.numel() for parameter in RowLSTM().parameters())
    137098
    >>> sum(parameter.numel() for parameter in RowLSTM(num_layers=2).parameters())
    269194
    """

    def __init__(self, num_hidden: int = 128, num_layers: int = 1, num_classes: int = 10):
        super().__init__()
        self.transform = nn.Linear(28, num_hidden)
        self.lstm = nn.LSTM(num_hidden, num_hidden, num_layers)
        self.classifier = nn.Linear(num_hidden, num_classes)

    def forward(self, images_BCTW: Tensor) -> Tensor:
        """Return logits (B, K) of images (B, 1, 28, 28); the LSTM reads row t at step t."""
        rows_TBW = images_BCTW.squeeze(1).transpose(0, 1)
        outputs_TBH = (
            self._fused_transform(rows_TBW) if _runs_on_onednn(rows_TBW) else self._separate_transform(rows_TBW)
        )
        logits_BK: Tensor = self.classifier(outputs_TBH[-1])
        return logits_BK

    def _separate_transform(self, rows_TBW: Tensor) -> Tensor:
        """Return the last layer's outputs (T, B, H)."""
        outputs_TBH: Tensor = self.lstm(self.transform(rows_TBW))[0]
        return outputs_TBH

    def _fused_transform(self, rows_TBW: Tensor) -> Tensor:
        """Return the same by U (V x + v) + u = (U V) x + (U v + u), with 28 inputs per row instead of 128."""
        layers = cast(list[list[Tensor]], self.lstm.all_weights)
        input_weight, hidden_weight, input_bias, hidden_bias = layers[0]
        first = [
            input_weight @ self.transform.weight,
            hidden_weight,
            input_weight @ self.transform.bias + input_bias,
            hidden_bias,
        ]
        weights = [weight for layer in (first, *layers[1:]) for weight in layer]
        start_LBH = rows_TBW.new_zeros(self.lstm.num_layers, rows_TBW.shape[1], self.lstm.hidden_size)
        has_biases, dropout, bidirectional, batch_first = True, 0.0, False, False
        outputs_TBH, _, _ = torch.lstm(
            rows_TBW,
            (start_LBH, start_LBH),
            weights,
            has_biases,
            self.lstm.num_layers,
            dropout,
            self.training,
            bidirectional,
            batch_first,
        )
        return outputs_TBH


def _runs_on_onednn(rows_TBW: Tensor) -> bool:
    """Whether oneDNN computes the LSTM, in the dtype of the rows."""
    on_cpu = rows_TBW.device.type == "cpu"
    return on_cpu and bool(torch.backends.mkldnn.enabled) and not torch.is_autocast_enabled("cpu")
