"""DATE's energy model: the paper's numbers, and what they imply at any batch size."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from zerotune.trainers.applications import APPLICATIONS
from zerotune.tuner.cost import Cost
from zerotune.tuner.energy import (
    EnergyConstants,
    TrainingWork,
    computational_intensity,
    modelled_energy,
    ring_factor,
    training_energy,
)

RESNET50 = TrainingWork(
    flops_per_sample=3 * 7_700_000_000, num_parameters=25_000_000, num_samples=40 * 32_768, epochs=90
)
"""The paper's ResNet-50, with as many images as 40 batches of 32,768."""


# -- DATE, Section 4.5 and Figure 19 -----------------------------------------------------------------------------------


def test_an_operation_is_100_pj_and_a_word_2500_pj() -> None:
    assert (modelled_energy(1, 0).joules, modelled_energy(0, 1).joules) == (100e-12, 2500e-12)


def test_a_ledgers_energy_is_the_models() -> None:
    assert Cost(flops=3_000_000_000_000, words=40_000_000_000).modelled_joules == 400.0


def communication(batch_size: int, *, trainings: int = 1, all_reduce_factor: float = 1.0) -> float:
    return trainings * training_energy(RESNET50, batch_size, all_reduce_factor=all_reduce_factor).communication_joules


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


def test_computation_does_not_change_with_the_batch_and_communication_falls_as_its_inverse() -> None:
    energies = [training_energy(RESNET50, 256 * k) for k in (1, 2, 8, 128)]
    assert {energy.compute_joules for energy in energies} == {energies[0].compute_joules}
    assert [energies[0].communication_joules / e.communication_joules for e in energies] == [1, 2, 8, 128]


@given(st.integers(1, 10_000), st.integers(1, 100), st.integers(1, 10_000))
def test_updates_are_rounded_up(num_samples: int, epochs: int, batch_size: int) -> None:
    """DATE 3.6: 30 epochs of 60,000 samples are 220 updates at batch size 8,192."""
    work = TrainingWork(flops_per_sample=0, num_parameters=1, num_samples=num_samples, epochs=epochs)
    one_a_word = EnergyConstants(picojoules_per_flop=0.0, picojoules_per_word=1e12)
    expected = math.ceil(epochs * num_samples / batch_size)
    assert training_energy(work, batch_size, one_a_word).joules == expected


def test_the_constants_and_the_factor_scale_what_they_stand_for() -> None:
    twice = EnergyConstants(picojoules_per_flop=200.0, picojoules_per_word=7500.0)
    once, more = training_energy(RESNET50, 256), training_energy(RESNET50, 256, twice, all_reduce_factor=ring_factor(4))
    assert more.compute_joules == pytest.approx(2 * once.compute_joules, rel=1e-12)
    assert more.communication_joules == pytest.approx(3 * 1.5 * once.communication_joules, rel=1e-12)


def simulated_ring_words(num_nodes: int, num_words: int) -> list[int]:
    """Count the words that each node sends in a ring all-reduce, step by step.

    The vector is cut into one chunk per node. The ring first reduces it, then gathers it.
    """
    sent = [0] * num_nodes
    for _ in range(2 * (num_nodes - 1)):
        for node in range(num_nodes):
            sent[node] += num_words // num_nodes
    return sent


@pytest.mark.parametrize("num_nodes", [1, 2, 3, 8, 64])
def test_the_ring_factor_is_what_a_ring_sends(num_nodes: int) -> None:
    num_words = 960 * num_nodes
    assert [ring_factor(num_nodes) * num_words] * num_nodes == simulated_ring_words(num_nodes, num_words)


# -- DATE, Section 5.1 -------------------------------------------------------------------------------------------------


def test_the_papers_intensities() -> None:
    assert round(computational_intensity(1.5e9, 61_000_000), 1) == 24.6
    assert computational_intensity(7.7e9, 25_000_000) == 308.0


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


def test_the_projects_resnet50_has_the_papers_operations_and_intensity() -> None:
    """The paper counts the forward pass and rounds: 7.7 billion, and 25 million of 25,557,032 parameters."""
    model, num_parameters = built("resnet50_v1_imagenet")
    flops = counted(model, backward=False)
    assert (round(flops / 1e9, 1), num_parameters // 1_000_000) == (7.7, 25)
    assert round(computational_intensity(flops, num_parameters), 1) == 301.9
    assert computational_intensity(round(flops, -8), 25_000_000) == 308.0


def test_the_projects_alexnet_is_within_five_percent_of_the_papers_intensity() -> None:
    """The first layers of torchvision's AlexNet are narrower than those of the one with 1.5 billion operations."""
    model, num_parameters = built("alexnet_imagenet")
    flops = counted(model, backward=False)
    assert (round(flops / 1e9, 2), num_parameters // 1_000_000) == (1.43, 61)
    assert computational_intensity(flops, num_parameters) == pytest.approx(24.6, rel=0.05)


def test_training_has_almost_three_times_the_intensity_of_the_forward_pass() -> None:
    """Every layer but the first has two products in the backward pass: for its weights and for its inputs."""
    model, _ = built("alexnet_imagenet")
    first_layer = 2 * 64 * 3 * 11 * 11 * 55 * 55
    assert counted(model, backward=True) == 3 * counted(model, backward=False) - first_layer


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        training_energy(RESNET50, 0)
    with pytest.raises(ValueError, match="num_parameters must be at least 1, got 0"):
        computational_intensity(1e9, 0)
    with pytest.raises(ValueError, match="num_nodes must be at least 1, got 0"):
        ring_factor(0)
