"""Residual networks for 32 x 32 images: ResNet-50 and smaller ones.

Source: He et al., "Deep Residual Learning for Image Recognition" (arXiv 1512.03385), as implemented in kuangliu's
pytorch-cifar, which LIMIT names for its ResNet-50 v1 on CIFAR-10 (Table 2, reference 18).

Shape suffixes: B batch, C channels, H height, W width, F features, K classes.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

EXPANSION = 4
"""Output channels of a bottleneck over the channels of its 3 x 3 convolution."""


class Block(nn.Module):
    """Two 3 x 3 convolutions, or a bottleneck of 1 x 1, 3 x 3 and 1 x 1, added to a shortcut.

    Batch normalisation follows each convolution, and ReLU follows all but the last, where it comes after the sum. The
    first 3 x 3 convolution has the stride. The shortcut is a 1 x 1 convolution with batch normalisation if the shape
    changes, else the identity (He et al., option B).

    Args:
        num_inputs: input channels.
        num_filters: channels of the 3 x 3 convolutions.
        stride: 1, or 2 to halve height and width.
        bottleneck: whether to build a bottleneck.
    """

    def __init__(self, num_inputs: int, num_filters: int, stride: int, *, bottleneck: bool):
        super().__init__()
        # (kernel size, output channels, stride) of each convolution
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
        """Map (B, num_inputs, H, W) to (B, num_outputs, H / stride, W / stride)."""
        changed_BCHW = maps_BCHW
        for position, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True), start=1):
            changed_BCHW = norm(convolution(changed_BCHW))
            if position < len(self.convolutions):
                changed_BCHW = F.relu(changed_BCHW)
        return F.relu(changed_BCHW + self.shortcut(maps_BCHW))


class CifarResNet(nn.Module):
    """A residual network for small images, without pooling or stride before the first stage.

    It consists of a 3 x 3 convolution, stages of blocks with 1, 2, 4 ... times `num_filters` filters, global average
    pooling and a linear layer. Every stage but the first halves height and width. The default sizes are LIMIT's
    ResNet-50 v1: 1 + 3 x (3 + 4 + 6 + 3) + 1 = 50 layers, 23,520,842 parameters and 1.30 billion multiply-adds per
    image, as published for the implementation. Initial values are torch's defaults, as in the implementation.

    Differs from He et al., Section 4.2, whose CIFAR-10 networks have three stages of 16, 32 and 64 filters and 6n + 2
    layers (20, 32, 44, 56 or 110). LIMIT names an implementation, and this is its ResNet50. With `num_blocks` (n, n,
    n), 16 filters and no bottleneck it matches He et al. except for the shortcuts, which are projections instead of
    zero-padded identities; n = 8 gives 50 layers.

    Differs from the first ResNet-50 for ImageNet, like the implementation: bottlenecks have their stride in the 3 x 3
    convolution.

    Args:
        num_blocks: blocks per stage; (2, 2, 2, 2) without bottleneck is ResNet-18.
        num_filters: filters of the first stage, >= 1.
        bottleneck: whether blocks are bottlenecks, with four times as many channels between them.
        num_classes: K.

    Raises:
        ValueError: `num_blocks` does not hold one to six integers above 0.

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
                f"num_blocks must be one to six whole numbers above 0, one per stage, got {list(num_blocks)}."
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
        """Return logits (B, K) of images (B, 3, 32, 32)."""
        maps_BCHW = self.blocks(F.relu(self.stem_norm(self.stem(images_BCHW))))
        features_BF = maps_BCHW.mean(dim=(2, 3))
        logits_BK: Tensor = self.classifier(features_BF)
        return logits_BK


def _convolution(num_inputs: int, num_outputs: int, kernel_size: int, stride: int) -> nn.Conv2d:
    """Return a convolution that keeps height and width up to its stride, without bias: batch normalisation follows."""
    return nn.Conv2d(num_inputs, num_outputs, kernel_size, stride=stride, padding=kernel_size // 2, bias=False)
