"""Optimizers of other packages: exact arithmetic, averages, exact resuming, and the error for an absent package."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tests.contracts.optimizer_cases import equal, where_installed
from zerotune.trainers.loop import Training
from zerotune.trainers.optimizers import OPTIMIZERS, build_optimizer
from zerotune.trainers.optimizers.parameter_free import PARAMETER_FREE
from zerotune.trainers.schedules import build_schedule
from zerotune.trainers.spec import OptimizerSpec, OptionValue, Placement, ScheduleSpec, TrainConfig
from zerotune.tuner.commands.list.entries import list_entries
from zerotune.tuner.errors import BadInput
from zerotune.tuner.study import load_study


def packaged(*names: str) -> pytest.MarkDecorator:
    """Parametrize a test over these optimizers; skip each whose package is absent."""
    return pytest.mark.parametrize("name", [where_installed(name) for name in names])


EVERY_ONE = packaged(*PARAMETER_FREE)
DOGS = packaged("dog", "ldog")
SWITCHED = packaged("schedule-free-sgd", "schedule-free-adamw", "dog", "ldog")

LEARNING_RATE = {"schedule-free-adamw": 0.0025}
"""The packages' own learning rates: 1 with one exception."""

LARGE_STEPS: dict[str, OptionValue] = {"d0": 0.01, "reps_rel": 0.01}
"""Initial step sizes that show an effect within three updates."""


def weights() -> list[nn.Parameter]:
    return [nn.Parameter(torch.linspace(-1, 2, 6).reshape(2, 3)), nn.Parameter(torch.linspace(0.5, 1, 3))]


def options_of(name: str, **options: OptionValue) -> dict[str, OptionValue]:
    large = {option: value for option, value in LARGE_STEPS.items() if option in OPTIMIZERS[name].defaults}
    return {**large, **options}


def ours(name: str, params: list[nn.Parameter], lr: float = 1.0, **options: OptionValue) -> Any:
    spec = OptimizerSpec(name=name, options=options_of(name, **options))
    return build_optimizer(spec, [(str(index), param) for index, param in enumerate(params)], lr)


def bare(name: str, params: list[nn.Parameter], **options: OptionValue) -> Any:
    """Build the package's optimizer directly, without this project."""
    entry = PARAMETER_FREE[name]
    return getattr(importlib.import_module(entry.package), entry.optimizer)(params, **options_of(name, **options))


def update(
    optimizer: Optimizer, params: list[nn.Parameter], step: int, after: Callable[[], None] | None = None
) -> None:
    for index, param in enumerate(params):
        param.grad = param.detach() + 0.1 * torch.cos(torch.arange(float(param.numel())).view_as(param) + step + index)
    optimizer.step()
    if after is not None:
        after()


def values(params: list[nn.Parameter]) -> list[Tensor]:
    return [param.detach().clone() for param in params]


@EVERY_ONE
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_three_steps_are_the_packages_bit_for_bit(name: str, weight_decay: float) -> None:
    """With the package's defaults, which are ours too."""
    left, right = weights(), weights()
    lr = LEARNING_RATE.get(name, 1.0)
    optimizer, package = ours(name, left, lr, weight_decay=weight_decay), bare(name, right, weight_decay=weight_decay)
    if hasattr(package, "train"):
        package.train()
    for step in range(3):
        update(optimizer, left, step)
        update(package, right, step)
        assert equal(left, right)
    assert not equal(left, weights())


@packaged("schedule-free-sgd", "schedule-free-adamw")
def test_schedule_free_is_evaluated_at_the_packages_average(name: str) -> None:
    left, right = weights(), weights()
    optimizer, package = ours(name, left, 0.1), bare(name, right, lr=0.1)
    package.train()
    for step in range(5):
        update(optimizer, left, step)
        update(package, right, step)
    optimizer.eval()
    assert not equal(left, right)
    package.eval()
    assert equal(left, right)


