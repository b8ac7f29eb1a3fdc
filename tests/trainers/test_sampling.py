"""Random streams: every sample once per pass, and each stream determined by the seed and its purpose alone."""

import pytest
import torch

from zerotune.trainers.sampling import random_stream, sample_order

CPU = torch.device("cpu")


def order(seed: int, epoch: int, batch_size: int) -> torch.Tensor:
    return sample_order(seed, epoch, epochs=4, num_samples=3_000, batch_size=batch_size)[2]


@pytest.mark.parametrize("batch_size", [1, 64, 999, 2_999, 3_000])
def test_a_pass_sees_every_sample_once(batch_size: int):
    stream = torch.cat([order(0, epoch, batch_size) for epoch in range(1, 5)])
    assert len(stream) == 4 * 3_000
    for one_pass in stream.split(3_000):
        assert torch.equal(one_pass.sort().values, torch.arange(3_000))


@pytest.mark.parametrize("batch_size", [64, 999, 2_999])
def test_updates_are_numbered_without_gaps_up_to_the_papers_total(batch_size: int):
    updates = [
        number
        for epoch in range(1, 5)
        for first, last, _ in [sample_order(0, epoch, epochs=4, num_samples=3_000, batch_size=batch_size)]
        for number in range(first, last + 1)
    ]
    assert updates == list(range(1, -(-4 * 3_000 // batch_size) + 1))


def test_the_stream_of_samples_does_not_depend_on_the_batch_size():
    streams = [torch.cat([order(0, epoch, batch_size) for epoch in range(1, 5)]) for batch_size in (64, 999)]
    assert torch.equal(streams[0], streams[1])


def test_another_seed_gives_another_order():
    assert not torch.equal(order(0, 1, 64), order(1, 1, 64))


def test_a_stream_is_reproducible_and_differs_by_purpose_and_seed():
    drawn = []
    for seed, purpose in [(0, "weights"), (0, "weights"), (0, "noise 1"), (1, "weights")]:
        with random_stream(seed, purpose, CPU):
            drawn.append(torch.rand(4))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[3])


def test_a_stream_leaves_the_global_random_state_alone():
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    with random_stream(0, "weights", CPU):
        torch.rand(5)
    assert torch.equal(torch.rand(3), expected)
