"""Beam search for translation models that predict one token at a time.

All hypotheses of all sentences advance together; a finished sentence leaves the batch. This module must not know which
model it searches.

Shape suffixes: B unfinished sentences, K hypotheses per sentence, S source tokens, T tokens so far, V tokens of the
vocabulary, N = B K.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .attention import AttentionMemory

LayerStates = list[tuple[Tensor, Tensor]]
MAX_LENGTH_RATIO = 2
"""Maximum length of a translation over that of its source, as in TensorFlow's NMT."""


class TranslationModel(Protocol):
    """A model that beam search can decode."""

    def encode(self, source_BS: Tensor, source_lengths_B: Tensor) -> AttentionMemory:
        """Encode source sentences; the first dimension of every tensor counts sentences."""

    def step(
        self, tokens_BK: Tensor, memory: AttentionMemory, states: LayerStates | None
    ) -> tuple[Tensor, LayerStates]:
        """Return logits (B, K, V) of each hypothesis's next token, and its new states (1, N, H)."""


@dataclass(frozen=True, kw_only=True)
class BeamSearch:
    """Settings of a beam search.

    The score of a hypothesis of n tokens, end included, is log p / ((5 + n) / 6)^a.

    Source: Wu et al., arXiv 1609.08144, Equation 14, without its coverage penalty.

    Attributes:
        beam_size: K, hypotheses per sentence, >= 1; 1 is greedy search.
        length_penalty: a, >= 0.
        begin: begin token.
        end: end token.
        forbidden: tokens that a translation must not contain.
    """

    beam_size: int
    length_penalty: float
    begin: int
    end: int
    forbidden: tuple[int, ...]

    def normalise(self, log_probabilities: Tensor, lengths: Tensor) -> Tensor:
        """Return the scores of hypotheses, of the same shape."""
        penalties: Tensor = ((5 + lengths) / 6) ** self.length_penalty
        return log_probabilities / penalties


class _Beams(NamedTuple):
    """The hypotheses of unfinished sentences.

    Attributes:
        words: tokens after the begin token (B, K, T); an ended hypothesis is filled up with end tokens.
        log_probabilities: log probability of each hypothesis, (B, K); minus infinity for an unused slot.
        lengths: number of tokens, end included, (B, K).
        ended: whether the hypothesis has ended, (B, K).
    """

    words: Tensor
    log_probabilities: Tensor
    lengths: Tensor
    ended: Tensor

    @classmethod
    def new(cls, num_sentences: int, beam_size: int, like: Tensor) -> "_Beams":
        """Return one empty hypothesis per sentence, in the dtype of `like`."""
        counts_BK = torch.zeros(num_sentences, beam_size, dtype=torch.long, device=like.device)
        log_probabilities_BK = torch.full(counts_BK.shape, -torch.inf, dtype=like.dtype, device=like.device)
        log_probabilities_BK[:, 0] = 0.0
        return cls(counts_BK.new_zeros(*counts_BK.shape, 0), log_probabilities_BK, counts_BK, counts_BK.bool())

    def select(self, sentences: Tensor) -> "_Beams":
        """Return the hypotheses of the selected sentences."""
        return _Beams(*(part[sentences] for part in self))

    def extend(self, logits_BKV: Tensor, search: BeamSearch) -> tuple["_Beams", Tensor]:
        """Return the K best hypotheses with one more token, and the hypothesis (B, K) that each continues."""
        next_BKV = logits_BKV.log_softmax(dim=-1)
        next_BKV[..., search.forbidden] = -torch.inf
        next_BKV += self.log_probabilities.masked_fill(self.ended, -torch.inf).unsqueeze(2)
        next_BK = next_BKV[..., search.end]
        next_BKV[..., search.end] = torch.where(self.ended, self.log_probabilities, next_BK)
        log_probabilities_BK, indices_BK = next_BKV.flatten(1).topk(self.ended.shape[1])
        parents_BK, words_BK = indices_BK // logits_BKV.shape[2], indices_BK % logits_BKV.shape[2]
        histories_BKT = self.words.take_along_dim(parents_BK.unsqueeze(2), dim=1)
        had_ended_BK = self.ended.gather(1, parents_BK)
        beams = _Beams(
            torch.cat([histories_BKT, words_BK.unsqueeze(2)], dim=2),
            log_probabilities_BK,
            self.lengths.gather(1, parents_BK) + ~had_ended_BK,
            had_ended_BK | (words_BK == search.end),
        )
        return beams, parents_BK

    def find_done(self, longest_B: Tensor, search: BeamSearch) -> tuple[Tensor, Tensor]:
        """Return whether each sentence is finished, (B,), and its best hypothesis, (B,).

        A sentence is finished if no open hypothesis can overtake the best ended one: log p only decreases, and its
        divisor is at most the penalty of the longest allowed translation. It is also finished at that length; if no
        hypothesis has ended then, the best open one is taken.
        """
        scores_BK = search.normalise(self.log_probabilities, self.lengths)
        ended_score_B, best_B = scores_BK.masked_fill(~self.ended, -torch.inf).max(dim=1)
        open_BK = self.log_probabilities.masked_fill(self.ended, -torch.inf)
        done_B = ended_score_B >= search.normalise(open_BK.max(dim=1).values, longest_B)
        best_open_B = scores_BK.masked_fill(self.ended, -torch.inf).argmax(dim=1)
        best_B = torch.where(ended_score_B.isneginf(), best_open_B, best_B)
        return done_B | (longest_B <= self.words.shape[2]), best_B