@DOGS
def test_dog_is_evaluated_at_the_packages_average_and_trained_at_its_last_weights(name: str) -> None:
    left, right = weights(), weights()
    optimizer, package = ours(name, left), bare(name, right)
    averager = importlib.import_module("dog").PolynomialDecayAverager(nn.ParameterList(right))
    for step in range(5):
        update(optimizer, left, step)
        update(package, right, step, after=averager.step)
        optimizer.eval()
        assert equal(left, list(averager.averaged_model.parameters()))
        optimizer.train()
        assert equal(left, right)
    assert not equal(right, list(averager.averaged_model.parameters()))


@SWITCHED
def test_switching_twice_is_switching_once(name: str) -> None:
    params = weights()
    optimizer = ours(name, params, 0.1)
    optimizer.eval()
    assert equal(params, weights())
    optimizer.train()
    for step in range(3):
        update(optimizer, params, step)
    optimizer.train()
    trained = values(params)
    optimizer.eval()
    evaluated = values(params)
    optimizer.eval()
    assert equal(params, evaluated)
    assert not equal(trained, evaluated)


@SWITCHED
def test_an_update_of_the_weights_that_are_evaluated_is_refused(name: str) -> None:
    params = weights()
    optimizer = ours(name, params, 0.1)
    update(optimizer, params, 0)
    optimizer.eval()
    with pytest.raises(Exception, match=r"train\(\)|not in train mode"):
        update(optimizer, params, 1)


@packaged("schedule-free-sgd", "schedule-free-adamw")
def test_our_linear_warmup_is_schedule_frees_own(name: str) -> None:
    """README of schedulefree: warm up through `warmup_steps`. Here the schedule does the warm-up."""
    spec = ScheduleSpec(peak_lr=0.5, warmup_epochs=4)
    schedule = build_schedule(spec, num_samples=10, batch_size=10, epochs=8)
    left, right = weights(), weights()
    optimizer, package = ours(name, left), bare(name, right, lr=0.5, warmup_steps=4)
    package.train()
    for step in range(8):
        optimizer.param_groups[0]["lr"] = schedule.lr(step + 1)
        update(optimizer, left, step)
        update(package, right, step)
    optimizer.eval()
    package.eval()
    assert all(torch.allclose(a, b, rtol=1e-6, atol=0) for a, b in zip(left, right, strict=True))


@EVERY_ONE
@pytest.mark.parametrize("evaluating", [False, True])
@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))],
)
def test_a_run_resumed_from_its_file_goes_on_bit_for_bit(
    name: str, evaluating: bool, device: str, tmp_path: Path
) -> None:
    """Saved as in a training: the weights and the state, read back without executing anything."""

    def on_device() -> list[nn.Parameter]:
        return [nn.Parameter(weight.detach().to(device)) for weight in weights()]

    def evaluated(optimizer: Any) -> None:
        if evaluating and hasattr(optimizer, "eval"):
            optimizer.eval()

    whole = on_device()
    optimizer = ours(name, whole, 0.1, weight_decay=0.01)
    for step in range(4):
        update(optimizer, whole, step)
    evaluated(optimizer)
    torch.save({"weights": values(whole), "state": optimizer.state_dict()}, tmp_path / "saved")
    saved = torch.load(tmp_path / "saved", weights_only=True)
    second = [nn.Parameter(weight) for weight in saved["weights"]]
    resumed = ours(name, second, 1.0)
    resumed.load_state_dict(saved["state"])
    for continued, params in ((optimizer, whole), (resumed, second)):
        if hasattr(continued, "train"):
            continued.train()
        for step in range(4, 9):
            update(continued, params, step)
    assert equal(whole, second)
    evaluated(optimizer)
    evaluated(resumed)
    assert equal(whole, second)


@EVERY_ONE
def test_the_learning_rate_of_a_step_is_the_schedules(name: str) -> None:
    params, never = weights(), weights()
    optimizer = ours(name, params, 0.0)
    for _ in range(2):
        update(optimizer, params, 0)
    assert equal(params, never)
    optimizer.param_groups[0]["lr"] = 0.1
    for step in range(3):
        update(optimizer, params, step)
    assert not equal(params, never)
    assert all(bool(torch.isfinite(param).all()) for param in params)


