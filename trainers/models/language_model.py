"""The LSTM language model of Zaremba et al. (arXiv 1409.2329), as in TensorFlow's tutorial ptb_word_lm.py.

Shape suffixes: B batch, T words of a window, V words of the vocabulary, H hidden units, L layers, S streams, 2 hidden
and cell state of an LSTM.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from .autocast import cast_for_autocast


class LanguageModelInputs(Protocol):
    """Windows of words and the streams that they continue: `trainers.data.windows.Windows`."""

    @property
    def tokens(self) -> Tensor:
        """Word indices (B, T), int64, on the model's device."""

    @property
    def streams(self) -> Tensor:
        """Stream indices (B,), int64, distinct, on the CPU."""


class LanguageModel(nn.Module):
    """An embedding, LSTM layers and an untied softmax over the vocabulary.

    The state of every stream is carried from batch to batch without gradient. A window continues from the end of the
    previous window of its stream, also across batches and micro-batches. `reset_state` resets all streams. States are
    not part of `state_dict`.

    Dropout is applied to the non-recurrent connections: into, between and out of the layers. All parameters, biases
    included, are initialised uniformly in [-init_scale, init_scale] (Zaremba et al., Section 4.1).

    Differs from the tutorial's default cell: every layer has two bias vectors instead of one, like cuDNN's LSTM and the
    tutorial's rnn_mode CUDNN. These are 3,200 of 4.65 million parameters.

    Args:
        vocabulary_size: V.
        num_hidden: H, of the embedding and every layer.
        num_layers: L, >= 1.
        dropout: dropout probability, in [0, 1); the tutorial's keep_prob is 1 - dropout.
        init_scale: bound of the initial values, > 0.

    >>> sum(parameter.numel() for parameter in LanguageModel().parameters())
    4653200
    """

    def __init__(
        self,
        vocabulary_size: int = 10_000,
        *,
        num_hidden: int = 200,
        num_layers: int = 2,
        dropout: float = 0.0,
        init_scale: float = 0.1,
    ):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, num_hidden)
        self.lstm = nn.LSTM(num_hidden, num_hidden, num_layers, dropout=dropout if num_layers > 1 else 0.0)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(num_hidden, vocabulary_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init_scale, init_scale)
        self._states_2LSH: Tensor | None = None

    def reset_state(self) -> None:
        """Reset the states of all streams to zero."""
        self._states_2LSH = None

    def forward(self, windows: LanguageModelInputs) -> Tensor:
        """Return logits (B, T, V) of the next words."""
        states_2LSH = self._states_for(windows.streams)
        streams_B = windows.streams.to(states_2LSH.device)
        begin_LBH, begin_cell_LBH = states_2LSH.index_select(2, streams_B)
        inputs_TBH = self.dropout(cast_for_autocast(self.embedding(windows.tokens.t())))
        outputs_TBH, ends = self.lstm(inputs_TBH, (begin_LBH, begin_cell_LBH))
        # Not in place: training cannot write to a tensor that an evaluation created in inference mode.
        ends_2LBH = torch.stack(ends).detach().to(states_2LSH.dtype)
        self._states_2LSH = states_2LSH.index_copy(2, streams_B, ends_2LBH)
        logits_BTV: Tensor = self.classifier(self.dropout(outputs_TBH).transpose(0, 1))
        return logits_BTV

    def _states_for(self, streams_B: Tensor) -> Tensor:
        """Return the states (2, L, S, H), extended by zeros to hold these streams."""
        num_streams = int(streams_B.max()) + 1
        known = self._states_2LSH
        num_known = 0 if known is None else known.shape[2]
        if known is not None and num_known >= num_streams:
            return known
        weight, layers, hidden = self.classifier.weight, self.lstm.num_layers, self.lstm.hidden_size
        new = weight.new_zeros(2, layers, num_streams - num_known, hidden)
        return new if known is None else torch.cat([known, new], dim=2)