@torch.inference_mode()
def translate(
    model: TranslationModel, source_BS: Tensor, source_lengths_B: Tensor, search: BeamSearch
) -> list[list[int]]:
    """Translate sentences by beam search.

    A translation has at most twice as many tokens as its source, both counted with special tokens.

    Args:
        model: the model, in evaluation mode.
        source_BS: source tokens, padded.
        source_lengths_B: tokens of each source, with begin and end.
        search: the settings.

    Returns:
        The tokens of each sentence's best translation, without special tokens.
    """
    memory = model.encode(source_BS, source_lengths_B)
    beam_size = search.beam_size
    beams = _Beams.new(len(source_BS), beam_size, like=memory.states)
    numbers_B, longest_B = torch.arange(len(source_BS), device=source_BS.device), MAX_LENGTH_RATIO * source_lengths_B
    tokens_BK, states = torch.full_like(beams.lengths, search.begin), None
    found: list[list[int]] = [[] for _ in range(len(source_BS))]
    while len(numbers_B) > 0:
        logits_BKV, states = model.step(tokens_BK, memory, states)
        beams, parents_BK = beams.extend(logits_BKV, search)
        rows_BK = parents_BK + beam_size * torch.arange(len(numbers_B), device=source_BS.device)[:, None]
        done_B, best_B = beams.find_done(longest_B, search)
        if bool(done_B.any()):
            _collect(found, numbers_B[done_B], beams.select(done_B), best_B[done_B])
            kept = (~done_B).nonzero().squeeze(1)
            beams, rows_BK, numbers_B, longest_B = beams.select(kept), rows_BK[kept], numbers_B[kept], longest_B[kept]
            memory = AttentionMemory(*(part[kept] for part in memory))
        tokens_BK = beams.words[:, :, -1]
        rows_N = rows_BK.flatten()
        states = [(hidden.index_select(1, rows_N), cell.index_select(1, rows_N)) for hidden, cell in states]
    return found


def _collect(found: list[list[int]], numbers_B: Tensor, beams: _Beams, best_B: Tensor) -> None:
    """Store the best hypothesis of each sentence, without its end token."""
    chosen_B1 = best_B.unsqueeze(1)
    words_BT = beams.words.take_along_dim(chosen_B1.unsqueeze(2), dim=1).squeeze(1)
    lengths_B = (beams.lengths - beams.ended.long()).gather(1, chosen_B1).squeeze(1)
    for number, words, length in zip(numbers_B.tolist(), words_BT.tolist(), lengths_B.tolist(), strict=True):
        found[number] = words[:length]
