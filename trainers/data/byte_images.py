"""Images that lie in memory as bytes and become normalised numbers a batch at a time; crops and mirrorings of a batch.

Bytes take a quarter of the memory of float32: for CIFAR-10 184 MB a process instead of 737. Making numbers of them, a
batch of 128 at a time, costs 3 microseconds an image of 32 x 32 on one CPU core, where training even a small network on
it takes a millisecond. This module must not know which data set the images are of.

Shape suffixes: B batch, C channels, H height, W width.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from .dataset import Batch, TensorSplit


@dataclass(frozen=True, kw_only=True)
class ByteImages(TensorSplit):
    """Images kept as bytes: a batch holds `scale` x byte + `shift`. `augment` sees bytes.

    Attributes:
        inputs: (n, C, H, W), uint8.
        scale: factor of each channel (C, 1, 1); its number format is that of the batches.
        shift: what is added to each channel (C, 1, 1).
    """

    scale: Tensor
    shift: Tensor

    def batches(self, keys: Iterable[Tensor]) -> Iterator[Batch]:
        """The images of keys as `TensorSplit` takes them, normalised after they are augmented."""
        for images_BCHW, targets in super().batches(keys):
            yield self._normalise(images_BCHW), targets

    def example_batch(self) -> Batch:
        """The first two images, on the CPU."""
        return self._normalise(self.inputs[:2]).cpu(), self.targets[:2].cpu()

    def to(self, device: torch.device) -> "ByteImages":
        """The images moved to `device`; themselves where they are there."""
        moved = {name: getattr(self, name).to(device) for name in ("inputs", "targets", "scale", "shift")}
        return replace(self, **moved)

    def double(self) -> "ByteImages":
        """The same bytes, whose batches are float64."""
        return replace(self, scale=self.scale.double(), shift=self.shift.double())

    def _normalise(self, images_BCHW: Tensor) -> Tensor:
        return torch.addcmul(self.shift, images_BCHW.to(self.scale.dtype), self.scale)


def normalisation(means: Iterable[float], deviations: Iterable[float]) -> dict[str, Tensor]:
    """`scale` and `shift` of `ByteImages` that give every channel mean 0 and deviation 1.

    Args:
        means: of each channel's pixels, scaled to 0..1.
        deviations: standard deviations of the same.
    """
    mean, deviation = (torch.tensor(list(values)).view(-1, 1, 1) for values in (means, deviations))
    return {"scale": 1.0 / (255.0 * deviation), "shift": -mean / deviation}


def crop_and_mirror(images_BCHW: Tensor, draws_B: Tensor, padding: int = 4) -> Tensor:
    """A crop of each image's own size out of the image with a margin of zeros, mirrored every other time.

    Each image gets one of (2 padding + 1)^2 places and one of two directions by its own random number alone; all images
    at once, without a look at any number.

    Args:
        images_BCHW: any type of number.
        draws_B: a random number for each, evenly distributed over 0 .. 2^31-1 (`trainers.sampling.sample_draws`): of
            162 outcomes none is likelier than another by more than 1e-7.
        padding: width of the margin in pixels, >= 0.

    Returns:
        Images of the same shape and type.

    Source:
        He et al., arXiv 1512.03385, Section 4.2: "4 pixels are padded on each side, and a 32 x 32 crop is randomly
        sampled from the padded image or its horizontal flip".
    """
    num_images, channels, height, width = images_BCHW.shape
    device = images_BCHW.device
    places = 2 * padding + 1
    draws_B11 = draws_B.view(-1, 1, 1)
    top_B11 = draws_B11 % places
    left_B11 = draws_B11 // places % places
    mirrored_B11 = (draws_B11 // places**2 % 2).bool()
    rows_H1 = torch.arange(height, device=device).view(-1, 1)
    columns_W = torch.arange(width, device=device)
    columns_B1W = left_B11 + torch.where(mirrored_B11, width - 1 - columns_W, columns_W)
    pixels_BHW = (top_B11 + rows_H1) * (width + 2 * padding) + columns_B1W
    padded_BCN = F.pad(images_BCHW, (padding, padding, padding, padding)).flatten(2)
    index_BCN = pixels_BHW.view(num_images, 1, -1).expand(-1, channels, -1)
    return padded_BCN.gather(2, index_BCN).view_as(images_BCHW)
