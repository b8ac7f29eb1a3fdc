"""LeNet-5 (LeCun et al. 1998) in the form trained today: ReLU and max-pooling, full connections.

Shape suffixes: B batch, C channels, H height, W width, F features, K classes.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class LeNet5(nn.Module):
    """Two convolutions, three fully connected layers, 61,706 parameters.

    Differs from the original: ReLU for tanh, max- for average-pooling, a linear output layer, and the second
    convolution sees all six maps.

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
        """Logits (B, K) of images (B, 1, 28, 28)."""
        # ReLU after the pool: the same values as before it, on a quarter of the elements.
        maps_BCHW = F.relu(F.max_pool2d(self.conv1(images_BCHW), 2))
        maps_BCHW = F.relu(F.max_pool2d(self.conv2(maps_BCHW), 2))
        features_BF = F.relu(self.fc1(maps_BCHW.flatten(1)))
        features_BF = F.relu(self.fc2(features_BF))
        logits_BK: Tensor = self.fc3(features_BF)
        return logits_BK
