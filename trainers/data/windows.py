"""A text as windows of words: batches that read on in as many streams as they have samples.

Shape suffixes: B windows of a batch, T words of a window, N words of the text.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..sampling import stream_order, streams_in_order
from .dataset import Batch, Split

EVALUATION_STREAMS = 20
"""Streams in which a text is evaluated: the baseline's batch size, whatever batch size is trained with."""


class Windows(NamedTuple):
    """What a language model reads at once.

    Attributes:
        tokens: word numbers (B, T), int64.
        streams: number of the stream that each window goes on with, (B,), int64, on the CPU on every device: a model
            can then make room for them without waiting for the device.
    """

    tokens: Tensor
    streams: Tensor


@dataclass(frozen=True, kw_only=True)
class WindowSplit(Split):
    """A text cut into windows; the targets of a window are the words that come next, (B, T).

    Attributes:
        text: word numbers (N,), int64, N > num_steps.
        num_steps: T, words of a window.
    """

    text: Tensor
    num_steps: int

    def __len__(self) -> int:
        """Number of windows."""
        return (len(self.text) - 1) // self.num_steps

    def batches(self, keys: Iterable[Tensor]) -> Iterator[Batch]:
        """The windows of keys (B, 2) = (window, stream)."""
        num_taken = len(self) * self.num_steps
        tokens = self.text[:num_taken].view(-1, self.num_steps)
        targets = self.text[1 : num_taken + 1].view(-1, self.num_steps)
        for windows_and_streams in keys:
            windows, streams = windows_and_streams.unbind(dim=1)
            chosen = windows.to(self.text.device)
            yield Windows(tokens.index_select(0, chosen), streams), targets.index_select(0, chosen)

    def order(self, seed: int, epoch: int, *, epochs: int, batch_size: int) -> tuple[int, int, Tensor]:
        """One window of each of `batch_size` streams an update; the same for every seed."""
        return stream_order(epoch, epochs=epochs, num_windows=len(self), batch_size=batch_size)

    def evaluation_keys(self) -> Iterable[Tensor]:
        """The text once, in `EVALUATION_STREAMS` streams."""
        return streams_in_order(len(self), EVALUATION_STREAMS)

    def to(self, device: torch.device) -> "WindowSplit":
        """The text moved to `device`; itself where it is there."""
        return WindowSplit(text=self.text.to(device), num_steps=self.num_steps)

    def double(self) -> "WindowSplit":
        """Itself: words have no real numbers."""
        return self
