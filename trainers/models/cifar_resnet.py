"""Residual networks for images of 32 x 32: ResNet-50, and smaller ones of the same kind.

Source: He et al., "Deep Residual Learning for Image Recognition" (arXiv 1512.03385), in the form of kuangliu's
pytorch-cifar, the implementation that LIMIT names for its ResNet-50 v1 on CIFAR-10 (Table 2, reference 18).

Shape suffixes: B batch, C channels, H height, W width, F features, K classes.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

EXPANSION = 4
"""Channels that leave a bottleneck over the channels of its 3 x 3 convolution."""


class Block(nn.Module):
    """Two 3 x 3 convolutions, or a bottleneck of 1 x 1, 3 x 3 and 1 x 1, added to a shortcut.

    Each convolution is followed by batch normalisation, and all but the last, which waits for the sum, by ReLU. The
    first 3 x 3 convolution has the stride. The shortcut is a 1 x 1 convolution with batch normalisation where the shape
    changes, else the input itself (He et al., option B).

    Args:
        num_inputs: channels that come in.
        num_filters: of the 3 x 3 convolutions.
        stride: 1, or 2 to halve height and width.
        bottleneck: which of the two it is.
    """

    def __init__(self, num_inputs: int, num_filters: int, stride: int, *, bottleneck: bool):
        super().__init__()
        # (kernel size, channels that leave, stride) of each convolution
        layers = [(3, num_filters, stride), (3, num_filters, 1)]
        if bottleneck:
            layers = [(1, num_filters, 1), (3, num_filters, stride), (1, EXPANSION * num_filters, 1)]
        self.num_outputs = layers[-1][1]
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        channels = num_inputs
        for kernel_size, num_outputs, step in layers:
            self.convolutions.append(_convolution(channels, num_outputs, kernel_size, step))
            self.norms.append(nn.BatchNorm2d(num_outputs))
            channels = num_outputs
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or num_inputs != self.num_outputs:
            self.shortcut = nn.Sequential(
                _convolution(num_inputs, self.num_outputs, 1, stride), nn.BatchNorm2d(self.num_outputs)
            )

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Maps (B, num_outputs, H / stride, W / stride) of maps (B, num_inputs, H, W)."""
        changed_BCHW = maps_BCHW
        for position, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True), start=1):
            changed_BCHW = norm(convolution(changed_BCHW))
            if position < len(self.convolutions):
                changed_BCHW = F.relu(changed_BCHW)
        return F.relu(changed_BCHW + self.shortcut(maps_BCHW))


class CifarResNet(nn.Module):
    """A residual network for small images: no pooling and no stride before the first stage.

    A 3 x 3 convolution, stages of blocks with 1, 2, 4 ... times `num_filters` filters, of which all but the first begin
    by halving height and width, the mean over the map, and one linear layer. Its default sizes are LIMIT's ResNet-50
    v1: 1 + 3 x (3 + 4 + 6 + 3) + 1 = 50 layers, 23,520,842 parameters and 1.30 billion multiply-adds an image, as is
    published for the implementation.

    Differs from He et al., Section 4.2, whose networks for CIFAR-10 have three stages of 16, 32 and 64 filters and
    6n + 2 layers (20, 32, 44, 56, 110, none of 50): LIMIT names an implementation, and this is its ResNet50. With
    `num_blocks` (n, n, n), 16 filters and no bottleneck it is theirs but for the shortcuts, which are projections where
    theirs are padded with zeros: n = 8 has 6n + 2 = 50 layers. Like the implementation, and unlike the first version of
    ResNet-50 for ImageNet, bottlenecks have their stride in the 3 x 3 convolution. Initial values are torch's defaults,
    as there.

    Args:
        num_blocks: blocks of each stage; (2, 2, 2, 2) without bottleneck is ResNet-18.
        num_filters: of the first stage, >= 1.
        bottleneck: whether blocks are bottlenecks, with four times the channels between them.
        num_classes: K.

    Raises:
        ValueError: `num_blocks` is not whole numbers above 0, or there are none, or more than six.

    >>> sum(parameter.numel() for parameter in CifarResNet().parameters())
    23520842
    >>> resnet18 = CifarResNet(num_blocks=(2, 2, 2, 2), bottleneck=False)
    >>> sum(parameter.numel() for parameter in resnet18.parameters())
    11173962
    """

    def __init__(
        self,
        num_blocks: Sequence[float] = (3, 4, 6, 3),
        num_filters: int = 64,
        bottleneck: bool = True,
        num_classes: int = 10,
    ):
        super().__init__()
        if not 1 <= len(num_blocks) <= 6 or any(number < 1 or number != int(number) for number in num_blocks):
            raise ValueError(
                f"num_blocks must be one to six whole numbers above 0, one a stage, got {list(num_blocks)}."
            )
        self.stem = _convolution(3, num_filters, 3, 1)
        self.stem_norm = nn.BatchNorm2d(num_filters)
        self.blocks = nn.Sequential()
        channels = num_filters
        for stage, number in enumerate(num_blocks):
            for position in range(int(number)):
                stride = 2 if stage and not position else 1
                block = Block(channels, num_filters * 2**stage, stride, bottleneck=bottleneck)
                self.blocks.append(block)
                channels = block.num_outputs
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Logits (B, K) of images (B, 3, 32, 32)."""
        maps_BCHW = self.blocks(F.relu(self.stem_norm(self.stem(images_BCHW))))
        features_BF = maps_BCHW.mean(dim=(2, 3))
        logits_BK: Tensor = self.classifier(features_BF)
        return logits_BK


def _convolution(num_inputs: int, num_outputs: int, kernel_size: int, stride: int) -> nn.Conv2d:
    """A convolution that keeps height and width but for its stride; no bias, since batch normalisation follows."""
    return nn.Conv2d(num_inputs, num_outputs, kernel_size, stride=stride, padding=kernel_size // 2, bias=False)
