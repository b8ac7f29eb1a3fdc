"""The ResNets for CIFAR-10 have the published sizes and wiring."""

import pytest
import torch
import torch.nn.functional as F

from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.data import Dataset, TensorSplit
from zerotune.trainers.flops_and_memory import training_flops_per_sample
from zerotune.trainers.models.cifar_resnet import CifarResNet


def num_parameters(num_blocks: tuple[int, ...], filters: int, expansion: int) -> int:
    """Return a ResNet's parameter count in closed form; batch normalisation adds 2 numbers per channel."""
    total, channels = 27 * filters + 2 * filters, filters
    for stage, number in enumerate(num_blocks):
        inner = filters * 2**stage
        outer = inner * expansion
        for position in range(number):
            if expansion == 1:
                total += 9 * channels * inner + 9 * inner * inner + 2 * (inner + inner)
            else:
                total += channels * inner + 9 * inner * inner + inner * outer + 2 * (inner + inner + outer)
            if position == 0 and (stage or channels != outer):
                total += channels * outer + 2 * outer
            channels = outer
    return total + 10 * channels + 10


@pytest.mark.parametrize(
    ("options", "published"),
    [
        ({}, 23_520_842),  # ResNet-50 and ResNet-18 of pytorch-cifar, as reported by its users
        ({"num_blocks": (2, 2, 2, 2), "bottleneck": False}, 11_173_962),
        ({"num_blocks": (3, 4, 6, 3), "bottleneck": False}, 21_282_122),
    ],
)
def test_the_networks_have_the_published_sizes(options: dict[str, object], published: int):
    model = APPLICATIONS["resnet50_cifar10"].new_model({}, options)
    counted = sum(parameter.numel() for parameter in model.parameters())
    expansion = 4 if options.get("bottleneck", True) else 1
    assert counted == num_parameters(options.get("num_blocks", (3, 4, 6, 3)), 64, expansion) == published


@pytest.mark.parametrize(("n", "published_millions"), [(3, 0.27), (5, 0.46), (7, 0.66), (9, 0.85), (18, 1.7)])
def test_with_16_filters_in_three_stages_it_is_he_et_als_but_for_the_shortcuts(n: int, published_millions: float):
    """He et al., Table 6; their shortcuts have no parameters."""
    model = CifarResNet(num_blocks=(n, n, n), num_filters=16, bottleneck=False)
    projections = sum(parameter.numel() for name, parameter in model.named_parameters() if "shortcut" in name)
    counted = sum(parameter.numel() for parameter in model.parameters()) - projections
    assert counted / 1e6 == pytest.approx(published_millions, abs=0.05 if n == 18 else 0.005)


def test_resnet_50_takes_the_published_operations():
    """1,304.71 million multiply-adds forward, of which thop attributes 6 million to batch normalisation and pooling."""
    flops = training_flops_per_sample(APPLICATIONS["resnet50_cifar10"], dataset_of_2())
    stem = 2 * 32 * 32 * 27 * 64
    assert flops == 2 * 3 * 1_297_829_888 - stem  # forward, and twice backward, except the gradient of the images


def dataset_of_2() -> Dataset:
    split = TensorSplit(inputs=torch.zeros(2, 3, 32, 32), targets=torch.arange(2))
    return Dataset(train=split, validation=split, test=split, info={"num_classes": 10})


def test_maps_halve_from_stage_to_stage():
    model = CifarResNet(num_filters=4).eval()
    maps, shapes = model.stem(torch.zeros(1, 3, 32, 32)), []
    for block in model.blocks:
        maps = block(maps)
        shapes.append(tuple(maps.shape[1:3]))
    assert shapes == [(16, 32)] * 3 + [(32, 16)] * 4 + [(64, 8)] * 6 + [(128, 4)] * 3


def test_a_block_adds_its_input_where_the_shape_stays_and_a_projection_elsewhere():
    torch.manual_seed(0)
    for block in CifarResNet(num_blocks=(2, 1), num_filters=4, bottleneck=False).double().eval().blocks:
        with torch.no_grad():
            block.norms[-1].weight.zero_()  # leaves only the shortcut
        maps = torch.randn(2, block.convolutions[0].in_channels, 8, 8, dtype=torch.float64)
        shortcut = maps
        if block.convolutions[0].stride == (2, 2):
            convolution, norm = block.shortcut
            shortcut = norm(F.conv2d(maps, convolution.weight, stride=2))
        torch.testing.assert_close(block(maps), F.relu(shortcut))


@pytest.mark.parametrize("num_blocks", [(), (3, 0), (2.5,), (1,) * 7])
def test_impossible_numbers_of_blocks_are_refused(num_blocks: tuple[float, ...]):
    with pytest.raises(ValueError, match="num_blocks must be one to six whole numbers above 0"):
        CifarResNet(num_blocks=num_blocks)
