"""The measured micro-batch size is the fastest that fits. It is measured once and does not change scores."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from zerotune.trainers import micro_batch
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.data import Dataset, DataSource, divide
from zerotune.trainers.loop import train
from zerotune.trainers.micro_batch import SMALLEST, fastest_micro_batch_size
from zerotune.trainers.recipe import AUTO_NEEDS_GHOSTS
from zerotune.trainers.spec import OptimizerSpec, Placement, Recipe, ScheduleSpec, TrainConfig

CPU = torch.device("cpu")


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Callable[[int], None], list[int]]]:
    """Stand in for a device with given computing times and a given number of samples that fit."""

    def make(seconds: Callable[[int], float], *, fits: int = 10**9) -> tuple[Callable[[int], None], list[int]]:
        clock, tried = [0.0], []
        monkeypatch.setattr(micro_batch, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
        monkeypatch.setattr(micro_batch, "synchronize", lambda device: None)

        def compute(size: int) -> None:
            tried.append(size)
            if size > fits:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            clock[0] += seconds(size)

        return compute, tried

    return make


@pytest.mark.parametrize(
    ("seconds", "fits", "expected"),
    [
        (lambda size: 1.0 + 0.001 * size, 10**9, 1000),
        (lambda size: 1.0 + 0.001 * size, 300, 256),
        (lambda size: size * (1.0 if size <= 64 else 2.0), 10**9, 64),
        (lambda size: size * (1.04 if size > 64 else 1.0), 10**9, 1000),
    ],
    ids=["starting costs most", "memory is short", "larger is slower", "hardly slower is as fast"],
)
def test_the_largest_size_that_fits_and_is_as_fast_as_any_is_chosen(device, seconds, fits: int, expected: int) -> None:
    compute, _ = device(seconds, fits=fits)
    assert fastest_micro_batch_size(compute, batch_size=1000, multiple_of=None, device=CPU) == expected


@pytest.mark.parametrize(
    ("batch_size", "multiple_of", "expected"),
    [(100, None, [16, 32, 64, 100]), (100, 12, [24, 48, 96, 100]), (128, 32, [32, 64, 128]), (10, None, [10])],
)
def test_sizes_are_tried_in_ascending_order_in_whole_ghosts(
    device, batch_size: int, multiple_of: int | None, expected: list[int]
) -> None:
    compute, tried = device(float)
    fastest_micro_batch_size(compute, batch_size=batch_size, multiple_of=multiple_of, device=CPU)
    assert sorted(set(tried)) == expected == list(dict.fromkeys(tried))


def test_no_size_is_tried_above_one_that_did_not_fit(device) -> None:
    compute, tried = device(float, fits=50)
    fastest_micro_batch_size(compute, batch_size=1000, multiple_of=None, device=CPU)
    assert max(tried) == 64


def test_on_a_cpu_no_size_is_tried_that_would_exceed_the_memory_budget(device, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system would kill the process. A sample takes 10 bytes on top of the 1,000 already held."""
    compute, tried = device(float)
    monkeypatch.setattr(micro_batch, "resident_bytes", lambda: 1_000 + 10 * max(tried, default=0))
    monkeypatch.setattr(micro_batch, "memory_budget_bytes", lambda: 2_000.0)
    assert fastest_micro_batch_size(compute, batch_size=1000, multiple_of=None, device=CPU) == 64
    assert max(tried) == 64
    on_gpu = fastest_micro_batch_size(compute, batch_size=1000, multiple_of=None, device=torch.device("cuda:0"))
    assert on_gpu == 1000, "a GPU says so itself"


