"""The LSTM that reads an image row by row (DATE, Section 4.1.1; LEGW, Section 5.1).

Shape suffixes: B batch, C channels, T steps (rows of an image), W pixels of a row, H hidden units, K classes.
"""

from torch import Tensor, nn


class RowLSTM(nn.Module):
    """A linear input transform of every row, one LSTM layer, and a classifier on the last step's output.

    In DATE's setting (28 steps, 128x28 input transform, 128 hidden units) it has 137,098 parameters.

    >>> sum(parameter.numel() for parameter in RowLSTM().parameters())
    137098
    """

    def __init__(self, num_hidden: int = 128, num_classes: int = 10):
        super().__init__()
        self.transform = nn.Linear(28, num_hidden)
        self.lstm = nn.LSTM(num_hidden, num_hidden)
        self.classifier = nn.Linear(num_hidden, num_classes)

    def forward(self, images_BCTW: Tensor) -> Tensor:
        """Logits (B, K) of images (B, 1, 28, 28): row t is what the LSTM sees at step t."""
        rows_TBW = images_BCTW.squeeze(1).transpose(0, 1)
        outputs_TBH, _ = self.lstm(self.transform(rows_TBW))
        logits_BK: Tensor = self.classifier(outputs_TBH[-1])
        return logits_BK
