import math
from collections.abc import Callable, Mapping
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop

from zerotune.trainers.optimizers import DATE, Layerwise
from zerotune.trainers.optimizers.base_solvers import BASE_SOLVERS
from zerotune.trainers.optimizers.date import DATE_BASES
from zerotune.trainers.tables import UnknownName

TORCHS: dict[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "momentum": partial(SGD, momentum=0.9),
    "nesterov": partial(SGD, momentum=0.9, nesterov=True),
    "adagrad": Adagrad,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
    "adadelta": Adadelta,
}
DECAY = 0.05


def gradient(weight: Tensor, step: int) -> Tensor:
    return 0.5 * weight + torch.cos(torch.arange(len(weight)) + step).to(weight.dtype)


def test_every_base_solver_has_an_oracle() -> None:
    assert BASE_SOLVERS.keys() == TORCHS.keys()


@pytest.mark.parametrize("base", BASE_SOLVERS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("decay", [0.0, DECAY])
@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize(("maximize", "layerwise"), [(False, True), (True, False)])
def test_bounds_of_one_are_torchs_solver_bit_for_bit(
    base: str, dtype: torch.dtype, decay: float, foreach: bool, maximize: bool, layerwise: bool
) -> None:
    """Fifty steps with a changing learning rate; 37 numbers exercise both vectorised and remaining lanes."""
    bounds = (1.0, 1.0) if layerwise else (0.0, 0.1)
    ours, torchs = ([nn.Parameter(torch.linspace(-1, s, 37).to(dtype)) for s in (1, 9)] for _ in range(2))
    layerwise_solver = Layerwise(
        [{"params": ours, "layerwise": layerwise}],
        lr=0.1,
        base=base,
        base_options={"weight_decay": decay},
        ratio_low=bounds[0],
        ratio_high=bounds[1],
        maximize=maximize,
        foreach=foreach,
    )
    torch_solver = TORCHS[base](torchs, lr=0.1, weight_decay=decay, maximize=maximize)
    for step in range(50):
        for optimizer, weights in ((layerwise_solver, ours), (torch_solver, torchs)):
            optimizer.param_groups[0]["lr"] = 0.1 / (1 + step)
            for weight in weights:
                weight.grad = gradient(weight.detach(), step)
            optimizer.step()
        assert all(torch.equal(a, b) for a, b in zip(ours, torchs, strict=True)), f"step {step}"


def slow_direction(base: str, gradients: list[float], memory: list[float]) -> list[float]:
    """Compute the base solvers in plain float64 arithmetic; `memory` is their state, one number a weight."""
    direction = []
    for i, g in enumerate(gradients):
        if base == "sgd":
            direction.append(g)
        elif base == "momentum":
            memory[i] = 0.9 * memory[i] + g
            direction.append(memory[i])
        elif base == "adagrad":
            memory[i] += g * g
            direction.append(g / (math.sqrt(memory[i]) + 1e-10))
        else:
            memory[i] = 0.99 * memory[i] + 0.01 * g * g
            direction.append(g / (math.sqrt(memory[i]) + 1e-8))
    return direction


def slow_date(base: str, weight: Tensor, lrs: list[float], low: float, high: float) -> Tensor:
    """Compute Algorithm 1, lines 10 to 17, one number at a time."""
    weights, memory = weight.tolist(), [0.0] * len(weight)
    for step, lr in enumerate(lrs):
        gradients = gradient(torch.tensor(weights, dtype=torch.float64), step).tolist()
        weight_norm, gradient_norm = math.hypot(*weights), math.hypot(*gradients)
        ratio = weight_norm / gradient_norm if weight_norm > 0 and gradient_norm > 0 else 1.0
        ratio = min(max(ratio, low), high)
        decayed = [g + DECAY * w for g, w in zip(gradients, weights, strict=True)]
        direction = slow_direction(base, decayed, memory)
        weights = [w - lr * ratio * u for w, u in zip(weights, direction, strict=True)]
    return torch.tensor(weights, dtype=torch.float64)


@pytest.mark.parametrize("base", DATE_BASES)
@pytest.mark.parametrize("bounds", [(0.0, math.inf), (0.7, 1.4)])
def test_a_hundred_steps_of_changing_rate_equal_the_slow_reference(base: str, bounds: tuple[float, float]) -> None:
    starts = [torch.linspace(-1, 1, 5).double(), torch.full((3,), 4.0).double(), torch.zeros(2).double()]
    weights = [nn.Parameter(start.clone()) for start in starts]
    lrs = [0.02 * (1 - step / 100) for step in range(100)]
    low, high = bounds
    optimizer = DATE(weights, lr=1.0, base=base, base_options={"weight_decay": DECAY}, ratio_low=low, ratio_high=high)
    for step, lr in enumerate(lrs):
        optimizer.param_groups[0]["lr"] = lr
        for weight in weights:
            weight.grad = gradient(weight.detach(), step)
        optimizer.step()
    for start, weight in zip(starts, weights, strict=True):
        torch.testing.assert_close(weight.detach(), slow_date(base, start, lrs, low, high), rtol=1e-9, atol=1e-10)


def step_once(weight: list[float], grad: list[float], **options: float | Mapping[str, float]) -> list[float]:
    parameter = nn.Parameter(torch.tensor(weight, dtype=torch.float64))
    parameter.grad = torch.tensor(grad, dtype=torch.float64)
    DATE([parameter], lr=0.1, **options).step()  # type: ignore[arg-type]
    return parameter.tolist()


@pytest.mark.parametrize(
    ("grad", "ratio"),
    [(2.0, 2.5), (0.01, 100.0), (1e6, 0.01)],
    ids=["within the bounds", "above the upper", "below the lower"],
)
def test_the_layers_rate_is_lr_times_the_bounded_ratio(grad: float, ratio: float) -> None:
    """|w| = 5, so |w| / |g| is 2.5, 500 and 5e-6; the default bounds are 0.01 and 100."""
    assert step_once([3.0, 4.0], [grad, 0.0]) == pytest.approx([3.0 - 0.1 * ratio * grad, 4.0])


@pytest.mark.parametrize(("low", "high", "ratio"), [(0.01, 10.0, 1.0), (2.0, 10.0, 2.0), (0.01, 0.5, 0.5)])
def test_the_ratio_of_zero_weights_is_one_within_the_bounds(low: float, high: float, ratio: float) -> None:
    assert step_once([0.0], [3.0], ratio_low=low, ratio_high=high) == pytest.approx([-0.1 * ratio * 3.0])


def test_weight_decay_is_no_part_of_the_ratio() -> None:
    """|w| / |g| = 5 / 2 with or without decay; the step is along g + wd w = (2 + 0.3, 0.4)."""
    after = step_once([3.0, 4.0], [2.0, 0.0], base_options={"weight_decay": 0.1})
    assert after == pytest.approx([3.0 - 0.25 * 2.3, 4.0 - 0.25 * 0.4])


def test_the_rate_is_outside_the_momentum_buffer() -> None:
    """A second step with lr = 0 does not move; LARS, with its learning rate inside the buffer, would."""
    weight = nn.Parameter(torch.tensor([1.0]))
    optimizer = DATE([weight], lr=0.1)
    for lr in (0.1, 0.0):
        optimizer.param_groups[0]["lr"] = lr
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    assert weight.item() == pytest.approx(0.9)


def test_layers_of_different_dtypes_may_stand_in_one_group() -> None:
    single, double = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2, dtype=torch.float64))
    single.grad, double.grad = torch.ones(2), torch.ones(2, dtype=torch.float64)
    DATE([single, double], lr=0.5).step()
    assert (single.tolist(), double.tolist()) == ([0.5, 0.5], [0.5, 0.5])


@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (2.0, 1.0), (math.nan, 1.0)])
def test_bounds_that_are_no_range_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="ratio_low must be at least 0 and at most ratio_high, got"):
        DATE([nn.Parameter(torch.ones(1))], lr=0.1, ratio_low=bounds[0], ratio_high=bounds[1])


def test_a_negative_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="lr must be at least 0, got -1"):
        DATE([nn.Parameter(torch.ones(1))], lr=-1.0)


def test_an_unknown_base_or_base_option_is_refused() -> None:
    weight = nn.Parameter(torch.ones(1))
    with pytest.raises(UnknownName, match="unknown base solver of DATE 'rmsprob': did you mean 'rmsprop'"):
        DATE([weight], lr=0.1, base="rmsprob")
    with pytest.raises(UnknownName, match="unknown option of base solver 'sgd' 'momentum'"):
        DATE([weight], lr=0.1, base="sgd", base_options={"momentum": 0.9})
