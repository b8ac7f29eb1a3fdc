"""The LSTM language model of Zaremba et al. (arXiv 1409.2329) in the form of TensorFlow's tutorial, ptb_word_lm.py.

Shape suffixes: B windows of a batch, T words of a window, V words known, H hidden units, L layers, S streams; the 2 of
a state are the LSTM's hidden state and its cell.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from .autocast import cast_for_autocast


class LanguageModelInputs(Protocol):
    """Windows of words, each with the number of the stream that it goes on with: `trainers.data.windows.Windows`."""

    @property
    def tokens(self) -> Tensor:
        """Word numbers (B, T), int64, on the model's device."""

    @property
    def streams(self) -> Tensor:
        """Numbers of streams (B,), int64, each once in a batch, on the CPU."""


class LanguageModel(nn.Module):
    """Words embedded, LSTM layers, and a softmax over all words with weights of its own (untied).

    It carries the state of every stream from batch to batch, without gradient, so that a window is read where the
    window before it ended, whichever batches and micro-batches the two were in. `reset_state` forgets them all. States
    are not part of `state_dict`.

    Dropout is on the connections that are not recurrent: into, between and out of the layers. All parameters begin
    uniform in -init_scale .. init_scale, biases too (Zaremba et al., Section 4.1), the forget gates' included.

    Differs from the tutorial's default cell in having two bias vectors a layer where that has one, as cuDNN's LSTM and
    the tutorial's rnn_mode CUDNN do: 3,200 parameters of 4.65 million.

    Args:
        vocabulary_size: V.
        num_hidden: H, of the embedding and of every layer.
        num_layers: L.
        dropout: share of the connections dropped, 0 <= dropout < 1; the tutorial's keep_prob is 1 - dropout.
        init_scale: largest absolute value of a parameter at the beginning, > 0.

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
        """Forgets the state of every stream: the next window of each begins at zero."""
        self._states_2LSH = None

    def forward(self, windows: LanguageModelInputs) -> Tensor:
        """Logits (B, T, V) of the words that come next."""
        states_2LSH = self._states_for(windows.streams)
        streams_B = windows.streams.to(states_2LSH.device)
        begin_LBH, begin_cell_LBH = states_2LSH.index_select(2, streams_B)
        inputs_TBH = self.dropout(cast_for_autocast(self.embedding(windows.tokens.t())))
        outputs_TBH, ends = self.lstm(inputs_TBH, (begin_LBH, begin_cell_LBH))
        # Not in place: a table of an evaluation in inference mode could not be written to in training.
        ends_2LBH = torch.stack(ends).detach().to(states_2LSH.dtype)
        self._states_2LSH = states_2LSH.index_copy(2, streams_B, ends_2LBH)
        logits_BTV: Tensor = self.classifier(self.dropout(outputs_TBH).transpose(0, 1))
        return logits_BTV

    def _states_for(self, streams_B: Tensor) -> Tensor:
        """The states (2, L, S, H) with room for these streams; those not read yet are zero."""
        num_streams = int(streams_B.max()) + 1
        known = self._states_2LSH
        num_known = 0 if known is None else known.shape[2]
        if known is not None and num_known >= num_streams:
            return known
        weight, layers, hidden = self.classifier.weight, self.lstm.num_layers, self.lstm.hidden_size
        new = weight.new_zeros(2, layers, num_streams - num_known, hidden)
        return new if known is None else torch.cat([known, new], dim=2)
