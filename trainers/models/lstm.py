"""The LSTM that reads an image row by row (DATE, Section 4.1.1; LEGW, Section 5.1).

Shape suffixes: B batch, C channels, T steps (rows of an image), W pixels of a row, H hidden units, L layers, K classes.
"""

from typing import cast

import torch
from torch import Tensor, nn


class RowLSTM(nn.Module):
    """A linear input transform of every row, LSTM layers, and a classifier on the last step's output.

    In DATE's setting (28 steps, 128x28 input transform, one layer of 128 hidden units, so a cell kernel of 256x512) it
    has 137,098 parameters. LEGW's has two layers of 128 units, 269,194 parameters; of its input it says nothing, and it
    is given the same transform.

    The papers are silent on what the classifier reads, on a bias of the forget gate and on initial values: it reads the
    last layer's output at the last step, no gate has an extra bias, and initial values are torch's defaults. Differs
    from TensorFlow's basic cell, which adds 1 to the forget gate's input, and has torch's two bias vectors a layer.

    On CPUs the transform and the first layer's input weights, two linear maps in a row, are multiplied out first: the
    same function of the same parameters to rounding, 1.4 times as fast (benchmarks/row_lstm.py). Operations are counted
    as published all the same (`trainers.flops_and_memory` switches oneDNN off), so that costs compare across devices.

    Args:
        num_hidden: H, of the transform and of every layer, >= 1.
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
        """Logits (B, K) of images (B, 1, 28, 28): row t is what the LSTM sees at step t."""
        rows_TBW = images_BCTW.squeeze(1).transpose(0, 1)
        outputs_TBH = (
            self._fused_transform(rows_TBW) if _runs_on_onednn(rows_TBW) else self._separate_transform(rows_TBW)
        )
        logits_BK: Tensor = self.classifier(outputs_TBH[-1])
        return logits_BK

    def _separate_transform(self, rows_TBW: Tensor) -> Tensor:
        """The last layer's outputs (T, B, H)."""
        outputs_TBH: Tensor = self.lstm(self.transform(rows_TBW))[0]
        return outputs_TBH

    def _fused_transform(self, rows_TBW: Tensor) -> Tensor:
        """The same: U (V x + v) + u = (U V) x + (U v + u), for x of 28 numbers instead of 128."""
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
    """Whether oneDNN's LSTM will run, in the number format of the rows."""
    on_cpu = rows_TBW.device.type == "cpu"
    return on_cpu and bool(torch.backends.mkldnn.enabled) and not torch.is_autocast_enabled("cpu")
