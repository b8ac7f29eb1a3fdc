import math

import pytest
import torch
from torch import Tensor, nn

from zerotune.trainers.optimizers import LARS


def gradient(weight: Tensor, step: int) -> Tensor:
    return 0.5 * weight + torch.cos(torch.arange(len(weight)) + step).to(weight.dtype)


def slow_lars(
    weight: Tensor, lrs: list[float], *, momentum: float, decay: float, eta: float, nesterov: bool, lr_in_buffer: bool
) -> Tensor:
    """Compute Algorithm 1 in plain float64 arithmetic, one number at a time."""
    weights, velocity = weight.double().tolist(), [0.0] * len(weight)
    for step, lr in enumerate(lrs):
        gradients = gradient(torch.tensor(weights, dtype=torch.float64), step).tolist()
        weight_norm, gradient_norm = math.hypot(*weights), math.hypot(*gradients)
        zero = weight_norm == 0 or gradient_norm == 0
        local = 1.0 if zero else eta * weight_norm / (gradient_norm + decay * weight_norm)
        inside, outside = (lr, 1.0) if lr_in_buffer else (1.0, lr)
        for i in range(len(weights)):
            change = inside * local * (gradients[i] + decay * weights[i])
            velocity[i] = momentum * velocity[i] + change
            weights[i] -= outside * (momentum * velocity[i] + change if nesterov else velocity[i])
    return torch.tensor(weights, dtype=torch.float64)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("lr_in_buffer", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_a_hundred_steps_of_changing_rate_equal_the_slow_reference(
    nesterov: bool, lr_in_buffer: bool, decay: float
) -> None:
    starts = [torch.linspace(-1, 1, 5).double(), torch.full((3,), 2.0).double(), torch.zeros(2).double()]
    weights = [nn.Parameter(start.clone()) for start in starts]
    lrs = [2.0 * (1 - step / 100) ** 2 for step in range(100)]
    optimizer = LARS(
        weights, lr=1.0, weight_decay=decay, trust_coefficient=0.02, nesterov=nesterov, lr_in_buffer=lr_in_buffer
    )
    for step, lr in enumerate(lrs):
        optimizer.param_groups[0]["lr"] = lr
        for weight in weights:
            weight.grad = gradient(weight.detach(), step)
        optimizer.step()
    for start, weight in zip(starts, weights, strict=True):
        expected = slow_lars(
            start, lrs, momentum=0.9, decay=decay, eta=0.02, nesterov=nesterov, lr_in_buffer=lr_in_buffer
        )
        torch.testing.assert_close(weight.detach(), expected, rtol=1e-11, atol=1e-12)


def step_once(weight: list[float], grad: list[float], **options: float) -> list[float]:
    parameter = nn.Parameter(torch.tensor(weight, dtype=torch.float64))
    parameter.grad = torch.tensor(grad, dtype=torch.float64)
    LARS([parameter], **options).step()  # type: ignore[arg-type]
    return parameter.tolist()


def test_the_denominator_is_the_sum_of_the_two_norms() -> None:
    """|w| = 5, |g| = 2, wd = 0.2: local = 0.01 * 5 / (2 + 1) = 1/60; g + wd w = (2.6, 0.8); lr = 6."""
    after = step_once([3.0, 4.0], [2.0, 0.0], lr=6.0, weight_decay=0.2, trust_coefficient=0.01)
    assert after == pytest.approx([3.0 - 0.1 * 2.6, 4.0 - 0.1 * 0.8])


@pytest.mark.parametrize(
    ("weight", "grad", "after"),
    [([0.0, 0.0], [0.5, 0.0], [-1.0, 0.0]), ([3.0, 4.0], [0.0, 0.0], [3.0 - 0.6, 4.0 - 0.8])],
)
def test_local_is_one_without_eta_where_a_norm_is_zero(
    weight: list[float], grad: list[float], after: list[float]
) -> None:
    assert after == pytest.approx(step_once(weight, grad, lr=2.0, weight_decay=0.1))


def test_the_velocity_gathered_at_a_high_rate_is_kept_when_the_rate_falls() -> None:
    """A second step with lr = 0: the paper's form still moves by m v, torch's does not move."""
    moved = {}
    for lr_in_buffer in (True, False):
        weight = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
        optimizer = LARS([weight], lr=1.0, momentum=0.5, trust_coefficient=0.1, lr_in_buffer=lr_in_buffer)
        for lr in (1.0, 0.0):
            optimizer.param_groups[0]["lr"] = lr
            weight.grad = torch.ones_like(weight)
            optimizer.step()
        moved[lr_in_buffer] = 1.0 - weight.item()
    assert moved == pytest.approx({True: 0.1 + 0.05, False: 0.1})


def test_larc_clip_bounds_the_layers_rate_by_lr() -> None:
    """local = eta |w| / |g| = 5, above lr = 0.1: the step is lr g; local = 0.05, below it: the step is local g."""
    large = step_once([5.0], [1.0], lr=0.1, trust_coefficient=1.0, larc_clip=True)
    small = step_once([5.0], [1.0], lr=0.1, trust_coefficient=0.01, larc_clip=True)
    assert [large, small] == [pytest.approx([4.9]), pytest.approx([4.95])]


def test_a_group_that_is_not_layerwise_is_torchs_momentum() -> None:
    weight, twin = (nn.Parameter(torch.linspace(-1, 1, 4, dtype=torch.float64)) for _ in range(2))
    ours = LARS([{"params": [weight], "layerwise": False}], lr=0.1, weight_decay=0.01, lr_in_buffer=False)
    torchs = torch.optim.SGD([twin], lr=0.1, momentum=0.9, weight_decay=0.01)
    for step in range(20):
        weight.grad, twin.grad = gradient(weight.detach(), step), gradient(twin.detach(), step)
        ours.step()
        torchs.step()
    assert torch.equal(weight, twin)


def test_half_precision_norms_do_not_overflow() -> None:
    """|g| = 6e4 * 2 overflows float16; local = 0.001 * 2 / 1.2e5, so the step rounds to zero but is finite."""
    weight = nn.Parameter(torch.ones(4, dtype=torch.float16))
    weight.grad = torch.full_like(weight, 6e4)
    LARS([weight], lr=100.0).step()
    assert torch.equal(weight, torch.full_like(weight, 1.0 - 100 * 0.001 * 2 / 1.2e5 * 6e4))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"lr": -1.0}, "LARS: lr must be at least 0, got -1.0"),
        ({"lr": 1.0, "momentum": 1.0}, "LARS: momentum must be at least 0 and below 1, got 1.0"),
        ({"lr": 1.0, "weight_decay": -0.1}, "LARS: weight_decay must be at least 0, got -0.1"),
        ({"lr": 1.0, "trust_coefficient": 0.0}, "LARS: trust_coefficient must be above 0, got 0.0"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        LARS([nn.Parameter(torch.ones(1))], **options)  # type: ignore[arg-type]
