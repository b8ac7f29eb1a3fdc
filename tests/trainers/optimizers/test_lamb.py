import math

import pytest
import torch
from torch import Tensor, nn

from zerotune.trainers.optimizers import LAMB


def gradient(weight: Tensor, step: int) -> Tensor:
    return 0.5 * weight + torch.cos(torch.arange(len(weight)) + step).to(weight.dtype)


def slow_lamb(
    weight: Tensor,
    lrs: list[float],
    *,
    decay: float,
    bias_correction: bool,
    decay_in_ratio: bool,
    phi: tuple[float, float],
) -> Tensor:
    """Compute Algorithm 2 in plain float64 arithmetic, one number at a time; beta1 0.9, beta2 0.99, eps 1e-6."""
    weights = weight.tolist()
    first, second = [0.0] * len(weights), [0.0] * len(weights)
    for step, lr in enumerate(lrs, start=1):
        gradients = gradient(torch.tensor(weights, dtype=torch.float64), step).tolist()
        first = [0.9 * m + 0.1 * g for m, g in zip(first, gradients, strict=True)]
        second = [0.99 * v + 0.01 * g * g for v, g in zip(second, gradients, strict=True)]
        correct1, correct2 = (1 - 0.9**step, 1 - 0.99**step) if bias_correction else (1.0, 1.0)
        adam = [m / correct1 / (math.sqrt(v / correct2) + 1e-6) for m, v in zip(first, second, strict=True)]
        whole = [u + decay * w for u, w in zip(adam, weights, strict=True)]
        scaled, plain_decay = (whole, 0.0) if decay_in_ratio else (adam, decay)
        weight_norm, update_norm = math.hypot(*weights), math.hypot(*scaled)
        ratio = min(max(weight_norm, phi[0]), phi[1]) / update_norm if weight_norm > 0 and update_norm > 0 else 1.0
        weights = [w - lr * (ratio * u + plain_decay * w) for w, u in zip(weights, scaled, strict=True)]
    return torch.tensor(weights, dtype=torch.float64)


@pytest.mark.parametrize("bias_correction", [False, True])
@pytest.mark.parametrize("decay_in_ratio", [False, True])
@pytest.mark.parametrize("phi", [(0.0, 1e30), (0.5, 1.5)])
def test_a_hundred_steps_of_changing_rate_equal_the_slow_reference(
    bias_correction: bool, decay_in_ratio: bool, phi: tuple[float, float]
) -> None:
    starts = [torch.linspace(-1, 1, 5).double(), torch.full((3,), 2.0).double(), torch.zeros(2).double()]
    weights = [nn.Parameter(start.clone()) for start in starts]
    lrs = [0.1 * (1 - step / 100) ** 2 for step in range(100)]
    optimizer = LAMB(
        weights,
        lr=1.0,
        beta2=0.99,
        weight_decay=0.05,
        bias_correction=bias_correction,
        decay_in_ratio=decay_in_ratio,
        phi_low=phi[0],
        phi_high=phi[1],
    )
    for step, lr in enumerate(lrs, start=1):
        optimizer.param_groups[0]["lr"] = lr
        for weight in weights:
            weight.grad = gradient(weight.detach(), step)
        optimizer.step()
    for start, weight in zip(starts, weights, strict=True):
        expected = slow_lamb(
            start, lrs, decay=0.05, bias_correction=bias_correction, decay_in_ratio=decay_in_ratio, phi=phi
        )
        torch.testing.assert_close(weight.detach(), expected, rtol=1e-10, atol=1e-11)


def step_once(weight: list[float], grad: list[float], **options: float) -> list[float]:
    parameter = nn.Parameter(torch.tensor(weight, dtype=torch.float64))
    parameter.grad = torch.tensor(grad, dtype=torch.float64)
    LAMB([parameter], lr=0.1, eps=1e-12, **options).step()  # type: ignore[arg-type]
    return parameter.tolist()


def test_the_first_step_moves_by_lr_times_the_weights_norm() -> None:
    """u = sign(g) = (1, -1), |u| = sqrt 2, |w| = 5."""
    step = 0.1 * 5 / math.sqrt(2)
    assert step_once([3.0, 4.0], [0.2, -7.0]) == pytest.approx([3.0 - step, 4.0 + step])


def test_without_bias_correction_the_ratio_undoes_the_smaller_first_moment() -> None:
    """m = 0.1 g and sqrt v = sqrt 0.001 g: u is longer, but the ratio cancels its length."""
    step = 0.1 * 5 / math.sqrt(2)
    assert step_once([3.0, 4.0], [0.2, -7.0], bias_correction=False) == pytest.approx([3.0 - step, 4.0 + step])


def test_phi_bounds_the_weights_norm() -> None:
    assert step_once([3.0, 4.0], [0.0, 1.0], phi_high=2.0) == pytest.approx([3.0, 4.0 - 0.1 * 2])
    assert step_once([3.0, 4.0], [0.0, 1.0], phi_low=6.0) == pytest.approx([3.0, 4.0 - 0.1 * 6])


def test_the_ratio_is_one_where_the_weights_are_zero() -> None:
    assert step_once([0.0, 0.0], [1.0, -1.0], phi_low=6.0) == pytest.approx([-0.1, 0.1])


def test_a_group_that_is_not_layerwise_is_torchs_adam() -> None:
    weight, twin = (nn.Parameter(torch.linspace(-1, 1, 4, dtype=torch.float64)) for _ in range(2))
    ours = LAMB([{"params": [weight], "layerwise": False}], lr=0.1)
    torchs = torch.optim.Adam([twin], lr=0.1, eps=1e-6)
    for step in range(20):
        weight.grad, twin.grad = gradient(weight.detach(), step), gradient(twin.detach(), step)
        ours.step()
        torchs.step()
    torch.testing.assert_close(weight, twin, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("beta1", 1.0, "LAMB: beta1 must be at least 0 and below 1, got 1.0"),
        ("beta2", -0.1, "LAMB: beta2 must be at least 0 and below 1, got -0.1"),
        ("eps", 0.0, "LAMB: eps must be above 0, got 0.0"),
        ("phi_low", -1.0, "LAMB: phi_low must be at least 0 and at most phi_high"),
    ],
)
def test_numbers_out_of_range_are_refused(option: str, value: float, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        LAMB([nn.Parameter(torch.ones(1))], lr=1.0, **{option: value})  # type: ignore[arg-type]
