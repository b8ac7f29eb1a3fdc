"""Every optimizer under torch's own machinery: schedulers, hooks, groups, complex and unusual parameters, options."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer, lr_scheduler
from torch.optim.swa_utils import SWALR, AveragedModel

from tests.contracts.optimizer_cases import (
    EVERY_FORM,
    EVERY_OPTIMIZER,
    EVERY_OWN,
    OWN,
    build,
    equal,
    forms,
    set_form,
    train,
    two_layers,
    values,
)
from zerotune.trainers.optimizers import DATE, LAMB, LARS, OPTIMIZERS, Layerwise
from zerotune.trainers.optimizers.parameter_free import PARAMETER_FREE

SCHEDULERS: dict[str, Callable[[Optimizer], Any]] = {
    "lambda": lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda step: 0.9**step),
    "sequential": lambda optimizer: lr_scheduler.SequentialLR(
        optimizer,
        [lr_scheduler.ConstantLR(optimizer, 0.5, 2), lr_scheduler.ExponentialLR(optimizer, 0.9)],
        milestones=[2],
    ),
    "plateau": lambda optimizer: lr_scheduler.ReduceLROnPlateau(optimizer, patience=0),
    "swa": lambda optimizer: SWALR(optimizer, swa_lr=0.01, anneal_epochs=3),
    "one cycle": lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=8, cycle_momentum=False),
}


@EVERY_OPTIMIZER
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_torchs_schedulers_set_the_learning_rate_of_every_step(name: str, scheduler: str) -> None:
    """A run under a scheduler equals one whose learning rates are written into the groups."""
    params, twin = two_layers(), two_layers()
    optimizer, by_hand = build(name, params, 0.05), build(name, twin, 0.05)
    schedule = SCHEDULERS[scheduler](optimizer)
    for _ in range(5):
        for group, other in zip(optimizer.param_groups, by_hand.param_groups, strict=True):
            other["lr"] = group["lr"]
        train(optimizer, params, 1)
        train(by_hand, twin, 1)
        schedule.step(1.0) if scheduler == "plateau" else schedule.step()
    assert equal(values(params), values(twin))
    assert optimizer.param_groups[0]["lr"] != 0.05


CYCLES: dict[str, Callable[[Optimizer], Any]] = {
    "one cycle": lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=8),
    "cyclic": lambda optimizer: lr_scheduler.CyclicLR(optimizer, 0.01, 0.1, step_size_up=4),
}
WITH_MOMENTUM = [name for name in OWN if {"beta1", "momentum"} & OPTIMIZERS[name].defaults.keys()]


@pytest.mark.parametrize("cycle", CYCLES)
@pytest.mark.parametrize(("name", "form"), [(name, form) for name in WITH_MOMENTUM for form in forms(name)])
def test_a_cycled_momentum_is_the_momentum_of_every_step(name: str, form: bool | None, cycle: str) -> None:
    """Every step equals that of an optimizer into which the same state and options are loaded."""
    params, twin = two_layers(), two_layers()
    optimizer = build(name, params, 0.05)
    set_form(optimizer, form)
    schedule, momentums = CYCLES[cycle](optimizer), set()
    for _ in range(5):
        other = build(name, twin, 0.3)
        other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        group = optimizer.param_groups[0]
        momentums.add(group["betas"][0] if "betas" in group else group["momentum"])
        train(optimizer, params, 1)
        train(other, twin, 1)
        assert equal(values(params), values(twin))
        schedule.step()
    assert len(momentums) > 2


@pytest.mark.parametrize("name", [name for name in OWN if name not in WITH_MOMENTUM])
def test_a_cycled_momentum_is_refused_where_there_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="optimizer must support momentum or beta1"):
        lr_scheduler.OneCycleLR(build(name, two_layers(), 0.05), 0.1, total_steps=8)


@EVERY_FORM
def test_weights_are_averaged_by_swa(name: str, form: bool | None) -> None:
    model = nn.ParameterDict(two_layers())
    optimizer = build(name, dict(model.items()), 0.05)
    set_form(optimizer, form)
    averaged, seen = AveragedModel(model), []
    for _ in range(3):
        train(optimizer, dict(model.items()), 1)
        averaged.update_parameters(model)
        seen.append(model["weight"].detach().clone())
    torch.testing.assert_close(averaged.module["weight"].detach(), torch.stack(seen).mean(0))


@EVERY_FORM
def test_step_hooks_run_once_before_and_once_after_every_step(name: str, form: bool | None) -> None:
    params = two_layers()
    optimizer, calls = build(name, params, 0.05), []
    set_form(optimizer, form)
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    train(optimizer, params, 2)
    assert calls == ["before", "after"] * 2


@EVERY_FORM
def test_a_learning_rate_that_is_a_tensor_gives_the_steps_of_its_number(name: str, form: bool | None) -> None:
    if form is True and name not in OWN:
        pytest.skip("torch's foreach form needs capturable for it")
    params, twin = two_layers(), two_layers()
    optimizer, other = build(name, params, 0.05), build(name, twin, 0.05)
    for one, lr in ((optimizer, torch.tensor(0.05, dtype=torch.float64)), (other, 0.05)):
        set_form(one, form)
        for group in one.param_groups:
            group["lr"] = lr
    train(optimizer, params, 3)
    train(other, twin, 3)
    for left, right in zip(values(params), values(twin), strict=True):
        torch.testing.assert_close(left, right)


TAKES_NO_GROUP_LATER = ("dog", "ldog")


@EVERY_OPTIMIZER
def test_a_group_added_after_some_steps_is_trained_or_refused(name: str) -> None:
    params = two_layers()
    first, second = {"weight": params["weight"]}, {"bias": params["bias"]}
    optimizer = build(name, first, 0.05)
    train(optimizer, first, 2)
    if name in TAKES_NO_GROUP_LATER:
        with pytest.raises(ValueError, match="takes no parameter group later: give all parameters"):
            optimizer.add_param_group({"params": list(second.values())})
        return
    optimizer.add_param_group({"params": list(second.values()), "lr": 0.05})
    before = values(params)
    train(optimizer, params, 2)
    assert not any(torch.equal(old, new) for old, new in zip(before, values(params), strict=True))
    if hasattr(optimizer, "eval"):  # all parameters are evaluated at other weights
        trained = values(params)
        optimizer.eval()
        assert not any(torch.equal(old, new) for old, new in zip(trained, values(params), strict=True))


@EVERY_OWN
def test_a_group_with_an_option_of_its_own_is_stepped_as_alone(name: str) -> None:
    """The learning rate need not be given twice."""
    cls, options = type(build(name, two_layers(), 0.1)), {}
    if issubclass(cls, Layerwise):
        options["base"] = name.split("-")[1] if "-" in name else "momentum"
    own = [{"lr": 0.05, "weight_decay": 0.1}, {"lr": 0.02}]
    together, apart = list(two_layers().values()), list(two_layers().values())
    optimizers = [cls([{"params": [param], **group} for param, group in zip(together, own, strict=True)], **options)]
    optimizers += [cls([{"params": [param], **group}], **options) for param, group in zip(apart, own, strict=True)]
    for _ in range(3):
        for param in (*together, *apart):
            param.grad = torch.cos(param.detach())
        for optimizer in optimizers:
            optimizer.step()
    assert equal(together, apart)


@pytest.mark.parametrize("optimizer", [LARS, LAMB, DATE])
def test_a_group_without_a_learning_rate_is_refused_where_the_optimizer_has_none(
    optimizer: Callable[..., Optimizer],
) -> None:
    groups = [{"params": [nn.Parameter(torch.ones(1))], "lr": 0.1}, {"params": [nn.Parameter(torch.ones(1))]}]
    with pytest.raises(ValueError, match="a parameter group has no lr: give lr to the optimizer, or to every group"):
        optimizer(groups)


COMPLEX_TWINS: dict[str, Callable[[list[nn.Parameter]], Optimizer]] = {
    "sgd": lambda params: torch.optim.SGD(params, lr=0.05, weight_decay=0.1),
    "momentum": lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9, weight_decay=0.1),
    "nesterov": lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adagrad": lambda params: torch.optim.Adagrad(params, lr=0.05, weight_decay=0.1),
    "rmsprop": lambda params: torch.optim.RMSprop(params, lr=0.05, weight_decay=0.1),
    "adam": lambda params: torch.optim.Adam(params, lr=0.05, weight_decay=0.1),
    "adamw": lambda params: torch.optim.AdamW(params, lr=0.05, weight_decay=0.1),
    "adadelta": lambda params: torch.optim.Adadelta(params, lr=0.05, weight_decay=0.1),
}


def complex_parameter() -> nn.Parameter:
    return nn.Parameter(torch.randn(3, 2, dtype=torch.complex128, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("foreach", [None, False, True])
@pytest.mark.parametrize("base", COMPLEX_TWINS)
def test_complex_parameters_are_stepped_as_by_torch(base: str, foreach: bool | None) -> None:
    ours, theirs = complex_parameter(), complex_parameter()
    options = {"base": base, "base_options": {"weight_decay": 0.1}, "ratio_low": 1.0, "ratio_high": 1.0}
    optimizers = (Layerwise([ours], lr=0.05, foreach=foreach, **options), COMPLEX_TWINS[base]([theirs]))
    for step in range(5):
        for param, optimizer in zip((ours, theirs), optimizers, strict=True):
            param.grad = torch.sin(param.detach() + step).conj().resolve_conj()
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("name", "form"), [(name, form) for name in OWN for form in forms(name)])
def test_a_complex_parameter_is_stepped_as_the_pair_of_its_real_numbers(name: str, form: bool | None) -> None:
    """Its norms are those of the pair, too."""
    number = complex_parameter()
    pair = nn.Parameter(torch.view_as_real(number.detach()).clone())
    for param in (number, pair):
        optimizer = build(name, {"weight": param}, 0.05, weight_decay=0.1)
        set_form(optimizer, form)
        for step in range(4):
            real = torch.view_as_real(param.detach()) if param.is_complex() else param.detach()
            gradient = torch.sin(real + step)
            param.grad = torch.view_as_complex(gradient) if param.is_complex() else gradient
            optimizer.step()
    torch.testing.assert_close(torch.view_as_real(number.detach()), pair.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", list(PARAMETER_FREE))
def test_a_package_refuses_complex_parameters_in_a_sentence(name: str) -> None:
    pytest.importorskip(PARAMETER_FREE[name].package)
    with pytest.raises(ValueError, match="does not support complex parameters: train their real and imaginary parts"):
        build(name, {"weight": complex_parameter()}, 0.05)


@EVERY_FORM
@pytest.mark.parametrize("shape", [(), (0, 3), (1,)])
def test_parameters_without_dimensions_or_numbers_are_stepped(
    name: str, form: bool | None, shape: tuple[int, ...]
) -> None:
    params: dict[str, Tensor] = {**two_layers(), "odd": nn.Parameter(torch.full(shape, 2.0))}
    optimizer = build(name, params, 0.05)  # type: ignore[arg-type]
    set_form(optimizer, form)
    train(optimizer, params, 2)  # type: ignore[arg-type]
    assert params["odd"].shape == shape
    assert params["odd"].isfinite().all()
    assert not (params["odd"] == 2.0).any()


@pytest.mark.parametrize(
    ("base", "option", "value", "words"),
    [
        ("adam", "beta1", 1.0, "beta1 must be at least 0 and below 1, got 1.0"),
        ("adamw", "beta2", 1.0, "beta2 must be at least 0 and below 1, got 1.0"),
        ("adam", "eps", -1e-8, "eps must be at least 0, got -1e-08"),
        ("adamw", "weight_decay", -0.1, "weight_decay must be at least 0, got -0.1"),
        ("momentum", "momentum", -0.9, "momentum must be at least 0, got -0.9"),
        ("rmsprop", "alpha", -0.1, "alpha must be from 0 to 1, got -0.1"),
        ("rmsprop", "alpha", 1.1, "alpha must be from 0 to 1, got 1.1"),
        ("adadelta", "rho", 1.1, "rho must be from 0 to 1, got 1.1"),
        ("adagrad", "eps", float("nan"), "eps must be at least 0, got nan"),
    ],
)
@pytest.mark.parametrize("in_group", [False, True], ids=["argument", "group"])
def test_base_options_have_torchs_ranges_in_the_arguments_and_in_groups(
    base: str, option: str, value: float, words: str, in_group: bool
) -> None:
    groups: list[dict[str, Any]] = [{"params": [nn.Parameter(torch.ones(1))]}]
    options = {option: value}
    if in_group:
        groups[0].update(options)
    with pytest.raises(ValueError, match=words):
        Layerwise(groups, lr=0.1, base=base, base_options={} if in_group else options)


@pytest.mark.parametrize("spelling", [{"beta1": 0.8}, {"betas": (0.8, 0.999)}])
def test_a_group_may_name_its_betas_in_either_way_but_not_in_both(spelling: dict[str, Any]) -> None:
    group = {"params": [nn.Parameter(torch.ones(1))], **spelling}
    assert LAMB([group], lr=0.1).param_groups[0]["betas"] == (0.8, 0.999)
    with pytest.raises(ValueError, match="has betas and also beta1 or beta2: give one of the two"):
        LAMB([{**group, "beta2": 0.9, "betas": (0.8, 0.9)}], lr=0.1)


@pytest.mark.parametrize(("name", "form"), [(name, form) for name in OWN for form in forms(name)])
def test_a_sparse_gradient_is_refused_in_a_sentence_and_changes_nothing(name: str, form: bool | None) -> None:
    weight = nn.Parameter(torch.ones(3, 2))
    optimizer = build(name, {"weight": weight}, 0.1)
    set_form(optimizer, form)
    weight.grad = torch.tensor([[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]]).to_sparse(1)
    with pytest.raises(RuntimeError, match=r"not support the sparse gradient of a parameter of shape \(3, 2\)"):
        optimizer.step()
    assert torch.equal(weight.detach(), torch.ones(3, 2))
