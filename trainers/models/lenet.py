"""LeNet-5 (LeCun et al. 1998) in its modern form: ReLU, max-pooling and full connections.

Shape suffixes: B batch, C channels, H height, W width, F features, K classes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LeNet5(nn.Module):
    """Two convolutions and three fully connected layers, 61,706 parameters.

    Differs from the original: ReLU instead of tanh, max-pooling instead of average-pooling, a linear output layer, and
    a second convolution over all six maps.

    >>> sum(parameter.numel() for parameter in LeNet5().parameters())
    61706
    """

    def __init__(self, num_classes: int = 10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, kernel_size=5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return logits (B, K) of images (B, 1, 28, 28)."""
        weight1, bias1, weight2 = self.conv1.weight, self.conv1.bias, self.conv2.weight
        if _runs_on_onednn(images_BCHW):
            weight1, bias1, weight2 = _pad_maps(weight1, bias1, weight2)
        # ReLU after pooling gives the same values as before it, on a quarter of the elements.
        maps_BCHW = F.relu(F.max_pool2d(F.conv2d(images_BCHW, weight1, bias1, padding=2), 2))
        maps_BCHW = F.relu(F.max_pool2d(F.conv2d(maps_BCHW, weight2, self.conv2.bias), 2))
        features_BF = F.relu(self.fc1(maps_BCHW.flatten(1)))
        features_BF = F.relu(self.fc2(features_BF))
        logits_BK: Tensor = self.fc3(features_BF)
        return logits_BK


def _runs_on_onednn(images_BCHW: Tensor) -> bool:
    """Whether oneDNN computes the convolutions, eight channels at once."""
    is_float_on_cpu = images_BCHW.device.type == "cpu" and images_BCHW.dtype == torch.float32
    return is_float_on_cpu and bool(torch.backends.mkldnn.enabled)


def _pad_maps(weight1: Tensor, bias1: Tensor | None, weight2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pad the first convolution to eight maps with two maps of zeros, which the second convolution ignores.

    The values stay the same. The convolutions take the same time, since oneDNN computes eight maps anyway, and pooling
    eight maps takes a fifth of the time of pooling six (`python -m benchmarks.trainer_throughput`).
    """
    assert bias1 is not None
    return F.pad(weight1, (0, 0, 0, 0, 0, 0, 0, 2)), F.pad(bias1, (0, 2)), F.pad(weight2, (0, 0, 0, 0, 0, 2))