@EVERY_ONE
def test_gradients_of_zero_at_first_cost_nothing_later(name: str) -> None:
    params = weights()
    optimizer = ours(name, params, 0.1)
    for param in params:
        param.grad = torch.zeros_like(param)
    optimizer.step()
    assert equal(params, weights())
    for step in range(3):
        update(optimizer, params, step)
    assert not equal(params, weights())
    assert all(bool(torch.isfinite(param).all()) for param in params)


@EVERY_ONE
def test_a_gradient_that_is_not_a_number_makes_the_weights_so_and_raises_nothing(name: str) -> None:
    params = weights()
    optimizer = ours(name, params, 0.1)
    update(optimizer, params, 0)
    for _ in range(2):
        for param in params:
            param.grad = torch.full_like(param, torch.nan)
        optimizer.step()
    assert all(bool(param.isnan().all()) for param in params)


@EVERY_ONE
def test_a_sparse_gradient_is_refused_in_a_sentence(name: str) -> None:
    param = nn.Parameter(torch.ones(3, 2))
    param.grad = torch.ones(3, 2).to_sparse()
    optimizer = ours(name, [param], 0.1)
    with pytest.raises(
        RuntimeError, match=r"does not support the sparse gradient of a parameter of shape \(3, 2\): make it"
    ):
        optimizer.step()


@DOGS
def test_dog_refuses_a_parameter_without_gradient_in_a_sentence(name: str) -> None:
    params = weights()
    optimizer = ours(name, params)
    params[0].grad = torch.ones_like(params[0])
    with pytest.raises(RuntimeError, match="DoG needs a gradient of every parameter: give it only those that the loss"):
        optimizer.step()


@EVERY_ONE
def test_building_prints_nothing(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    ours(name, weights(), weight_decay=0.1)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", PARAMETER_FREE)
def test_an_absent_package_is_a_sentence_that_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package = PARAMETER_FREE[name].package
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=f"optimizer '{name}': needs the package '{package}'.*zerotune.rivals.'"):
        ours(name, weights())


def test_an_absent_package_is_reported_by_its_study_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prodigyopt", None)
    with pytest.raises(BadInput, match=r"rivals\.yaml:\d+: arms\[\d\]\.optimizer: optimizer 'prodigy': needs"):
        load_study("rivals")
    assert load_study("quickstart").name == "quickstart"
    assert "prodigy" in [row[0] for row in list_entries("optimizers")[1]]
    rows = {row[0]: row for row in list_entries("studies")[1]}
    assert "pip install 'zerotune[rivals]'" in rows["rivals"][1]
    assert "Must it be tuned again" in rows["quickstart"][1]


@EVERY_ONE
def test_learns_to_read_digits_and_resumes_bit_for_bit(name: str, tmp_path: Path) -> None:
    """Two epochs of 3,000 images of ten digits, at the package's learning rate.

    Two hundred updates hardly suffice to find the learning rate, so some optimizers take the larger initial value that
    their authors recommend.
    """
    options: dict[str, dict[str, OptionValue]] = {
        "dadapt-sgd": {"momentum": 0.9, "d0": 0.01, "growth_rate": 1.02},
        "dog": {"reps_rel": 1e-4},
        "ldog": {"reps_rel": 1e-4},
    }
    config = TrainConfig(
        application="lenet_mnist",
        data="mnist5k",
        batch_size=32,
        epochs=2,
        schedule=ScheduleSpec(
            peak_lr=LEARNING_RATE.get(name, 1.0), warmup_epochs=0.2 if name.startswith("schedule-free") else 0.0
        ),
        optimizer=OptimizerSpec(name=name, options=options.get(name, {})),
        seed=1,
    )
    whole = Training(config, Placement())
    whole.run_epoch()
    whole.save(tmp_path / "checkpoint")
    whole.run_epoch()
    resumed = Training(config, Placement(checkpoint=str(tmp_path / "checkpoint")))
    resumed.run_epoch()
    result = whole.result()
    assert result.status == "finished"
    assert result.test_score is not None
    assert result.test_score > 0.5
    assert equal(list(whole.model.parameters()), list(resumed.model.parameters()))
    assert resumed.result().test_score == result.test_score
    assert replace(resumed.result().epochs[1], device_seconds=0.0) == replace(result.epochs[1], device_seconds=0.0)