def test_memory_kept_from_an_earlier_training_does_not_hide_what_a_sample_needs(
    device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 5,000 bytes kept, no size up to 512 samples needs more than is already held."""
    compute, tried = device(float)
    kept = [5_000]
    monkeypatch.setattr(micro_batch, "release_freed_memory", kept.clear)
    monkeypatch.setattr(micro_batch, "resident_bytes", lambda: 1_000 + max([10 * max(tried, default=0), *kept]))
    monkeypatch.setattr(micro_batch, "memory_budget_bytes", lambda: 2_000.0)
    assert fastest_micro_batch_size(compute, batch_size=1000, multiple_of=None, device=CPU) == 64
    assert max(tried) == 64


def test_an_error_of_another_kind_is_raised(device) -> None:
    compute, _ = device(float)

    def fails(size: int) -> None:
        compute(size)
        if size > 64:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        fastest_micro_batch_size(fails, batch_size=1000, multiple_of=None, device=CPU)


def test_the_error_is_raised_if_not_even_the_smallest_size_fits(device) -> None:
    compute, _ = device(float, fits=SMALLEST - 1)
    with pytest.raises(torch.OutOfMemoryError):
        fastest_micro_batch_size(compute, batch_size=1000, multiple_of=None, device=CPU)


# -- in a training -----------------------------------------------------------------------------------------------------


def load(folder: str | None) -> Dataset:
    inputs = torch.randn(300, 8, generator=torch.Generator().manual_seed(0))
    train_, validation, test = divide((inputs, (inputs.sum(dim=1) > 0).long()), (0.6, 0.2, 0.2))
    return Dataset(train=train_, validation=validation, test=test)


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Configure a linear model on 180 samples at batch size 100; another application name has batch normalisation."""
    plain = replace(
        APPLICATIONS["lenet_mnist"], build_model=lambda: nn.Linear(8, 2), data_sources={"drawn": DataSource(load=load)}
    )
    normalised = replace(plain, build_model=lambda: nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 2)))
    monkeypatch.setitem(APPLICATIONS, "plain", plain)
    monkeypatch.setitem(APPLICATIONS, "normalised", normalised)
    monkeypatch.setattr(micro_batch, "_found", {})
    return TrainConfig(
        application="plain",
        data="drawn",
        batch_size=100,
        epochs=2,
        seed=1,
        optimizer=OptimizerSpec(name="momentum"),
        schedule=ScheduleSpec(peak_lr=0.1),
        recipe=Recipe(precision="float64", micro_batch_size="auto"),
    )


def found(monkeypatch: pytest.MonkeyPatch, size: int) -> list[int]:
    """Replace the measurement by a fixed result; the returned list grows with every measurement."""
    measured: list[int] = []

    def fastest(compute: Callable[[int], None], *, batch_size: int, **_: object) -> int:
        compute(batch_size)
        measured.append(batch_size)
        return size

    monkeypatch.setattr(micro_batch, "fastest_micro_batch_size", fastest)
    return measured


def test_measured_micro_batches_train_as_the_whole_batch_and_are_reported(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(monkeypatch, 30)
    split, whole = train(config), train(replace(config, recipe=Recipe(precision="float64")))
    assert (split.micro_batch_size, whole.micro_batch_size) == (30, None)
    assert split.epochs[-1].train_loss == pytest.approx(whole.epochs[-1].train_loss, rel=1e-12)
    assert split.test_loss == pytest.approx(whole.test_loss, rel=1e-12)


def test_the_size_is_measured_once_a_process_for_all_seeds_and_schedules(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = found(monkeypatch, 30)
    for seed, peak_lr in ((1, 0.1), (2, 0.2)):
        train(replace(config, seed=seed, schedule=ScheduleSpec(peak_lr=peak_lr)))
    assert measured == [100]
    train(replace(config, batch_size=90))
    assert measured == [100, 90]


def test_a_real_measurement_does_not_change_the_training(config: TrainConfig) -> None:
    auto = train(replace(config, recipe=Recipe(micro_batch_size="auto")), Placement())
    assert auto.micro_batch_size in (16, 32, 64, 100)
    stated = train(replace(config, recipe=Recipe(micro_batch_size=auto.micro_batch_size)), Placement())
    assert [epoch.train_loss for epoch in auto.epochs] == [epoch.train_loss for epoch in stated.epochs]


def test_batch_normalisation_needs_ghosts(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="recipe: micro_batch_size 'auto' needs ghost_batch_size") as refused:
        train(replace(config, application="normalised"))
    assert AUTO_NEEDS_GHOSTS in str(refused.value)
    found(monkeypatch, 40)
    ghosts = Recipe(precision="float64", ghost_batch_size=20, micro_batch_size="auto")
    assert train(replace(config, application="normalised", recipe=ghosts)).micro_batch_size == 40
