"""GNMT v2, the recurrent translator of MLPerf and DATE (Section 4.1.3).

Differs from GNMT (Wu et al., arXiv 1609.08144) in its attention: queries come from the first decoder layer, and the
context enters every later layer at the same step. Attention does not feed back into its queries, so a whole target is
processed in one call per layer, without a loop over tokens.

Shape suffixes: B batch, S source tokens, T target tokens, L steps, N rows of a layer's batch, K hypotheses per
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
    """A bidirectional encoder and a decoder with attention, with a shared embedding.

    Dropout is applied to the input of every LSTM layer; residual connections start at the third. LSTM, embedding and
    classifier weights are initialised uniformly in [-0.1, 0.1], recurrent biases with 0. With L layers per side, H
    hidden units and V tokens the model has (20 L + 10) H^2 + (16 L + 10) H + 1 + (2 H + 1) V parameters, 160,671,297 in
    MLPerf's size.

    Args:
        num_tokens: V, vocabulary size of both languages.
        num_hidden: H, of every layer and the embedding.
        num_layers: LSTM layers of the encoder and of the decoder, >= 2; the encoder's first is bidirectional.
        dropout: dropout probability, in [0, 1).
        beam_size: hypotheses per sentence in beam search, >= 1; 1 is greedy search.
        length_penalty: exponent of the length penalty in beam search, >= 0.

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
        """Return logits (B, T, V) of the token after each target token.

        Args:
            inputs: source tokens (B, S), their lengths (B,), and target tokens (B, T). Tokens beyond a source's length
                and later target tokens have no influence.
        """
        source_BS, source_lengths_B, target_BT = inputs
        logits_BTV: Tensor = self.decoder(self._embed(target_BT.T), self.encode(source_BS, source_lengths_B))
        return logits_BTV

    def encode(self, source_BS: Tensor, source_lengths_B: Tensor) -> AttentionMemory:
        """Encode source sentences for the decoder."""
        states_SBH = self.encoder(self._embed(source_BS.T), source_lengths_B)
        return self.decoder.attention.build_memory(states_SBH.transpose(0, 1), source_lengths_B)

    def step(
        self, tokens_BK: Tensor, memory: AttentionMemory, states: list[LSTMState] | None
    ) -> tuple[Tensor, list[LSTMState]]:
        """Return logits (B, K, V) of each hypothesis's next token, and the layers' new states.

        Args:
            tokens_BK: last token of each hypothesis.
            memory: encoded source sentences, shared by the hypotheses of each.
            states: states of every layer before these tokens, N = B K; None at the beginning.
        """
        embedded_1NH = self._embed(tokens_BK.flatten().unsqueeze(0))

        def attend(queries_1NH: Tensor) -> Tensor:
            queries_BKH = queries_1NH.view(*tokens_BK.shape, -1)
            context_BKH: Tensor = self.decoder.attention(queries_BKH, memory)
            return context_BKH.view_as(queries_1NH)

        outputs_1NH, states = self.decoder.read(embedded_1NH, attend, states)
        return self.decoder.classifier(outputs_1NH).view(*tokens_BK.shape, -1), states

    def _embed(self, tokens_LN: Tensor) -> Tensor:
        """Return the tokens' embeddings (L, N, H)."""
        return cast_for_autocast(self.embedding(tokens_LN))


class Encoder(nn.Module):
    """LSTM layers over a source; the first is bidirectional, residual connections start at the third."""

    def __init__(self, num_hidden: int, num_layers: int, dropout: float):
        super().__init__()
        self.forwards, self.backwards = _lstm(num_hidden, num_hidden), _lstm(num_hidden, num_hidden)
        inputs = (2 * num_hidden, *(num_hidden for _ in range(num_layers - 2)))
        self.layers = nn.ModuleList(_lstm(num_inputs, num_hidden) for num_inputs in inputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, embedded_SBH: Tensor, lengths_B: Tensor) -> Tensor:
        """Return outputs (S, B, H); outputs of a sentence's tokens do not depend on padding.

        The backward direction reads each sentence reversed within its length, starting at its last token. This avoids
        packed sequences, which would synchronise with the device.
        """
        positions_S1 = torch.arange(len(embedded_SBH), device=lengths_B.device)[:, None]
        mirrored_SB1 = torch.where(positions_S1 < lengths_B, lengths_B - 1 - positions_S1, positions_S1).unsqueeze(2)
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
    """LSTM layers over a target; the first queries the memory, the others read the context beside their input."""

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
        """Return logits (B, T, V) of the token after each token."""

        def attend(queries_TBH: Tensor) -> Tensor:
            context_BTH: Tensor = self.attention(queries_TBH.transpose(0, 1), memory)
            return context_BTH.transpose(0, 1)

        outputs_TBH, _ = self.read(embedded_TBH, attend, None)
        logits_BTV: Tensor = self.classifier(outputs_TBH.transpose(0, 1))
        return logits_BTV

    def read(
        self, embedded_LNH: Tensor, attend: Callable[[Tensor], Tensor], states: list[LSTMState] | None
    ) -> tuple[Tensor, list[LSTMState]]:
        """Return the last layer's outputs (L, N, H) and every layer's new state.

        Args:
            embedded_LNH: embedded tokens.
            attend: outputs of the first layer -> contexts (L, N, H).
            states: states of every layer before the tokens; None for zeros.
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
    """Return one LSTM layer with GNMT's initial values."""
    lstm = nn.LSTM(num_inputs, num_hidden)
    for name, parameter in lstm.named_parameters():
        if name == "bias_hh_l0":
            nn.init.zeros_(parameter)
        else:
            nn.init.uniform_(parameter, -INITIAL_RANGE, INITIAL_RANGE)
    return lstm
