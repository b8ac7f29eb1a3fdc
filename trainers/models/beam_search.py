"""Beam search: the translations of a batch of sentences by a model that predicts one word at a time.

All hypotheses of all sentences take a step at once, and a sentence that is done leaves the batch. This module must not
know what model it is.

Shape suffixes: B sentences still searched, K hypotheses of each, S source tokens, T words so far, V tokens of the
vocabulary, N = B K.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .attention import AttentionMemory

LayerStates = list[tuple[Tensor, Tensor]]
MAX_LENGTH_RATIO = 2
"""A translation may have this many times as many tokens as its source, as in TensorFlow's NMT."""


class TranslationModel(Protocol):
    """A model that can be searched."""

    def encode(self, source_BS: Tensor, source_lengths_B: Tensor) -> AttentionMemory:
        """What it needs of source sentences; every tensor's first dimension counts sentences."""

    def step(
        self, tokens_BK: Tensor, memory: AttentionMemory, states: LayerStates | None
    ) -> tuple[Tensor, LayerStates]:
        """Logits (B, K, V) of the word after each hypothesis's last token, and its states (1, N, H) after it."""


@dataclass(frozen=True, kw_only=True)
class BeamSearch:
    """How to search.

    Attributes:
        beam_size: K, hypotheses of a sentence, >= 1; 1 takes the likeliest word each time.
        length_penalty: a, >= 0: a hypothesis of n tokens, its end included, scores log p / ((5 + n) / 6)^a (Wu et al.,
            arXiv 1609.08144, Equation 14, without its coverage penalty).
        begin: token before the first word.
        end: token after the last word.
        forbidden: tokens that no translation contains.
    """

    beam_size: int
    length_penalty: float
    begin: int
    end: int
    forbidden: tuple[int, ...]

    def normalise(self, log_probabilities: Tensor, lengths: Tensor) -> Tensor:
        """Scores of hypotheses, of the same shape."""
        penalties: Tensor = ((5 + lengths) / 6) ** self.length_penalty
        return log_probabilities / penalties


@dataclass
class _Beams:
    """The hypotheses of the sentences still searched.

    Attributes:
        words: tokens after the begin mark (B, K, T); those of a hypothesis that has ended go on with end marks.
        log_probabilities: of all words, (B, K); minus infinity where there is no hypothesis.
        lengths: tokens, the end included, (B, K).
        ended: whether the end has come, (B, K).
    """

    words: Tensor
    log_probabilities: Tensor
    lengths: Tensor
    ended: Tensor

    @classmethod
    def new(cls, num_sentences: int, beam_size: int, like: Tensor) -> "_Beams":
        """One empty hypothesis for each sentence, in the number format of `like`."""
        counts_BK = torch.zeros(num_sentences, beam_size, dtype=torch.long, device=like.device)
        log_probabilities_BK = torch.full(counts_BK.shape, -torch.inf, dtype=like.dtype, device=like.device)
        log_probabilities_BK[:, 0] = 0.0
        return cls(counts_BK.new_zeros(*counts_BK.shape, 0), log_probabilities_BK, counts_BK, counts_BK.bool())

    def of(self, sentences: Tensor) -> "_Beams":
        """Those of some of the sentences."""
        return _Beams(
            self.words[sentences],
            self.log_probabilities[sentences],
            self.lengths[sentences],
            self.ended[sentences],
        )

    def extend(self, logits_BKV: Tensor, search: BeamSearch) -> tuple["_Beams", Tensor]:
        """The K likeliest hypotheses with one word more, and which hypothesis (B, K) each continues."""
        next_BKV = logits_BKV.log_softmax(dim=-1)
        next_BKV[..., search.forbidden] = -torch.inf
        next_BKV += self.log_probabilities.masked_fill(self.ended, -torch.inf).unsqueeze(2)
        next_BK = next_BKV[..., search.end]
        next_BKV[..., search.end] = torch.where(self.ended, self.log_probabilities, next_BK)
        log_probabilities_BK, places_BK = next_BKV.flatten(1).topk(self.ended.shape[1])
        parents_BK, words_BK = places_BK // logits_BKV.shape[2], places_BK % logits_BKV.shape[2]
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
        """Whether each sentence is done, (B,), and its best hypothesis, (B,).

        It is done where no open hypothesis can overtake the best one that has ended: log p only falls, and is divided
        by no more than the penalty of the longest translation. Or at that length: then the best open one is taken where
        none has ended.
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
    """The best translation found for each sentence: its tokens, without marks.

    A translation has at most twice as many tokens as its source, both with their marks.

    Args:
        model: in evaluation mode.
        source_BS: tokens, padded.
        source_lengths_B: tokens of each sentence, its marks included.
        search: how.
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
            _collect(found, numbers_B[done_B], beams.of(done_B), best_B[done_B])
            kept = (~done_B).nonzero().squeeze(1)
            beams, rows_BK, numbers_B, longest_B = beams.of(kept), rows_BK[kept], numbers_B[kept], longest_B[kept]
            memory = AttentionMemory(*(part[kept] for part in memory))
        tokens_BK = beams.words[:, :, -1]
        rows_N = rows_BK.flatten()
        states = [(hidden.index_select(1, rows_N), cell.index_select(1, rows_N)) for hidden, cell in states]
    return found


def _collect(found: list[list[int]], numbers_B: Tensor, beams: _Beams, best_B: Tensor) -> None:
    """Writes the best hypothesis of each sentence to its place, without its end."""
    chosen_B1 = best_B.unsqueeze(1)
    words_BT = beams.words.take_along_dim(chosen_B1.unsqueeze(2), dim=1).squeeze(1)
    lengths_B = (beams.lengths - beams.ended.long()).gather(1, chosen_B1).squeeze(1)
    for number, words, length in zip(numbers_B.tolist(), words_BT.tolist(), lengths_B.tolist(), strict=True):
        found[number] = words[:length]
