"""Sentence pairs as a split: flat tokens on the device, padded per batch, in batches of similar length.

This module must not know files, and of vocabularies only what `Vocabulary` defines.

Shape suffixes: B batch, S source tokens, T target tokens, M tokens of the longest sentence in a batch.
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
"""Batches whose pairs are sorted by length in one pool, as in MLPerf's GNMT reference ("Training data order")."""
EVALUATION_PAIRS = 128
"""Pairs evaluated and translated at once; their logits are the largest tensors of all."""


class PairInputs(NamedTuple):
    """Inputs of a translation model: a batch of sources, and targets shifted right.

    Attributes:
        source: tokens (B, S) with begin and end, padded.
        source_lengths: tokens of each source, without padding, (B,).
        target: tokens (B, T), starting with the begin token, padded.
    """

    source: Tensor
    source_lengths: Tensor
    target: Tensor


@dataclass(frozen=True, kw_only=True)
class Sentences:
    """Concatenated sentences of tokens.

    Attributes:
        tokens: (num_tokens,), int32, on the device of the batches; every sentence has its begin and end tokens.
        starts: (n + 1,), on the CPU, so that batch shapes are known without synchronising with the device. Sentence i
            is `tokens[starts[i]:starts[i + 1]]`.
    """

    tokens: Tensor
    starts: Tensor

    @classmethod
    def from_lists(cls, sentences: Iterable[list[int]]) -> "Sentences":
        """Concatenate sentences and add begin and end tokens.

        >>> Sentences.from_lists([[7, 8], []]).tokens.tolist()
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
        """Tokens of each sentence, with begin and end, (n,)."""
        return self.starts.diff()

    def pad(self, positions_B: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sentences at positions (B,), on the CPU: tokens (B, M), int64, right-padded, and lengths (B,)."""
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
    """Sentence pairs; a sample is a pair and its key its position.

    Attributes:
        source: sentences to translate.
        target: their translations.
        vocabulary: vocabulary of both languages.
        references: detokenized translations to compare with; empty for training.
    """

    source: Sentences
    target: Sentences
    vocabulary: Vocabulary
    references: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.source.starts) - 1

    def batches(self, keys: Iterable[Tensor]) -> Iterator[Batch]:
        """Yield `PairInputs` and the tokens to predict (B, T), padded: the inputs' targets shifted left."""
        for positions in keys:
            source_BS, source_lengths_B = self.source.pad(positions)
            target_BM, _ = self.target.pad(positions)
            # The end token of a shorter sentence is among the inputs too; the prediction after it is padding.
            yield PairInputs(source_BS, source_lengths_B, target_BM[:, :-1]), target_BM[:, 1:]

    def to(self, device: torch.device) -> "PairSplit":
        """Return the split with batches on `device`."""
        source = replace(self.source, tokens=self.source.tokens.to(device))
        return replace(self, source=source, target=replace(self.target, tokens=self.target.tokens.to(device)))

    def double(self) -> "PairSplit":
        """Return the split itself: it has no floating-point numbers."""
        return self

    def order(self, seed: int, epoch: int, *, epochs: int, batch_size: int) -> tuple[int, int, Tensor]:
        """Shuffle the pairs, sort them by length within every 80 batches, and shuffle the batches.

        The length of a pair is that of its longer sentence, as in MLPerf's reference v0.7. With it, padding adds 23%
        of computation (source times target tokens) to batches of 128 pairs of Multi30K; with the sum of both lengths,
        as in v0.5, 53%.

        An epoch has the same pairs as without sorting: each once, and T = ceil(E n / B) updates exactly E n. The last
        update of a training, which may be a smaller batch, stays the last.
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
        """Return batches of sources of similar length, which together hold every pair once."""
        return torch.split(self.source.lengths.argsort(stable=True), EVALUATION_PAIRS)

    def example_batch(self) -> Batch:
        """Return the two pairs with lengths nearest the mean, on the CPU, so that little padding is counted."""
        lengths = self.source.lengths + self.target.lengths
        nearest = (lengths - lengths.double().mean()).abs().argsort(stable=True)
        return next(self.to(torch.device("cpu")).batches([nearest[:2]]))
