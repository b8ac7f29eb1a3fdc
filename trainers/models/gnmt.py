"""GNMT v2, the recurrent translator of MLPerf and DATE (Section 4.1.3).

Differs from GNMT (Wu et al., arXiv 1609.08144) in its attention: the first decoder layer asks, and the context goes
into every later layer at the same step. So nothing that attention gives comes back to what asks, and a whole
translation is read in one call of each layer, without a loop over its words.

Shape suffixes: B batch, S source tokens, T target tokens, L steps, N rows of a layer's batch, K hypotheses of a
sentence, H hidden units, V tokens of the vocabulary.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .attention import INITIAL_RANGE, AttentionMemory, NormalisedAttention
from .autocast import cast_for_autocast

LSTMState = tuple[Tensor, Tensor]
"""Hidden and cell state of a layer, (1, N, H) each."""


class GNMT(nn.Module):
    """A bidirectional encoder and a decoder with attention, which share their embedding.

    Dropout acts on the input of every LSTM layer, residual connections begin with the third. LSTM, embedding and
    classifier weights begin uniform in -0.1 .. 0.1, recurrent biases at 0. With L layers, H hidden units and V tokens
    it has (20 L + 10) H^2 + (16 L + 10) H + 1 + (2 H + 1) V parameters, 160,671,297 in MLPerf's size.

    Args:
        num_tokens: V, size of the vocabulary of both languages.
        num_hidden: H, of every layer and of the embedding.
        num_layers: LSTM layers of the encoder, and of the decoder, >= 2; the encoder's first has two directions.
        dropout: share of a layer's inputs that is dropped in training.
        beam_size: hypotheses of a sentence that a translation keeps; 1 is greedy.
        length_penalty: exponent of the length that hypotheses' scores are divided by.

    >>> with torch.device("meta"):
    ...     print(sum(parameter.numel() for parameter in GNMT().parameters()))
    160671297
    """

    def __init__(
        self,
        num_tokens: int = 32_320,
        num_hidden: int = 1_024,
        num_layers: int = 4,
        dropout: float = 0.2,
        beam_size: int = 5,
        length_penalty: float = 0.6,
    ):
        super().__init__()
        self.beam_size, self.length_penalty = beam_size, length_penalty
        self.embedding = nn.Embedding(num_tokens, num_hidden)
        self.encoder = Encoder(num_hidden, num_layers, dropout)
        self.decoder = Decoder(num_tokens, num_hidden, num_layers, dropout)
        nn.init.uniform_(self.embedding.weight, -INITIAL_RANGE, INITIAL_RANGE)

    def forward(self, inputs: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Logits (B, T, V) of the word after each target token.

        Args:
            inputs: source tokens (B, S), their lengths (B,), target tokens (B, T). What stands after a source's length
                or at later target places has no influence.
        """
        source_BS, source_lengths_B, target_BT = inputs
        logits_BTV: Tensor = self.decoder(self._embed(target_BT.T), self.encode(source_BS, source_lengths_B))
        return logits_BTV

    def encode(self, source_BS: Tensor, source_lengths_B: Tensor) -> AttentionMemory:
        """What the decoder needs of source sentences."""
        states_SBH = self.encoder(self._embed(source_BS.T), source_lengths_B)
        return self.decoder.attention.build_memory(states_SBH.transpose(0, 1), source_lengths_B)

    def step(
        self, tokens_BK: Tensor, memory: AttentionMemory, states: list[LSTMState] | None
    ) -> tuple[Tensor, list[LSTMState]]:
        """Logits (B, K, V) of the word after each hypothesis's last token, and the layers' states after it.

        Args:
            tokens_BK: last token of each hypothesis.
            memory: of the source sentences, shared by the hypotheses of each.
            states: of every layer, N = B K, after the token before; None at the beginning.
        """
        embedded_1NH = self._embed(tokens_BK.flatten().unsqueeze(0))

        def attend(queries_1NH: Tensor) -> Tensor:
            queries_BKH = queries_1NH.view(*tokens_BK.shape, -1)
            context_BKH: Tensor = self.decoder.attention(queries_BKH, memory)
            return context_BKH.view_as(queries_1NH)

        outputs_1NH, states = self.decoder.read(embedded_1NH, attend, states)
        return self.decoder.classifier(outputs_1NH).view(*tokens_BK.shape, -1), states

    def _embed(self, tokens_LN: Tensor) -> Tensor:
        """The tokens' vectors (L, N, H)."""
        return cast_for_autocast(self.embedding(tokens_LN))


