"""The papers' ImageNet models, from torchvision and timm, with random initial values.

Each function builds a new model and imports its package only then. This module must not know data, losses or targets.
"""

from torch import nn


def resnet50(num_classes: int = 1000) -> nn.Module:
    """Build ResNet-50 v1.5, with the stride in a block's 3x3 convolution; 25,557,032 parameters.

    Source: He et al., arXiv 1512.03385, Table 1, in the version of torchvision and LIMIT (Table 2).
    """
    return _from_torchvision("resnet50", num_classes)


def resnet50_v1(num_classes: int = 1000) -> nn.Module:
    """Build ResNet-50 v1, with the stride in a block's first 1x1 convolution; 25,557,032 parameters.

    Source: He et al., arXiv 1512.03385; LARS, Section 5.
    """
    from torchvision.models.resnet import Bottleneck

    model = resnet50(num_classes)
    for block in model.modules():
        if isinstance(block, Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, (1, 1)
    return model


def alexnet(num_classes: int = 1000) -> nn.Module:
    """Build AlexNet; 61,100,840 parameters.

    Source: torchvision, after Krizhevsky, arXiv 1404.5997. Differs from LARS's (BVLC's AlexNet): no local response
    normalisation, 64 and 192 filters in the first layers instead of 96 and 256, no grouped convolutions.
    """
    return _from_torchvision("alexnet", num_classes)


def alexnet_bn(num_classes: int = 1000) -> nn.Module:
    """Build `alexnet` with batch normalisation between each convolution and its ReLU; 61,103,144 parameters.

    Source: after LARS, Section 3 (AlexNet-BN: batch normalisation replaces local response normalisation).
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
    """Build SqueezeNet 1.0; 1,248,424 parameters.

    Source: Iandola et al., arXiv 1602.07360; torchvision.
    """
    return _from_torchvision("squeezenet1_0", num_classes)


def mobilenet(num_classes: int = 1000) -> nn.Module:
    """Build MobileNet v1; 4,231,976 parameters.

    Source: Howard et al., arXiv 1704.04861; timm.
    """
    return _from_timm("mobilenetv1_100", num_classes)


def mnasnet(num_classes: int = 1000) -> nn.Module:
    """Build MnasNet-B1 with depth multiplier 1.0; 4,383,312 parameters.

    Source: Tan et al., arXiv 1807.11626; timm. Differs from torchvision's, whose batch normalisation has momentum
    0.0003: at large batches a training ends before the statistics have converged. Here it is torch's 0.1.
    """
    return _from_timm("mnasnet_100", num_classes)


def inception_v4(num_classes: int = 1000) -> nn.Module:
    """Build Inception-v4 for images of 299 pixels; 42,679,816 parameters.

    Source: Szegedy et al., arXiv 1602.07261; timm.
    """
    return _from_timm("inception_v4", num_classes)


def _from_torchvision(name: str, num_classes: int) -> nn.Module:
    from torchvision.models import get_model

    model: nn.Module = get_model(name, weights=None, num_classes=num_classes)
    return model


def _from_timm(name: str, num_classes: int) -> nn.Module:
    import timm

    model: nn.Module = timm.create_model(name, pretrained=False, num_classes=num_classes)
    return model
