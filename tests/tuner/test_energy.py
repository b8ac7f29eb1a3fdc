"""DATE's energy model: the paper's numbers, and what they imply at any batch size."""

import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from zerotune.trainers.applications import APPLICATIONS
from zerotune.tuner.cost import Cost
from zerotune.tuner.energy import modelled_energy

# -- DATE, Section 4.5 and Figure 19 -----------------------------------------------------------------------------------


def test_an_operation_is_100_pj_and_a_word_2500_pj() -> None:
    assert (modelled_energy(1, 0).joules, modelled_energy(0, 1).joules) == (100e-12, 2500e-12)


def test_a_ledgers_energy_is_the_models() -> None:
    assert Cost(flops=3_000_000_000_000, words=40_000_000_000).modelled_joules == 400.0


def communication(batch_size: int, *, trainings: int = 1, all_reduce_factor: float = 1.0) -> float:
    """Return the joules of the paper's ResNet-50: 25 million parameters, 90 epochs of 40 batches of 32,768 images."""
    words = trainings * 25_000_000 * 90 * 40 * 32_768 / batch_size
    return modelled_energy(0, words, all_reduce_factor=all_reduce_factor).communication_joules


def test_figure_19_large_batch_tuning_free_and_both() -> None:
    """Er is the communication energy of the baseline: batch size 256, tuned in 100 trainings.

    Figure 19 has sqrt(k)/k at k = 128. The model gives 1/k, multiplied by a factor that grows as sqrt(k). The paper
    does not explain this factor. Our explanation: a square mesh with k times the nodes passes a word along sqrt(k)
    times as many of them.
    """
    k = 32_768 / 256
    before = communication(256, trainings=100)
    large_batch = communication(32_768, trainings=100, all_reduce_factor=math.sqrt(k))
    legw = communication(256)
    date = communication(32_768, all_reduce_factor=math.sqrt(k))
    assert large_batch / before == pytest.approx(math.sqrt(k) / k, rel=1e-12)
    assert legw / before == pytest.approx(1 / 100, rel=1e-12)
    assert date / before == pytest.approx(math.sqrt(k) / (100 * k), rel=1e-12)


# -- DATE, Section 5.1 -------------------------------------------------------------------------------------------------


def counted(model: nn.Module, *, backward: bool) -> float:
    """Count the operations per image of 224 pixels, on meta tensors."""
    images = torch.empty(2, 3, 224, 224, device="meta")
    with FlopCounterMode(display=False) as counter:
        outputs = model(images).sum()
        if backward:
            outputs.backward()
    return counter.get_total_flops() / 2


def built(application: str) -> tuple[nn.Module, int]:
    pytest.importorskip("torchvision", reason="torchvision is not installed: pip install 'zerotune[vision]'")
    with torch.device("meta"):
        model = APPLICATIONS[application].build_model()
    return model, sum(parameter.numel() for parameter in model.parameters())


def test_the_projects_resnet50_has_the_papers_operations() -> None:
    """The paper counts the forward pass and rounds: 7.7 billion, and 25 million of 25,557,032 parameters."""
    model, num_parameters = built("resnet50_v1_imagenet")
    flops = counted(model, backward=False)
    assert (round(flops / 1e9, 1), num_parameters // 1_000_000) == (7.7, 25)


def test_the_projects_alexnet_is_within_five_percent_of_the_papers_intensity() -> None:
    """The first layers of torchvision's AlexNet are narrower than those of the one with 1.5 billion operations."""
    model, num_parameters = built("alexnet_imagenet")
    flops = counted(model, backward=False)
    assert (round(flops / 1e9, 2), num_parameters // 1_000_000) == (1.43, 61)
    assert flops / num_parameters == pytest.approx(24.6, rel=0.05)


def test_training_has_almost_three_times_the_operations_of_the_forward_pass() -> None:
    """Every layer but the first has two products in the backward pass: for its weights and for its inputs."""
    model, _ = built("alexnet_imagenet")
    first_layer = 2 * 64 * 3 * 11 * 11 * 55 * 55
    assert counted(model, backward=True) == 3 * counted(model, backward=False) - first_layer
