"""Steps computed by hand."""

import math

import pytest
import torch

from tests.oracles.solvers import FOREACH
from zerotune.trainers.optimizers import DATE, LAMB, LARS, Layerwise


@FOREACH
def test_the_first_momentum_step_of_lars_is_undamped(foreach: bool | None) -> None:
    # |w| = 5, |g| = 2, local = 0.1 * 5 / (2 + 0.2 * 5) = 1/6; d = g + 0.2 w = (0.6, 2.8); v = 3 / 6 d = (0.3, 1.4).
    weight = torch.nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))
    optimizer = LARS([weight], lr=3.0, trust_coefficient=0.1, weight_decay=0.2, foreach=foreach)
    weight.grad = torch.tensor([0.0, 2.0], dtype=torch.float64)
    optimizer.step()
    assert weight.tolist() == pytest.approx([2.7, 2.6], rel=1e-14)

    # The rate falls to 0: the velocity (0.3, 1.4) stays and moves the weights by 0.9 times itself.
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.step()
    assert weight.tolist() == pytest.approx([2.43, 1.34], rel=1e-14)


@FOREACH
def test_the_first_step_of_lamb(foreach: bool | None) -> None:
    # t = 1: m' = g, v' = g^2, so u = sign(g) + wd w = (1 + 0.3, 0 + 0.4); |w| = 5; |u| = sqrt(1.85).
    weight = torch.nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))
    optimizer = LAMB([weight], lr=0.1, weight_decay=0.1, eps=1e-300, foreach=foreach)
    weight.grad = torch.tensor([2.0, 0.0], dtype=torch.float64)
    optimizer.step()
    ratio = 5 / 1.85**0.5
    assert weight.tolist() == pytest.approx([3 - 0.1 * ratio * 1.3, 4 - 0.1 * ratio * 0.4], rel=1e-14)


@FOREACH
def test_two_steps_of_date(foreach: bool | None) -> None:
    # Three layers with |w| = 5: |g| = 2 gives 2.5, |g| = 0.1 gives 50 clipped to 4, |g| = 20 gives 0.25 clipped to 0.5.
    layers = [torch.nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64)) for _ in range(3)]
    optimizer = DATE(
        layers, lr=0.1, base="momentum", base_options={"momentum": 0.5}, ratio_low=0.5, ratio_high=4.0, foreach=foreach
    )
    for layer, size in zip(layers, (2.0, 0.1, 20.0), strict=True):
        layer.grad = torch.tensor([size, 0.0], dtype=torch.float64)
    optimizer.step()
    firsts = [3 - 0.1 * 2.5 * 2, 3 - 0.1 * 4 * 0.1, 3 - 0.1 * 0.5 * 20]
    assert [layer[0].item() for layer in layers] == pytest.approx(firsts, rel=1e-14)
    assert [layer[1].item() for layer in layers] == [4.0, 4.0, 4.0]

    # The second velocity is 1.5 times the first; the ratio uses the new weights.
    norms = [math.hypot(first, 4.0) for first in firsts]
    ratios = [norms[0] / 2, 4.0, 0.5]
    optimizer.step()
    seconds = [
        first - 0.1 * ratio * 1.5 * size for first, ratio, size in zip(firsts, ratios, (2.0, 0.1, 20.0), strict=True)
    ]
    assert [layer[0].item() for layer in layers] == pytest.approx(seconds, rel=1e-14)


@FOREACH
def test_limits_that_move_close_in_on_the_final_ratio(foreach: bool | None) -> None:
    # final 2, gamma 1: limits (1, 4) at t = 1, (4/3, 3) at t = 2, (1.5, 8/3) at t = 3. |w| / |g| is far above them.
    weight = torch.nn.Parameter(torch.tensor([1000.0], dtype=torch.float64))
    bounds = {"bounds": "dynamic", "ratio_final": 2.0, "ratio_gamma": 1.0}
    optimizer = Layerwise([weight], lr=1.0, base="sgd", foreach=foreach, **bounds)
    seen = []
    for _ in range(3):
        weight.grad = torch.ones(1, dtype=torch.float64)
        before = weight.item()
        optimizer.step()
        seen.append(before - weight.item())
    assert seen == pytest.approx([4.0, 3.0, 8 / 3], rel=1e-12)
    weight.grad = torch.full((1,), 1e6, dtype=torch.float64)
    optimizer.step()
    # t = 4: the lower limit is 2 (1 - 1/5).
    assert weight.item() == pytest.approx(1000 - 4 - 3 - 8 / 3 - 1.6e6, rel=1e-12)


@FOREACH
@pytest.mark.parametrize(
    ("grad", "ratio"),
    [(2.0, 2.5), (0.01, 100.0), (1e6, 0.01)],
    ids=["within the bounds", "above the upper", "below the lower"],
)
def test_the_default_bounds_of_date_are_a_hundredth_and_a_hundred(
    grad: float, ratio: float, foreach: bool | None
) -> None:
    """|w| = 5, so |w| / |g| is 2.5, 500 and 5e-6."""
    weight = torch.nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))
    weight.grad = torch.tensor([grad, 0.0], dtype=torch.float64)
    DATE([weight], lr=0.1, foreach=foreach).step()
    assert weight.tolist() == pytest.approx([3.0 - 0.1 * ratio * grad, 4.0])
