"""Progress of every optimizer on a quadratic: a broken rule or a wrong step size ends at another loss."""

import pytest
import torch

from tests.contracts.optimizer_cases import EVERY_OPTIMIZER, build, quadratic, train, two_layers, where_installed
from zerotune.trainers.optimizers import OPTIMIZERS
from zerotune.trainers.spec import OptionValue

NUM_STEPS = 30

LR_AND_LOSS: dict[str, tuple[float, float]] = {
    "sgd": (0.02, 0.0864),
    "momentum": (0.002, 0.113),
    "adagrad": (0.2, 0.105),
    "rmsprop": (0.02, 0.0967),
    "adam": (0.05, 0.144),
    "adamw": (0.05, 0.141),
    "adadelta": (5.0, 0.573),
    "lars": (5.0, 0.199),
    "lamb": (0.02, 0.512),
    "date": (0.005, 0.178),
    "date-sgd": (0.05, 0.104),
    "date-adagrad": (0.2, 0.507),
    "date-rmsprop": (0.05, 0.0812),
    "layerwise-sgd": (0.05, 0.104),
    "layerwise-momentum": (0.005, 0.178),
    "layerwise-nesterov": (0.005, 0.168),
    "layerwise-adagrad": (0.2, 0.507),
    "layerwise-rmsprop": (0.05, 0.0812),
    "layerwise-adam": (0.1, 0.279),
    "layerwise-adamw": (0.1, 0.276),
    "layerwise-adadelta": (10.0, 0.701),
    "schedule-free-sgd": (0.02, 0.221),
    "schedule-free-adamw": (0.05, 0.385),
    "prodigy": (0.1, 0.124),
    "dadapt-adam": (0.1, 0.0639),
    "dadapt-sgd": (0.3, 0.632),
    "dog": (0.7, 0.452),
    "ldog": (0.7, 0.429),
}
"""optimizer: (a learning rate in the middle of its range, the loss after 30 steps relative to the initial loss)."""

BFLOAT16_LOSS = {"prodigy": 0.582, "dog": 0.844, "ldog": 0.755}
"""The same in bfloat16, where rounding loses the small first steps of some optimizers."""

RELATIVE_TOLERANCE = {torch.float64: 0.01, torch.float32: 0.01, torch.bfloat16: 0.06}

MOMENTUM_OPTIONS = ("momentum", "beta1")
SECOND_MOMENT_OPTIONS = ("alpha", "beta2", "rho")
NEEDS_MOMENTUM = ("schedule-free-sgd", "schedule-free-adamw")
"""Their packages reject a momentum of 0."""


def loss_left(
    name: str, *, lr: float, dtype: torch.dtype = torch.float64, direction: float = 1.0, **options: OptionValue
) -> float:
    """Return the loss after `NUM_STEPS` steps relative to the initial loss."""
    params = two_layers(dtype)
    before = quadratic(params).item()
    optimizer = build(name, params, lr, **options)
    train(optimizer, params, NUM_STEPS, direction=direction)
    assert all(param.dtype == dtype for param in params.values())
    return quadratic(params).item() / before


@EVERY_OPTIMIZER
@pytest.mark.parametrize("dtype", RELATIVE_TOLERANCE)
def test_reduces_a_quadratic_by_the_stated_factor(name: str, dtype: torch.dtype) -> None:
    assert name in LR_AND_LOSS, f"state a learning rate and the loss that {name!r} reaches with it in LR_AND_LOSS"
    lr, expected = LR_AND_LOSS[name]
    if dtype == torch.bfloat16:
        expected = BFLOAT16_LOSS.get(name, expected)
    assert expected < 0.9
    assert loss_left(name, lr=lr, dtype=dtype) == pytest.approx(expected, rel=RELATIVE_TOLERANCE[dtype])


def _zeroed(options: tuple[str, ...]) -> list[tuple[str, str]]:
    """Pair every optimizer with each of these options that is not 0 by default."""
    return [
        (name, option)
        for name, entry in OPTIMIZERS.items()
        for option in options
        if entry.defaults.get(option) and name not in NEEDS_MOMENTUM
    ]


def _is_missed(name: str, loss: float) -> bool:
    """Whether the loss differs from the optimizer's expected one."""
    return loss != pytest.approx(LR_AND_LOSS[name][1], rel=RELATIVE_TOLERANCE[torch.float64])


@EVERY_OPTIMIZER
def test_a_step_in_the_wrong_direction_misses_the_stated_loss(name: str) -> None:
    lr, _ = LR_AND_LOSS[name]
    loss = loss_left(name, lr=lr, direction=-1.0)
    assert _is_missed(name, loss)
    assert not loss < 1


@EVERY_OPTIMIZER
@pytest.mark.parametrize("factor", [10.0, 2.0, 0.5, 0.1])
def test_a_wrong_step_size_misses_the_stated_loss(name: str, factor: float) -> None:
    lr, _ = LR_AND_LOSS[name]
    assert _is_missed(name, loss_left(name, lr=factor * lr))


@pytest.mark.parametrize(
    ("name", "option"),
    [where_installed(name, option) for name, option in _zeroed(MOMENTUM_OPTIONS + SECOND_MOMENT_OPTIONS)],
)
def test_a_lost_moment_misses_the_stated_loss(name: str, option: str) -> None:
    lr, _ = LR_AND_LOSS[name]
    assert _is_missed(name, loss_left(name, lr=lr, **{option: 0.0}))


@pytest.mark.parametrize("name", [name for name, entry in OPTIMIZERS.items() if "adapt_vectors" in entry.defaults])
def test_a_lost_layerwise_ratio_misses_the_stated_loss(name: str) -> None:
    lr, _ = LR_AND_LOSS[name]
    params = two_layers(torch.float64)
    before = quadratic(params).item()
    optimizer = build(name, params, lr)
    for group in optimizer.param_groups:
        group["layerwise"] = False
    train(optimizer, params, NUM_STEPS)
    assert _is_missed(name, quadratic(params).item() / before)