class Encoder(nn.Module):
    """LSTM layers over a source: the first in both directions, residual connections from the third."""

    def __init__(self, num_hidden: int, num_layers: int, dropout: float):
        super().__init__()
        self.forwards, self.backwards = _lstm(num_hidden, num_hidden), _lstm(num_hidden, num_hidden)
        inputs = (2 * num_hidden, *(num_hidden for _ in range(num_layers - 2)))
        self.layers = nn.ModuleList(_lstm(num_inputs, num_hidden) for num_inputs in inputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, embedded_SBH: Tensor, lengths_B: Tensor) -> Tensor:
        """Outputs (S, B, H); those of a sentence's own tokens do not depend on the padding after them.

        The backward direction reads each sentence reversed within its own length, so that it begins at its last token;
        this needs no packing, which would wait for the device.
        """
        places_S1 = torch.arange(len(embedded_SBH), device=lengths_B.device)[:, None]
        mirrored_SB1 = torch.where(places_S1 < lengths_B, lengths_B - 1 - places_S1, places_S1).unsqueeze(2)
        mirrored_SBH = mirrored_SB1.expand(-1, -1, embedded_SBH.shape[2])
        dropped_SBH = self.dropout(embedded_SBH)
        ahead_SBH, _ = self.forwards(dropped_SBH)
        back_SBH, _ = self.backwards(dropped_SBH.gather(0, mirrored_SBH))
        outputs = torch.cat([ahead_SBH, back_SBH.gather(0, mirrored_SBH)], dim=2)
        for number, layer in enumerate(self.layers):
            outputs_SBH, _ = layer(self.dropout(outputs))
            outputs = outputs_SBH if number == 0 else outputs + outputs_SBH
        return outputs


class Decoder(nn.Module):
    """LSTM layers over a target: the first asks the memory, the others read its answer beside their input."""

    def __init__(self, num_tokens: int, num_hidden: int, num_layers: int, dropout: float):
        super().__init__()
        self.first = _lstm(num_hidden, num_hidden)
        self.attention = NormalisedAttention(num_hidden)
        self.layers = nn.ModuleList(_lstm(2 * num_hidden, num_hidden) for _ in range(num_layers - 1))
        self.classifier = nn.Linear(num_hidden, num_tokens)
        self.dropout = nn.Dropout(dropout)
        nn.init.uniform_(self.classifier.weight, -INITIAL_RANGE, INITIAL_RANGE)
        nn.init.uniform_(self.classifier.bias, -INITIAL_RANGE, INITIAL_RANGE)

    def forward(self, embedded_TBH: Tensor, memory: AttentionMemory) -> Tensor:
        """Logits (B, T, V) of the word after each token."""

        def attend(queries_TBH: Tensor) -> Tensor:
            context_BTH: Tensor = self.attention(queries_TBH.transpose(0, 1), memory)
            return context_BTH.transpose(0, 1)

        outputs_TBH, _ = self.read(embedded_TBH, attend, None)
        logits_BTV: Tensor = self.classifier(outputs_TBH.transpose(0, 1))
        return logits_BTV

    def read(
        self, embedded_LNH: Tensor, attend: Callable[[Tensor], Tensor], states: list[LSTMState] | None
    ) -> tuple[Tensor, list[LSTMState]]:
        """The last layer's outputs (L, N, H), and every layer's state after them.

        Args:
            embedded_LNH: tokens.
            attend: outputs of the first layer -> contexts (L, N, H).
            states: of every layer before the tokens; None for zeros.
        """
        before: Sequence[LSTMState | None] = states or [None] * (1 + len(self.layers))
        outputs, state = self.first(self.dropout(embedded_LNH), before[0])
        after = [state]
        context_LNH = attend(outputs)
        for number, layer in enumerate(self.layers):
            inputs = torch.cat([outputs, context_LNH], dim=2)
            outputs_LNH, state = layer(self.dropout(inputs), before[number + 1])
            outputs = outputs_LNH if number == 0 else outputs + outputs_LNH
            after.append(state)
        return outputs, after


def _lstm(num_inputs: int, num_hidden: int) -> nn.LSTM:
    """One layer with GNMT's initial values."""
    lstm = nn.LSTM(num_inputs, num_hidden)
    for name, parameter in lstm.named_parameters():
        if name == "bias_hh_l0":
            nn.init.zeros_(parameter)
        else:
            nn.init.uniform_(parameter, -INITIAL_RANGE, INITIAL_RANGE)
    return lstm
