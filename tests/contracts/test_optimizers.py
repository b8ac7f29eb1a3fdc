"""Contract of every entry of OPTIMIZERS: a new entry is tested without being named."""

import copy
import json
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from tests.contracts.optimizer_cases import (
    EVERY_OPTIMIZER,
    build,
    equal,
    quadratic,
    train,
    two_layers,
    values,
    where_installed,
)
from zerotune.trainers.optimizers import OPTIMIZERS, check_optimizer
from zerotune.trainers.optimizers.parameter_free import PARAMETER_FREE
from zerotune.trainers.spec import OptimizerSpec, OptionValue
from zerotune.trainers.tables import UnknownName

EVERY_OPTIMIZER_BUT_DOG = pytest.mark.parametrize(
    "name", [where_installed(name) for name in OPTIMIZERS if name not in ("dog", "ldog")]
)
"""DoG and LDoG reject a parameter without a gradient (tests/trainers/optimizers/test_parameter_free.py)."""
EVERY_OWN_OPTIMIZER = pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name not in PARAMETER_FREE])
"""The packages of the others read values back, except Schedule-Free's."""
EVERY_LAYERWISE_OPTIMIZER = pytest.mark.parametrize(
    "name", [name for name, entry in OPTIMIZERS.items() if "adapt_vectors" in entry.defaults]
)
EVERY_OPTION = pytest.mark.parametrize(
    ("name", "option"),
    [where_installed(name, option) for name, entry in OPTIMIZERS.items() for option in entry.defaults],
)


@EVERY_OPTIMIZER
def test_a_run_resumed_from_its_state_dict_goes_on_bit_for_bit(name: str) -> None:
    whole = two_layers()
    train(build(name, whole, lr=0.02, weight_decay=0.01), whole, steps=12)

    first = two_layers()
    optimizer = build(name, first, lr=0.02, weight_decay=0.01)
    train(optimizer, first, steps=5)
    saved = copy.deepcopy(optimizer.state_dict())
    second = {key: nn.Parameter(param.detach().clone()) for key, param in first.items()}
    resumed = build(name, second, lr=1.0)
    resumed.load_state_dict(saved)
    train(resumed, second, steps=7)
    assert equal(values(whole), values(second))


@EVERY_OPTIMIZER_BUT_DOG
def test_a_parameter_without_gradient_is_left_alone_and_keeps_no_state(name: str) -> None:
    params = two_layers()
    optimizer = build(name, params, lr=0.1, weight_decay=0.1)
    params["weight"].grad = torch.ones_like(params["weight"])
    before = values(params)
    optimizer.step()
    assert not torch.equal(before[0], params["weight"])
    assert torch.equal(before[1], params["bias"])
    if name != "adagrad":  # torch's creates all its state in advance
        assert params["bias"] not in optimizer.state


@EVERY_OPTIMIZER
def test_a_zero_gradient_leaves_the_weights_where_they_are(name: str) -> None:
    params = two_layers()
    optimizer = build(name, params, lr=0.1, weight_decay=0.0)
    before = values(params)
    for param in params.values():
        param.grad = torch.zeros_like(param)
    optimizer.step()
    assert equal(before, values(params))


@EVERY_OPTIMIZER
def test_zero_weights_take_a_finite_step_down_the_gradient(name: str) -> None:
    params = {"weight": nn.Parameter(torch.zeros(3, 2))}
    optimizer = build(name, params, lr=0.1)
    params["weight"].grad = torch.ones(3, 2)
    optimizer.step()
    assert torch.isfinite(params["weight"]).all()
    assert (params["weight"] < 0).all()


@EVERY_OPTIMIZER
def test_a_closure_is_evaluated_once_with_gradients_and_its_loss_returned(name: str) -> None:
    params, twin = two_layers(), two_layers()
    optimizer, losses = build(name, params, lr=0.02), []

    def closure() -> float:
        optimizer.zero_grad()
        loss = quadratic(params)
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.item())
        return loss.item()

    expected = quadratic(params).item()
    loss = optimizer.step(closure)
    train(build(name, twin, lr=0.02), twin, steps=1)
    assert [loss] == losses == [expected]
    assert equal(values(twin), values(params))


