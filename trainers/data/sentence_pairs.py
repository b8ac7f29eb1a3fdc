"""Pairs of sentences as a split: flat tokens on the device, padded a batch at a time, batches of like length.

This module must not know files or vocabularies, but for what `decode` gives.

Shape suffixes: B batch, S source tokens, T target tokens, M the longest of a batch's sentences.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..sampling import random_stream
from .dataset import Batch, Split
from .vocabulary import BEGIN, END, PAD, Vocabulary

POOL_BATCHES = 80
"""Batches whose pairs are sorted by length together, as in MLPerf's GNMT reference ("Training data order")."""
EVALUATION_PAIRS = 128
"""Pairs evaluated and translated at once: their logits are the largest tensors there are."""


class PairInputs(NamedTuple):
    """What a translation model is given: a batch of sources, and the targets up to each word that it must predict.

    Attributes:
        source: tokens (B, S), begin and end included, padded.
        source_lengths: tokens of each source, without padding, (B,).
        target: tokens (B, T) that begin with the mark of the beginning, padded.
    """

    source: Tensor
    source_lengths: Tensor
    target: Tensor


@dataclass(frozen=True, kw_only=True)
class Sentences:
    """Sentences of tokens, end to end.

    Attributes:
        tokens: (num_tokens,), int32, on the device of the batches; each sentence has its begin and its end mark.
        starts: (n + 1,), on the CPU: sentence i is `tokens[starts[i]:starts[i + 1]]`. There, so that the size of a
            batch is known without waiting for the device.
    """

    tokens: Tensor
    starts: Tensor

    @classmethod
    def of(cls, sentences: Iterable[list[int]]) -> "Sentences":
        """Sentences given without their marks.

        >>> Sentences.of([[7, 8], []]).tokens.tolist()
        [2, 7, 8, 3, 2, 3]
        """
        tokens, starts = array("i"), array("q", [0])
        for sentence in sentences:
            tokens.append(BEGIN)
            tokens.extend(sentence)
            tokens.append(END)
            starts.append(len(tokens))
        return cls(
            tokens=torch.from_numpy(np.array(tokens, dtype=np.int32)),
            starts=torch.from_numpy(np.array(starts, dtype=np.int64)),
        )

    @property
    def lengths(self) -> Tensor:
        """Tokens of each sentence, marks included, (n,)."""
        return self.starts.diff()

    def pad(self, positions_B: Tensor) -> tuple[Tensor, Tensor]:
        """The sentences at positions (B,) of the CPU: tokens (B, M), int64, padded at their ends, and lengths (B,)."""
        device = self.tokens.device
        starts_B = self.starts[positions_B]
        lengths_B = self.starts[positions_B + 1] - starts_B
        columns_M = torch.arange(int(lengths_B.max()), device=device)
        starts_B, lengths_B = starts_B.to(device), lengths_B.to(device)
        where_BM = (starts_B[:, None] + columns_M).clamp_(max=len(self.tokens) - 1)
        tokens_BM = self.tokens[where_BM].long()
        return tokens_BM.masked_fill_(columns_M >= lengths_B[:, None], PAD), lengths_B


@dataclass(frozen=True, kw_only=True)
class PairSplit(Split):
    """Sentence pairs; a sample is a pair, its key the position.

    Attributes:
        source: sentences to translate.
        target: their translations, as many.
        vocabulary: of both.
        references: the translations as people write them, to compare with; empty for training.
    """

    source: Sentences
    target: Sentences
    vocabulary: Vocabulary
    references: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.source.starts) - 1

    def batches(self, keys: Iterable[Tensor]) -> Iterator[Batch]:
        """`PairInputs` and the tokens to predict (B, T), padded: at each place, the one after the input's."""
        for positions in keys:
            source_BS, source_lengths_B = self.source.pad(positions)
            target_BM, _ = self.target.pad(positions)
            # A shorter sentence's end is among the inputs too; what is predicted after it is padding.
            yield PairInputs(source_BS, source_lengths_B, target_BM[:, :-1]), target_BM[:, 1:]

    def to(self, device: torch.device) -> "PairSplit":
        """The split whose batches lie on `device`."""
        source = replace(self.source, tokens=self.source.tokens.to(device))
        return replace(self, source=source, target=replace(self.target, tokens=self.target.tokens.to(device)))

    def double(self) -> "PairSplit":
        """The split itself: it has no real numbers."""
        return self

    def order(self, seed: int, epoch: int, *, epochs: int, batch_size: int) -> tuple[int, int, Tensor]:
        """Shuffled, then sorted by length within every 80 batches, then the batches shuffled.

        The length of a pair is that of its longer sentence, as in MLPerf's reference of v0.7: with it, batches of 128
        pairs of Multi30K compute 23% too much, counting source times target; with the sum of both, as in v0.5, 53%.
        An epoch takes the same pairs as without sorting: each once, and T = ceil(E n / B) updates exactly E n.
        The last update of a training, which may be a smaller batch, stays the last.
        """
        first, last, positions = super().order(seed, epoch, epochs=epochs, batch_size=batch_size)
        num_full = len(positions) // batch_size
        lengths = torch.maximum(self.source.lengths, self.target.lengths)
        pools = torch.split(positions[: num_full * batch_size], POOL_BATCHES * batch_size)
        by_length = torch.cat([pool[lengths[pool].argsort(stable=True)] for pool in pools])
        with random_stream(seed, f"batches {epoch}", torch.device("cpu")):
            shuffled = by_length.view(num_full, batch_size)[torch.randperm(num_full)]
        return first, last, torch.cat([shuffled.flatten(), positions[num_full * batch_size :]])

    def evaluation_keys(self) -> tuple[Tensor, ...]:
        """Batches of sources of like length, which together hold every pair once."""
        return torch.split(self.source.lengths.argsort(stable=True), EVALUATION_PAIRS)

    def example_batch(self) -> Batch:
        """The two pairs whose lengths are nearest the mean, on the CPU: padding is not counted as work."""
        lengths = self.source.lengths + self.target.lengths
        nearest = (lengths - lengths.double().mean()).abs().argsort(stable=True)
        return next(self.to(torch.device("cpu")).batches([nearest[:2]]))
