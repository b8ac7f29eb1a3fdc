"""Trainings in a pack give the results of training alone; others are refused with the reason."""

import math
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.data import Dataset, DataSource, divide
from zerotune.trainers.loop import Training, train
from zerotune.trainers.packing import benchmark, packed_training
from zerotune.trainers.packing.benchmark import PackSpeed, measure_packs
from zerotune.trainers.packing.packed_training import PackedTraining, pack_key, pack_problem
from zerotune.trainers.spec import DecaySpec, OptimizerSpec, OptionValue, Placement, Recipe, ScheduleSpec, TrainConfig

EXACT = Recipe(precision="float64")


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.linear = nn.Linear(64, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.linear(torch.relu(self.conv(images)).flatten(1))
        return logits


def load(folder: str | None, size: int = 6) -> Dataset:
    images = torch.randn(500, 1, size, size, generator=torch.Generator().manual_seed(0))
    labels = images.mean(dim=(1, 2, 3)).mul(6).round().long().clamp(-1, 1) + 1
    train, validation, test = divide((images, labels), (0.6, 0.2, 0.2))
    return Dataset(train=train, validation=validation, test=test)


SMALL = replace(
    APPLICATIONS["lenet_mnist"],
    build_model=Small,
    data_sources={"drawn": DataSource(load=load), **APPLICATIONS["lenet_mnist"].data_sources},
)
LENET = replace(
    APPLICATIONS["lenet_mnist"], data_sources={"drawn": DataSource(load=lambda folder: load(folder, size=28))}
)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(APPLICATIONS, "small", SMALL)
    monkeypatch.setitem(APPLICATIONS, "lenet", LENET)


def config(
    optimizer: str = "momentum", *, lr: float = 0.02, seed: int = 1, recipe: Recipe = EXACT, **options: OptionValue
) -> TrainConfig:
    """Return a small model's training on 300 images, a number that the batch size does not divide."""
    return TrainConfig(
        application="small",
        data="drawn",
        batch_size=70,
        epochs=2,
        seed=seed,
        optimizer=OptimizerSpec(name=optimizer, options=options),
        schedule=ScheduleSpec(peak_lr=lr, warmup_epochs=0.5, decay=DecaySpec(name="poly", options={"power": 2.0})),
        recipe=recipe,
    )


PACKS = {
    "momentum, three learning rates": [config(lr=0.01), config(lr=0.05), config(lr=0.2)],
    "lars, three seeds": [config("lars", lr=5.0, seed=1), config("lars", lr=5.0, seed=2), config("lars", seed=3)],
    "lamb, clipped": [config("lamb", recipe=replace(EXACT, clip_norm=0.5), seed=seed) for seed in (4, 4)],
    "date, smoothed labels": [
        config("date", lr=lr, recipe=replace(EXACT, label_smoothing=0.1), ratio_high=10.0) for lr in (0.001, 0.01)
    ],
    "LeNet, two learning rates": [replace(config(lr=lr), application="lenet", epochs=1) for lr in (0.01, 0.2)],
}


@pytest.mark.parametrize("name", PACKS)
def test_trainings_in_a_pack_give_the_results_of_training_alone(name: str) -> None:
    pack = PackedTraining(PACKS[name], Placement())
    while pack.running:
        pack.run_epoch()
    for alone, packed in zip(map(train, PACKS[name]), pack.results(), strict=True):
        assert (packed.status, packed.num_parameters) == ("finished", alone.num_parameters)
        assert (packed.test_score, packed.validation_score) == (alone.test_score, alone.validation_score)
        assert packed.test_loss == pytest.approx(alone.test_loss, rel=1e-9)
        for one, other in zip(alone.epochs, packed.epochs, strict=True):
            assert other.train_loss == pytest.approx(one.train_loss, rel=1e-9)
            assert other.validation_loss == pytest.approx(one.validation_loss, rel=1e-9)
            for exact in ("epoch", "lr", "iterations", "samples", "flops", "words", "validation_score"):
                assert getattr(other, exact) == getattr(one, exact)


def test_a_diverged_training_leaves_the_pack_and_the_others_continue_as_alone() -> None:
    configs = [config(lr=0.02), config(lr=1e200), config(lr=0.05)]
    pack = PackedTraining(configs, Placement())
    pack.run_epoch()
    assert pack.running == (0, 2)
    pack.run_epoch()
    first, diverged, last = pack.results()
    assert (diverged.status, len(diverged.epochs), diverged.test_score) == ("diverged", 1, SMALL.chance_score)
    for index, packed in ((0, first), (2, last)):
        alone = train(configs[index])
        assert packed.epochs[-1].train_loss == pytest.approx(alone.epochs[-1].train_loss, rel=1e-9)
        assert packed.test_score == alone.test_score


@pytest.mark.parametrize(
    ("peaks", "updates"),
    [([0.05, 50.0, 1e3, 1e5], [150, 150, 100, 50]), ([1e5, 1e3], [50, 100])],
    ids=["one goes on", "all diverge"],
)
def test_a_training_that_diverges_within_an_epoch_is_charged_and_reported_as_alone(
    peaks: list[float], updates: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 150 updates an epoch, each training makes those up to the check that finds its loss not finite."""
    configs = [replace(config(lr=lr), batch_size=2, epochs=1) for lr in peaks]
    alone = [train(each) for each in configs]
    assert [result.epochs[0].iterations for result in alone] == updates
    pack, steps = PackedTraining(configs, Placement()), []
    step = pack._optimizer.step
    monkeypatch.setattr(pack._optimizer, "step", lambda: steps.append(step()))
    pack.run_epoch()
    assert (len(steps), pack.running, pack.unfinished) == (max(updates), (), (0, 0))
    for one, packed in zip(alone, pack.results(), strict=True):
        assert (packed.status, packed.test_score) == (one.status, one.test_score)
        (first,), (other,) = one.epochs, packed.epochs
        assert other.train_loss == pytest.approx(first.train_loss, rel=1e-9, nan_ok=True)
        assert other.validation_loss == pytest.approx(first.validation_loss, rel=1e-9, nan_ok=True)
        for exact in ("lr", "iterations", "samples", "flops", "words", "validation_score", "other_scores"):
            assert getattr(other, exact) == getattr(first, exact)
        assert other.device_seconds == pack.results()[0].epochs[0].device_seconds


def test_a_pruned_training_leaves_the_pack() -> None:
    pack = PackedTraining([config(), config(lr=0.05)], Placement())
    pack.run_epoch()
    pack.remove(0)
    pack.run_epoch()
    assert [len(result.epochs) for result in pack.results()] == [1, 2]
    assert [result.status for result in pack.results()] == ["running", "finished"]
    assert pack.running == ()
    with pytest.raises(RuntimeError, match="no epoch is left to run"):
        pack.run_epoch()


def test_the_seconds_of_a_pack_are_divided_among_its_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    pack = PackedTraining([config(), config(lr=1e200), config(lr=0.05)], Placement())
    clock = iter([100.0, 106.0, 200.0, 210.0])  # the begin and the end of each epoch
    monkeypatch.setattr(packed_training, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    while pack.running:
        pack.run_epoch()
    seconds = [[epoch.device_seconds for epoch in result.epochs] for result in pack.results()]
    assert seconds == [[2.0, 5.0], [2.0], [2.0, 5.0]]


def test_trainings_of_one_pack_differ_in_schedule_and_seed_only() -> None:
    assert pack_key(config(lr=0.1, seed=1)) == pack_key(config(lr=0.2, seed=2))
    with pytest.raises(ValueError, match="may differ in schedule and seed only"):
        PackedTraining([config(), config(momentum=0.5)], Placement())


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (config("prodigy"), "optimizer 'prodigy' sets its own learning rate"),
        (config(recipe=Recipe(micro_batch_size=100)), "its recipe has bfloat16, micro-batches or ghost batches"),
        (replace(config(), application="lstm_mnist", data="mnist5k"), "its model is recurrent"),
        (
            replace(config(), application="resnet50_cifar10", data="cifar10"),
            "its model keeps statistics, as batch normalisation does",
        ),
    ],
    ids=["parameter-free", "micro-batches", "recurrent", "batch normalisation"],
)
def test_a_training_that_cannot_be_packed_is_refused_with_the_reason(refused: TrainConfig, reason: str) -> None:
    assert pack_problem(refused) == reason
    with pytest.raises(ValueError, match="this training cannot be packed: "):
        PackedTraining([refused], Placement())


class ReadsAValueBack(nn.Module):
    """Branches on its input, which torch.func cannot stack."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(36, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.linear(images.flatten(1))
        return logits if bool(logits.sum() > 0) else logits * 2


class KnowsItsPack(nn.Module):
    """Computes something else when it is stacked."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(36, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.linear(images.flatten(1))
        return logits * 2 if torch._C._functorch.is_batchedtensor(self.linear.weight) else logits


@pytest.mark.parametrize(
    ("model", "reason"),
    [(ReadsAValueBack, "torch.func cannot stack its model"), (KnowsItsPack, "differ in a pack from those of training")],
)
def test_a_model_whose_results_differ_in_a_pack_is_not_packed(
    model: type[nn.Module], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = replace(SMALL, build_model=model)
    monkeypatch.setitem(APPLICATIONS, "oddity", odd)
    speed = measure_packs(replace(config(), application="oddity"), Placement(), sizes=(2,))
    assert speed.best == 1
    assert reason in speed.problem


def test_speeds_are_measured_without_changing_trainings() -> None:
    training = Training(config(), Placement())
    before = torch.get_rng_state()
    speed = measure_packs(config(), Placement(), sizes=(2,))
    assert list(speed.packed) == [2]
    assert all(0 < seconds < math.inf for seconds in (speed.alone, *speed.packed.values()))
    assert torch.equal(torch.get_rng_state(), before)
    assert training.run_epoch().train_loss == train(config()).epochs[0].train_loss


@pytest.mark.parametrize(
    ("packed", "best", "gain"),
    [({}, 1, 1.0), ({2: 1.2, 4: 0.95}, 1, 1.0), ({2: 1.2, 4: 0.5}, 4, 2.0), ({4: 0.5, 8: 0.25, 16: 0.24}, 8, 4.0)],
    ids=["none measured", "not worth it", "a gain", "a twentieth more is no reason to grow"],
)
def test_the_best_pack_is_the_smallest_that_is_nearly_the_fastest(
    packed: dict[int, float], best: int, gain: float
) -> None:
    speed = PackSpeed(device="", alone=1.0, packed=packed)
    assert (speed.best, speed.gain) == (best, gain)


class Device:
    """Stand in for a device: an update takes given seconds, in a pack half of that a model; an epoch has 4 updates."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, seconds: float) -> None:
        self.fits: Callable[[int], None] = lambda size: None
        """Called with the size of a pack that starts; may raise."""
        monkeypatch.setattr(Training, "time_updates", lambda training, number: seconds * min(number, 4))

        def time_pack(pack: PackedTraining, number: int) -> float:
            self.fits(len(pack.configs))
            return 0.5 * seconds * len(pack.configs) * min(number, 4)

        monkeypatch.setattr(benchmark, "_find_difference", lambda config, placement: None)
        monkeypatch.setattr(PackedTraining, "time_updates", time_pack)


def test_an_epoch_with_few_updates_does_not_make_training_alone_look_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """300 images make 4 whole batches, while a round would take 50 updates of this time."""
    Device(monkeypatch, seconds=0.001)
    speed = measure_packs(config(), Placement(), sizes=(2, 4))
    assert speed.alone == pytest.approx(0.001)
    assert speed.packed == pytest.approx({2: 0.0005, 4: 0.0005})


def test_a_pack_that_does_not_fit_into_memory_keeps_the_smaller_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    def fits(size: int) -> None:
        if size > 2:
            raise MemoryError

    Device(monkeypatch, seconds=0.001).fits = fits
    assert list(measure_packs(config(), Placement(), sizes=(2, 4, 8)).packed) == [2]


def test_another_error_of_a_pack_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fits(size: int) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    Device(monkeypatch, seconds=0.001).fits = fits
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        measure_packs(config(), Placement(), sizes=(2,))