@EVERY_OPTIMIZER
def test_maximize_is_descent_of_the_negative(name: str) -> None:
    params, twin = two_layers(), two_layers()
    descend, ascend = build(name, params, lr=0.02), build(name, twin, lr=0.02)
    for group in ascend.param_groups:
        group["maximize"] = True
    for _ in range(3):
        for param, other in zip(params.values(), twin.values(), strict=True):
            gradient = torch.sin(param.detach())
            param.grad, other.grad = gradient, -gradient
        descend.step()
        ascend.step()
    assert equal(values(params), values(twin))


@EVERY_OPTIMIZER
def test_the_gradient_is_not_changed_by_a_step(name: str) -> None:
    params = two_layers()
    optimizer = build(name, params, lr=0.1, weight_decay=0.1)
    for _ in range(2):
        for param in params.values():
            param.grad = torch.full_like(param, 0.5)
        optimizer.step()
    assert all(torch.equal(torch.full_like(p, 0.5), p.grad) for p in params.values() if p.grad is not None)


@EVERY_LAYERWISE_OPTIMIZER
@pytest.mark.parametrize("changing", [False, True], ids=["one form throughout", "another form every third step"])
def test_fused_plain_and_multi_tensor_steps_agree(name: str, changing: bool) -> None:
    """A training may also switch between them, as when a checkpoint moves from a CPU to a GPU."""
    ends = []
    for first in (None, False, True):
        params = two_layers(torch.float64)
        params["image"] = nn.Parameter(torch.randn(2, 3, 4, 4).double().to(memory_format=torch.channels_last))
        with torch.no_grad():
            params["image"].copy_(torch.linspace(-1, 1, 96).reshape(2, 3, 4, 4))
        optimizer = build(name, params, lr=0.02, weight_decay=0.01)
        forms = [first, False, True] if changing else [first]
        for step in range(18):
            for group in optimizer.param_groups:
                group["foreach"], group["lr"] = forms[step // 3 % len(forms)], 0.02 * (1 - step % 6 / 5)
            train(optimizer, params, steps=1)
        ends.append(values(params))
    for other in ends[1:]:
        for left, right in zip(ends[0], other, strict=True):
            torch.testing.assert_close(left, right, rtol=1e-11, atol=1e-12)


@EVERY_OWN_OPTIMIZER
def test_a_step_never_reads_a_value_back_to_the_host(name: str) -> None:
    """Fake tensors hold no values, so a step that reads one (an implicit .item()) raises."""
    with FakeTensorMode():
        params = {"weight": nn.Parameter(torch.ones(3, 2)), "bias": nn.Parameter(torch.ones(3))}
        optimizer = build(name, params, lr=0.1, weight_decay=0.1)
        for group in optimizer.param_groups:
            group["foreach"] = True
            group["capturable"] = type(optimizer).__module__.startswith("zerotune")  # torch's reject it on a CPU
        for _ in range(2):
            for param in params.values():
                param.grad = torch.ones_like(param)
            optimizer.step()
        with pytest.raises(DataDependentOutputException):
            params["weight"].sum().item()


@EVERY_OPTIMIZER
def test_an_unknown_option_is_refused_with_its_nearest(name: str) -> None:
    with pytest.raises(
        UnknownName, match=f"unknown option of optimizer '{name}' 'weight_decai': did you mean 'weight_d"
    ):
        check_optimizer(OptimizerSpec(name=name, options={"weight_decai": 0.1}))


@EVERY_OPTIMIZER
def test_the_defaults_are_accepted_and_are_what_json_can_hold(name: str) -> None:
    defaults = OPTIMIZERS[name].defaults
    check_optimizer(OptimizerSpec(name=name, options=defaults))
    assert json.loads(json.dumps(defaults, allow_nan=False)) == defaults


@EVERY_OPTIMIZER
def test_every_number_has_a_range_that_holds_its_default(name: str) -> None:
    entry = OPTIMIZERS[name]
    numbers = {option: value for option, value in entry.defaults.items() if isinstance(value, float)}
    assert numbers.keys() == entry.ranges.keys()
    assert all(entry.ranges[option][0] <= value <= entry.ranges[option][1] for option, value in numbers.items())


@EVERY_OPTION
def test_an_option_out_of_its_range_is_refused(name: str, option: str) -> None:
    low, high = OPTIMIZERS[name].ranges.get(option, (math.nan, math.nan))
    if math.isnan(low):
        kind = "a name" if isinstance(OPTIMIZERS[name].defaults[option], str) else "true or false"
        with pytest.raises(ValueError, match=f"optimizer '{name}': option '{option}' must be {kind}"):
            check_optimizer(OptimizerSpec(name=name, options={option: 0.5}))
        return
    bad: list[float] = [low - 1.0] if high == math.inf else [low - 1.0, high + 0.5]
    for value in bad:
        with pytest.raises(ValueError, match=f"optimizer '{name}': option '{option}' must be"):
            check_optimizer(OptimizerSpec(name=name, options={option: value}))


@EVERY_OPTION
def test_no_option_is_without_effect(name: str, option: str) -> None:
    """Changing an option from its default changes the weights after five steps on some gradients."""
    default = OPTIMIZERS[name].defaults[option]
    moved: Callable[[float], OptionValue] = {
        "ratio_low": lambda _: 0.5, "ratio_high": lambda _: 0.6, "phi_low": lambda _: 50.0, "phi_high": lambda _: 0.1,
        "eps": lambda _: 0.5, "trust_coefficient": lambda _: 0.5, "d_coef": lambda _: 1e4, "growth_rate": lambda _: 1.0,
    }.get(option, lambda value: 0.5 * value + 0.1)  # fmt: skip
    words = {"gradient": "update", "fixed": "none"}
    other: OptionValue
    if isinstance(default, str):
        other = words[default]
    else:
        other = not default if isinstance(default, bool) else moved(float(default))  # type: ignore[arg-type]
    # Some options act only beside another: decay where it is on, the form of the buffer where lr changes.
    beside: dict[str, OptionValue] = {} if option == "weight_decay" else {"weight_decay": 0.05}
    if option in ("ratio_final", "ratio_gamma"):
        beside["bounds"] = "dynamic"
        beside["ratio_gamma"] = 100.0
    if option == "larc_clip":
        beside["trust_coefficient"] = 10.0
    if option == "safeguard_warmup":
        beside["d_coef"] = 1e4
    lr = 10.0 if option == "growth_rate" else 0.02
    size = 1e-3 if option == "bounds" else 0.1  # so small that the ratio reaches its upper limit
    ends = []
    for value in (default, other):
        params = two_layers()
        optimizer = build(name, params, lr, **{**beside, option: value})
        for step in range(5):
            for index, param in enumerate(params.values()):
                param.grad = size * 30.0**index * torch.cos(param.detach() + step)
            for group in optimizer.param_groups:
                group["lr"] = lr / (1 + step)
            optimizer.step()
        ends.append(values(params))
    assert not equal(ends[0], ends[1])


def test_an_unknown_optimizer_names_its_nearest() -> None:
    with pytest.raises(UnknownName, match="unknown optimizer 'lasr': did you mean 'lars'"):
        check_optimizer(OptimizerSpec(name="lasr"))


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("momentum", {"nesterov": True, "momentum": 0.0}, "optimizer 'momentum': Nesterov momentum requires"),
        ("date", {"ratio_low": 2.0, "ratio_high": 1.0}, "optimizer 'date': ratio_low must be at least 0 and at most"),
        (
            "layerwise-sgd",
            {"ratio": "updat"},
            "optimizer 'layerwise-sgd': unknown ratio 'updat': did you mean 'update'",
        ),
        ("layerwise-sgd", {"bounds": "fixt"}, "optimizer 'layerwise-sgd': unknown bounds 'fixt': did you mean 'fixed'"),
        (
            "layerwise-adam",
            {"bounds": "none", "ratio_high": 3.0},
            "optimizer 'layerwise-adam': ratio_high=3 has no effect with bounds 'none': it is for 'fixed' bounds",
        ),
        ("lamb", {"phi_low": 2.0, "phi_high": 1.0}, "optimizer 'lamb': LAMB: phi_low must be at least 0 and at most"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    name: str, options: dict[str, OptionValue], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_optimizer(OptimizerSpec(name=name, options=options))
