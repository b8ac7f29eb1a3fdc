"""A training starts from the same state of its process, whatever the training before it left changed."""

import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zerotune.trainers.applications import APPLICATIONS, Application
from zerotune.trainers.applications.classification import cross_entropy, num_correct
from zerotune.trainers.data import Dataset, DataSource, divide
from zerotune.trainers.loop import train
from zerotune.trainers.process_state import keep_process_state
from zerotune.trainers.spec import OptimizerSpec, Placement, ScheduleSpec, TrainConfig, TrainResult
from zerotune.tuner.execution.packing import PackRunner
from zerotune.tuner.execution.trial_runner import TrialRunner
from zerotune.tuner.trial import Trial

CONFIG = TrainConfig(
    application="sides",
    data="drawn",
    batch_size=20,
    epochs=2,
    schedule=ScheduleSpec(peak_lr=0.05),
    optimizer=OptimizerSpec(name="momentum"),
    seed=0,
)


def _inside_a_block(block: object) -> Callable[[], None]:
    return lambda: block().__enter__()  # type: ignore[operator]


def _wait_without_gradients() -> None:
    def batches() -> Iterator[int]:
        with torch.no_grad():
            yield 1

    _waiting.append(batches())
    next(_waiting[-1])


_waiting: list[Iterator[int]] = []

POISONS: dict[str, Callable[[], object]] = {
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "default device": lambda: torch.set_default_device("meta"),
    "device block": _inside_a_block(lambda: torch.device("meta")),
    "grad mode": lambda: torch.set_grad_enabled(False),
    "waiting generator": _wait_without_gradients,
    "inference mode": _inside_a_block(torch.inference_mode),
    "autocast": _inside_a_block(lambda: torch.autocast("cpu", dtype=torch.bfloat16)),
    "deterministic algorithms": lambda: torch.use_deterministic_algorithms(True),
    "anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
    "denormals": lambda: torch.set_flush_denormal(True),
    "matmul precision": lambda: torch.set_float32_matmul_precision("medium"),
    "precision of cuDNN": lambda: setattr(torch.backends.cudnn, "allow_tf32", False),
    "newer precision": lambda: setattr(torch.backends.cuda.matmul, "fp32_precision", "tf32"),
    "benchmarks": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "Python's generator": lambda: random.seed(99),
    "NumPy's generator": lambda: np.random.seed(99),
    "torch's generator": lambda: torch.manual_seed(99),
    "NumPy's errors": lambda: np.seterr(all="raise"),
    "warnings": lambda: warnings.simplefilter("error"),
    "folder": lambda: os.chdir("/"),
    "environment": lambda: os.environ.update(ZEROTUNE_POISON="1"),
    "removed variable": lambda: os.environ.pop("PATH"),
    "recursion limit": lambda: sys.setrecursionlimit(5000),
    "signals": lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN),
    "output": lambda: setattr(sys, "stdout", sys.stderr),
}
"""What a training may leave changed in its process."""


def observe() -> list[object]:
    """Return what decides numbers, or what else the next training meets."""
    product = torch.full((2, 2), 1.0 + 2**-12, device="cpu") @ torch.full((2, 2), 1.0 + 2**-12, device="cpu")
    return [
        torch.get_default_dtype(),
        torch.empty(0).device,
        (torch.ones(1, requires_grad=True) * 2).requires_grad,
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        product.dtype,
        torch.are_deterministic_algorithms_enabled(),
        torch.is_anomaly_enabled(),
        (torch.tensor(5e-324, dtype=torch.float64, device="cpu") * 1.0).item(),
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
        random.getstate(),
        np.random.get_state()[1].tolist(),  # type: ignore[index]
        torch.get_rng_state().tolist(),
        np.geterr(),
        list(warnings.filters),
        Path.cwd(),
        dict(os.environ),
        sys.getrecursionlimit(),
        signal.getsignal(signal.SIGUSR2),
        signal.getsignal(signal.SIGINT),
        sys.stdout,
    ]


