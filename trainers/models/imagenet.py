"""The ImageNet models of the papers, from torchvision and timm, with random initial values.

Each function takes the number of classes and makes the model anew. Neither package is imported before. This module
must not know data, losses or targets.
"""

from torch import nn


def resnet50(num_classes: int = 1000) -> nn.Module:
    """ResNet-50 "v1.5": a block that halves the image does so in its 3x3 convolution; 25,557,032 parameters.

    Source: He et al., arXiv 1512.03385, Table 1, as torchvision and LIMIT (Table 2) have it.
    """
    from torchvision import models

    model: nn.Module = models.resnet50(weights=None, num_classes=num_classes)
    return model


def resnet50_v1(num_classes: int = 1000) -> nn.Module:
    """ResNet-50 as first published: a block that halves the image does so in its first 1x1 convolution.

    The same 25,557,032 parameters as `resnet50`. Source: He et al., arXiv 1512.03385; LARS, Section 5.
    """
    from torchvision.models.resnet import Bottleneck

    model = resnet50(num_classes)
    for block in model.modules():
        if isinstance(block, Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, (1, 1)
    return model


def alexnet(num_classes: int = 1000) -> nn.Module:
    """AlexNet, 61,100,840 parameters.

    Source: torchvision, after Krizhevsky, arXiv 1404.5997. Differs from LARS's (BVLC's AlexNet): no local response
    normalisation, 64 and 192 filters in the first layers for 96 and 256, no convolutions in groups.
    """
    from torchvision import models

    model: nn.Module = models.alexnet(weights=None, num_classes=num_classes)
    return model


def alexnet_bn(num_classes: int = 1000) -> nn.Module:
    """`alexnet` with batch normalisation between each convolution and its ReLU; 61,103,144 parameters.

    Source: ours, after LARS, Section 3 (Alexnet-BN: local response normalisation replaced by batch normalisation).
    The convolutions keep their biases, as in LARS, Table 2.
    """
    model = alexnet(num_classes)
    layers: list[nn.Module] = []
    for layer in model.features:  # type: ignore[union-attr]  # a Sequential
        layers.append(layer)
        if isinstance(layer, nn.Conv2d):
            layers.append(nn.BatchNorm2d(layer.out_channels))
    model.features = nn.Sequential(*layers)
    return model


def squeezenet(num_classes: int = 1000) -> nn.Module:
    """SqueezeNet 1.0, 1,248,424 parameters. Source: Iandola et al., arXiv 1602.07360; torchvision."""
    from torchvision import models

    model: nn.Module = models.squeezenet1_0(weights=None, num_classes=num_classes)
    return model


def mobilenet(num_classes: int = 1000) -> nn.Module:
    """MobileNet, the first version, 4,231,976 parameters. Source: Howard et al., arXiv 1704.04861; timm."""
    import timm

    model: nn.Module = timm.create_model("mobilenetv1_100", pretrained=False, num_classes=num_classes)
    return model


def mnasnet(num_classes: int = 1000) -> nn.Module:
    """MnasNet-B1 of depth multiplier 1.0, 4,383,312 parameters. Source: Tan et al., arXiv 1807.11626; timm.

    Differs from torchvision's, whose batch normalisation gives each batch a weight of 0.0003 in its statistics: at
    large batches a training ends before these are of use. Here it is torch's 0.1.
    """
    import timm

    model: nn.Module = timm.create_model("mnasnet_100", pretrained=False, num_classes=num_classes)
    return model


def inception_v4(num_classes: int = 1000) -> nn.Module:
    """Inception-v4, 42,679,816 parameters, for images of 299 pixels. Source: Szegedy et al., arXiv 1602.07261; timm."""
    import timm

    model: nn.Module = timm.create_model("inception_v4", pretrained=False, num_classes=num_classes)
    return model
