"""The layer-wise wrapper and DATE against the slow reference: every base solver, ratio and kind of bounds."""

import math
from typing import Any

import pytest
import torch

from tests.oracles.layers import LARGE_LAYERS, LAYERS, assert_equal_to, expected, parameters, trained, training
from tests.oracles.reference import BASE_SOLVERS, LayerwiseReference
from tests.oracles.test_base_solvers import OPTIONS
from zerotune.trainers.optimizers import DATE, Layerwise

FOREACH = pytest.mark.parametrize("foreach", [None, False, True], ids=["fused", "loop", "foreach"])
BASE = pytest.mark.parametrize("base", BASE_SOLVERS)
RATIO = pytest.mark.parametrize("ratio", ["gradient", "update"])

BOUNDS: dict[str, dict[str, Any]] = {
    "none": {"bounds": "none"},
    "fixed": {"bounds": "fixed", "ratio_low": 0.3, "ratio_high": 1.7},
    "dynamic": {"bounds": "dynamic", "ratio_final": 0.8, "ratio_gamma": 0.05},
}


@FOREACH
@BASE
@RATIO
@pytest.mark.parametrize("bounds", BOUNDS)
def test_a_hundred_steps_equal_the_slow_reference(base: str, ratio: str, bounds: str, foreach: bool | None) -> None:
    ours = parameters()
    optimizer = Layerwise(
        ours, lr=0.0, base=base, base_options=OPTIONS[base], ratio=ratio, foreach=foreach, **BOUNDS[bounds]
    )
    solvers = [LayerwiseReference(BASE_SOLVERS[base](**OPTIONS[base]), ratio=ratio, **BOUNDS[bounds]) for _ in LAYERS]
    steps = training(calm=bounds == "none")  # without bounds, momentum diverges on suddenly small gradients
    assert_equal_to(trained(optimizer, ours, steps), expected(solvers, steps))


@FOREACH
@BASE
def test_the_defaults_of_a_base_solver_are_torchs(base: str, foreach: bool | None) -> None:
    ours = parameters()
    optimizer = Layerwise(ours, lr=0.0, base=base, ratio_low=0.3, ratio_high=1.7, foreach=foreach)
    solvers = [LayerwiseReference(BASE_SOLVERS[base](), ratio_low=0.3, ratio_high=1.7) for _ in LAYERS]
    assert_equal_to(trained(optimizer, ours, training()), expected(solvers, training()))


@FOREACH
def test_groups_keep_their_own_options(foreach: bool | None) -> None:
    choices: list[dict[str, Any]] = [
        {"ratio_low": 0.5, "ratio_high": 0.6},
        {"ratio_low": 0.0, "ratio_high": math.inf},
        {"layerwise": False},
        {},
    ]
    base_choices: list[dict[str, Any]] = [{}, {"momentum": 0.5}, {"weight_decay": 0.1}, {"momentum": 0.0}]
    factors = [1.0, 2.0, 0.1, 3.0]
    ours = parameters()
    groups = [
        {"params": ours[index :: len(choices)], "rate_factor": factors[index], **choice, **base_choices[index]}
        for index, choice in enumerate(choices)
    ]
    optimizer = Layerwise(groups, lr=0.0, base="momentum", ratio_low=0.1, ratio_high=5.0, foreach=foreach)
    solvers = [
        LayerwiseReference(
            BASE_SOLVERS["momentum"](**base_choices[layer % len(choices)]),
            **{"ratio_low": 0.1, "ratio_high": 5.0, **choices[layer % len(choices)]},
        )
        for layer in range(len(LAYERS))
    ]
    rate_factors = [factors[layer % len(choices)] for layer in range(len(LAYERS))]
    assert_equal_to(trained(optimizer, ours, training()), expected(solvers, training(), rate_factors))


@FOREACH
@RATIO
@pytest.mark.parametrize("base", ["momentum", "adamw", "adadelta"])
def test_large_layers_between_small_ones_equal_the_slow_reference(base: str, ratio: str, foreach: bool | None) -> None:
    steps = training(LARGE_LAYERS, num_steps=4)
    ours = parameters(layers=LARGE_LAYERS)
    limits = {"bounds": "fixed", "ratio_low": 0.01, "ratio_high": 10.0}
    optimizer = Layerwise(ours, lr=0.0, base=base, ratio=ratio, foreach=foreach, **limits)
    solvers = [LayerwiseReference(BASE_SOLVERS[base](), ratio=ratio, **limits) for _ in LARGE_LAYERS]
    assert_equal_to(trained(optimizer, ours, steps), expected(solvers, steps))


@FOREACH
@pytest.mark.parametrize("base", ["sgd", "momentum", "adagrad", "rmsprop"])
def test_date_equals_the_slow_reference(base: str, foreach: bool | None) -> None:
    ours = parameters()
    optimizer = DATE(
        ours, lr=0.0, base=base, base_options=OPTIONS[base], ratio_low=0.2, ratio_high=1.5, foreach=foreach
    )
    solvers = [
        LayerwiseReference(BASE_SOLVERS[base](**OPTIONS[base]), ratio="gradient", ratio_low=0.2, ratio_high=1.5)
        for _ in LAYERS
    ]
    assert_equal_to(trained(optimizer, ours, training()), expected(solvers, training()))


@FOREACH
def test_dates_step_by_hand(foreach: bool | None) -> None:
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
def test_limits_that_move_close_in_on_the_final_ratio_by_hand(foreach: bool | None) -> None:
    # final 2, gamma 1: limits (1, 4) at t = 1, (4/3, 3) at t = 2, (1.5, 8/3) at t = 3. |w| / |g| is far above them.
    weight = torch.nn.Parameter(torch.tensor([1000.0], dtype=torch.float64))
    optimizer = Layerwise(
        [weight],
        lr=1.0,
        base="sgd",
        ratio="gradient",
        bounds="dynamic",
        ratio_final=2.0,
        ratio_gamma=1.0,
        foreach=foreach,
    )
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