@pytest.mark.parametrize("poison", POISONS)
def test_what_a_training_changes_in_its_process_is_put_back(poison: str) -> None:
    before = observe()
    with keep_process_state():
        POISONS[poison]()
    assert before == observe()


def load(folder: str | None) -> Dataset:
    inputs = torch.randn(300, 8, generator=torch.Generator().manual_seed(0))
    train, validation, test = divide((inputs, (inputs.sum(dim=1) > 0).long()), (0.6, 0.2, 0.2))
    return Dataset(train=train, validation=validation, test=test)


class Noisy(nn.Linear):
    """A model that draws from every global generator, in training and in evaluation."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) + random.random() + float(np.random.rand()) * torch.rand(2)


class Poisoning(nn.Linear):
    """A model that leaves everything changed."""

    def __init__(self) -> None:
        super().__init__(8, 2)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for name, poison in POISONS.items():
            if name not in ("default device", "device block", "grad mode", "waiting generator", "inference mode"):
                poison()


SIDES = Application(
    build_model=Poisoning,
    data_sources={"drawn": DataSource(load=load)},
    loss=cross_entropy,
    score_sum=num_correct,
    metric="accuracy",
    higher_is_better=True,
    chance_score=0.5,
)


def trial(seed: int) -> Trial:
    config = replace(CONFIG, seed=seed)
    return Trial(study="plane", arm="a", role="search", batch_size=20, index=seed, params={}, config=config)


def numbers(result: TrainResult | None) -> list[object]:
    assert result is not None
    return [(epoch.train_loss, epoch.validation_loss, epoch.validation_score) for epoch in result.epochs]


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Callable[[], TrainResult]:
    """Return a function that trains the second trial alone, by an application that changes nothing."""
    monkeypatch.setitem(APPLICATIONS, "sides", SIDES)

    def alone() -> TrainResult:
        with monkeypatch.context() as inner:
            inner.setitem(APPLICATIONS, "sides", replace(SIDES, build_model=lambda: nn.Linear(8, 2)))
            return train(replace(CONFIG, seed=1))

    return alone


def test_a_poisoned_trial_does_not_change_the_next_one(
    monkeypatch: pytest.MonkeyPatch, poisoned: Callable[[], TrainResult]
) -> None:
    before = observe()
    assert TrialRunner(trial(0), Placement()).advance(60.0).error is None
    monkeypatch.setitem(APPLICATIONS, "sides", replace(SIDES, build_model=lambda: nn.Linear(8, 2)))
    second = TrialRunner(trial(1), Placement()).advance(60.0)
    assert numbers(poisoned()) == numbers(second.training)
    assert before == observe()


def test_a_poisoned_trial_that_fails_or_is_pruned_does_not_change_the_next_one(
    monkeypatch: pytest.MonkeyPatch, poisoned: Callable[[], TrainResult]
) -> None:
    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        raise ValueError("no")

    before = observe()
    pruned = TrialRunner(trial(0), Placement())
    pruned.advance(0.0)
    pruned.discard()
    assert before == observe()
    monkeypatch.setitem(APPLICATIONS, "sides", replace(SIDES, loss=loss))
    assert TrialRunner(trial(0), Placement()).advance(60.0).error is not None
    assert before == observe()


def test_a_poisoned_pack_does_not_change_the_next_training(poisoned: Callable[[], TrainResult]) -> None:
    before = observe()
    pack = PackRunner([trial(0), trial(2)], [Placement(), Placement()])
    while not pack.done:
        pack.advance(60.0)
    assert before == observe()


def test_all_global_generators_follow_the_trainings_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(APPLICATIONS, "sides", replace(SIDES, build_model=lambda: Noisy(8, 2)))
    first = train(CONFIG)
    random.seed(5)
    np.random.seed(5)
    assert numbers(first) == numbers(train(CONFIG))
    assert numbers(first) != numbers(train(replace(CONFIG, seed=1)))
