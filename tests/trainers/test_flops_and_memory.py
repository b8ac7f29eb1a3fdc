"""Counted operations equal hand-computed ones."""

from dataclasses import replace

import psutil
import torch
from torch import nn

from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.data import load_on_device
from zerotune.trainers.data.mnist5k import MNIST5K
from zerotune.trainers.flops_and_memory import device_model, peak_memory_bytes, training_flops_per_sample

CPU = torch.device("cpu")


def counted(name: str) -> int:
    return training_flops_per_sample(APPLICATIONS[name], load_on_device(MNIST5K, None, CPU))


def test_lenet_flops_equal_the_closed_form():
    """Each layer: forward, gradient of its weights, gradient of its inputs. Images need no gradient."""
    conv1, conv2 = 6 * 25 * 28 * 28, 16 * 6 * 25 * 10 * 10
    dense = 400 * 120 + 120 * 84 + 84 * 10
    assert counted("lenet_mnist") == 2 * (3 * (conv1 + conv2 + dense) - conv1)


def test_lstm_flops_equal_the_closed_form():
    """oneDNN's fused LSTM would not be counted. Images and the initial hidden state need no gradient."""
    transform, recurrent, classifier = 28 * 28 * 128, 128 * 512, 128 * 10
    forward = transform + 28 * 2 * recurrent + classifier
    assert counted("lstm_mnist") == 2 * (3 * forward - transform - recurrent)


class Depthwise(nn.Sequential):
    """A depthwise convolution of 8 channels between two plain layers, and its transpose."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.ConvTranspose2d(8, 8, 2, stride=2, groups=4),
            nn.Flatten(),
            nn.Linear(8 * 56 * 56, 10),
        )


def test_flops_of_grouped_convolutions_equal_the_closed_form():
    """A channel combines only with those of its own group, also in the gradients."""
    first, depthwise, transposed = 8 * 9 * 28 * 28, 8 * 9 * 28 * 28, 8 * 2 * 4 * 28 * 28
    application = replace(APPLICATIONS["lenet_mnist"], build_model=Depthwise)
    found = training_flops_per_sample(application, load_on_device(MNIST5K, None, CPU))
    assert found == 2 * (3 * (first + depthwise + transposed + 8 * 56 * 56 * 10) - first)


def test_counting_flops_leaves_random_state_and_onednn_alone():
    state, enabled = torch.get_rng_state(), torch.backends.mkldnn.enabled
    training_flops_per_sample(APPLICATIONS["lenet_mnist"], MNIST5K.load(None))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.backends.mkldnn.enabled == enabled


def test_peak_memory_is_at_least_about_the_memory_held_now():
    held = psutil.Process().memory_info().rss
    assert 0.9 * held <= peak_memory_bytes(CPU) < 100 * held


def test_a_cpu_has_a_name():
    assert device_model("cpu").strip() != ""
