"""A text as windows of words, read in as many parallel streams as a batch has samples.

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
"""Number of streams in evaluation: the baseline's batch size, independent of the training batch size."""


class Windows(NamedTuple):
    """A batch of windows, the input of a language model.

    Attributes:
        tokens: word indices (B, T), int64.
        streams: index of the stream that each window continues, (B,), int64. Always on the CPU, so that a model can
            allocate their states without synchronising with the device.
    """

    tokens: Tensor
    streams: Tensor


@dataclass(frozen=True, kw_only=True)
class WindowSplit(Split):
    """A text split into windows; the targets (B, T) are the windows' next words.

    Attributes:
        text: word indices (N,), int64, N > num_steps.
        num_steps: T, words per window.
    """

    text: Tensor
    num_steps: int

    def __len__(self) -> int:
        """Return the number of windows."""
        return (len(self.text) - 1) // self.num_steps

    def batches(self, keys: Iterable[Tensor]) -> Iterator[Batch]:
        """Yield the windows of keys (B, 2), pairs (window, stream)."""
        num_taken = len(self) * self.num_steps
        tokens = self.text[:num_taken].view(-1, self.num_steps)
        targets = self.text[1 : num_taken + 1].view(-1, self.num_steps)
        for windows_and_streams in keys:
            windows, streams = windows_and_streams.unbind(dim=1)
            chosen = windows.to(self.text.device)
            yield Windows(tokens.index_select(0, chosen), streams), targets.index_select(0, chosen)

    def order(self, seed: int, epoch: int, *, epochs: int, batch_size: int) -> tuple[int, int, Tensor]:
        """Return keys of one window per stream and update, with `batch_size` streams; the same for every seed."""
        return stream_order(epoch, epochs=epochs, num_windows=len(self), batch_size=batch_size)

    def evaluation_keys(self) -> Iterable[Tensor]:
        """Return keys of the whole text, in `EVALUATION_STREAMS` streams."""
        return streams_in_order(len(self), EVALUATION_STREAMS)

    def to(self, device: torch.device) -> "WindowSplit":
        """Return the text on `device`."""
        return WindowSplit(text=self.text.to(device), num_steps=self.num_steps)

    def double(self) -> "WindowSplit":
        """Return the split itself: it has no floating-point numbers."""
        return self
