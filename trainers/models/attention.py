"""Normalised additive attention over an encoded sentence.

Shape suffixes: B batch, S source tokens, Q queries, H hidden units.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

INITIAL_RANGE = 0.1
"""GNMT v2 initialises weights uniformly in [-0.1, 0.1]."""


class AttentionMemory(NamedTuple):
    """An encoded batch of sentences, as attention reads it.

    Attributes:
        states: the encoder's outputs (B, S, H).
        keys: their projections (B, S, H).
        padding: True at positions after the end of a sentence, (B, S).
    """

    states: Tensor
    keys: Tensor
    padding: Tensor


class NormalisedAttention(nn.Module):
    """Bahdanau attention with a normalised energy.

    energy = g v / |v| · tanh(W q + b + U s)
    context = sum over s of softmax(energy) s, with weight 0 for padding

    The module has 2 H^2 + 2 H + 1 parameters.

    Source: Bahdanau, Cho and Bengio, arXiv 1409.0473, Appendix A.1.2; normalised as in Salimans and Kingma, arXiv
    1602.07868; GNMT v2 in MLPerf's reference ("normalized Bahdanau attention").
    """

    def __init__(self, num_hidden: int):
        super().__init__()
        self.query = nn.Linear(num_hidden, num_hidden)
        self.key = nn.Linear(num_hidden, num_hidden, bias=False)
        self.direction = nn.Parameter(torch.empty(num_hidden))
        self.gain = nn.Parameter(torch.full((1,), num_hidden**-0.5))
        for weight in (self.query.weight, self.key.weight, self.direction):
            nn.init.uniform_(weight, -INITIAL_RANGE, INITIAL_RANGE)
        nn.init.zeros_(self.query.bias)

    def build_memory(self, states_BSH: Tensor, lengths_B: Tensor) -> AttentionMemory:
        """Build the memory of encoded sentences; keys are projected once for all queries."""
        positions_S = torch.arange(states_BSH.shape[1], device=states_BSH.device)
        return AttentionMemory(states_BSH, self.key(states_BSH), positions_S >= lengths_B[:, None])

    def forward(self, queries_BQH: Tensor, memory: AttentionMemory) -> Tensor:
        """Return the context of every query, (B, Q, H)."""
        sums_BQSH = self.query(queries_BQH).unsqueeze(2) + memory.keys.unsqueeze(1)
        energies_BQS = torch.tanh(sums_BQSH) @ (self.gain * self.direction / self.direction.norm())
        weights_BQS = energies_BQS.masked_fill(memory.padding.unsqueeze(1), -torch.inf).softmax(dim=-1)
        context_BQH: Tensor = weights_BQS @ memory.states
        return context_BQH
