"""Samples loaded during training are the same no matter who loads them, and when."""

import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zerotune.trainers.applications import APPLICATIONS, Application
from zerotune.trainers.applications.classification import cross_entropy, num_correct
from zerotune.trainers.data import Batch, DataError, Dataset, DataSource
from zerotune.trainers.data.loaded import CHUNK_SIZE, LoadedSplit
from zerotune.trainers.loop import Training, train
from zerotune.trainers.spec import OptimizerSpec, Placement, ScheduleSpec, TrainConfig, TrainResult

NUM_SAMPLES = 150


class Noisy:
    """Samples of their position and three random numbers, one from each kind of generator."""

    def __len__(self) -> int:
        return NUM_SAMPLES

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        numbers = [position, torch.rand(()).item(), np.random.rand(), random.random()]
        return torch.tensor(numbers), position % 3


class Faulty(Noisy):
    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        if position == 77:
            raise DataError("77.JPEG: cannot be read")
        if position == 78:
            raise KeyError("label")
        return super().__getitem__(position)


class Where(Noisy):
    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        return torch.tensor([0.0]), os.getpid()


def epochs_of(split: LoadedSplit, batch_size: int = 70, seed: int = 5, epochs: int = 2) -> list[Batch]:
    keys = [split.order(seed, epoch, epochs=epochs, batch_size=batch_size)[2] for epoch in range(1, epochs + 1)]
    return [batch for order in keys for batch in split.batches(torch.split(order, batch_size))]


def stream(batches: list[Batch]) -> Tensor:
    return torch.cat([inputs for inputs, _ in batches])


@pytest.mark.parametrize("num_workers", [1, 2])
def test_any_number_of_workers_loads_the_same_batches(num_workers: int) -> None:
    alone, shared = (epochs_of(LoadedSplit(Noisy(), num_workers=workers)) for workers in (0, num_workers))
    assert [len(targets) for _, targets in alone] == [70, 70, 70, 70, 20]
    assert [torch.equal(*inputs) for inputs in zip(*([x for x, _ in run] for run in (alone, shared)), strict=True)] == [
        True
    ] * 5
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(alone, shared, strict=True))


def test_a_samples_noise_belongs_to_its_place_in_the_stream_not_to_its_batch() -> None:
    split = LoadedSplit(Noisy(), num_workers=0)
    assert torch.equal(stream(epochs_of(split, batch_size=70)), stream(epochs_of(split, batch_size=32)))


def test_noise_is_drawn_anew_for_every_sample_epoch_and_seed() -> None:
    split = LoadedSplit(Noisy(), num_workers=0)
    drawn = torch.cat([stream(epochs_of(split, seed=seed)) for seed in (5, 6)])[:, 1:]
    assert [len(column.unique()) for column in drawn.T] == [4 * NUM_SAMPLES] * 3
    independent = torch.corrcoef(drawn.T) - torch.eye(3)
    assert independent.abs().max() < 0.15  # 600 draws: a standard error of 0.04


@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_training_process_keeps_its_random_state(num_workers: int) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    epochs_of(LoadedSplit(Noisy(), num_workers=num_workers))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]


def test_every_evaluation_sees_the_same_samples_in_order() -> None:
    split = LoadedSplit(Noisy(), num_workers=0, evaluation_batch=40)
    first, second = (list(split.batches(split.evaluation_keys())) for _ in range(2))
    assert [len(targets) for _, targets in first] == [40, 40, 40, 30]
    assert stream(first)[:, 0].tolist() == list(range(NUM_SAMPLES))
    assert torch.equal(stream(first), stream(second))


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize(
    ("position", "sentence"),
    [(77, "77.JPEG: cannot be read"), (78, "sample 78: KeyError: 'label' (at test_loaded.py:")],
)
def test_a_sample_that_cannot_be_loaded_is_named_and_the_next_can_be(
    num_workers: int, position: int, sentence: str
) -> None:
    split = LoadedSplit(Faulty(), num_workers=num_workers)
    with pytest.raises(DataError) as caught:
        list(split.batches([torch.tensor([[3, 3], [position, 0]]), torch.tensor([[4, 4]])]))
    assert str(caught.value).startswith(sentence)
    assert [targets.tolist() for _, targets in split.batches([torch.tensor([[4, 4]])])] == [[1]]


class WithHole(Noisy):
    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        inputs, target = super().__getitem__(position)
        return (inputs.index_fill(0, torch.tensor(2), torch.inf) if position == 77 else inputs), target


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_sample_with_a_number_that_is_not_finite_is_named(num_workers: int) -> None:
    split = LoadedSplit(WithHole(), num_workers=num_workers)
    with pytest.raises(DataError, match=r"^the data: sample 77 \(counted from 0\) is inf at index \(2,\): remove such"):
        epochs_of(split)


def test_workers_are_kept_from_epoch_to_epoch_and_shared_by_all_forms_of_a_split() -> None:
    split = LoadedSplit(Where(), num_workers=2)
    keys = [torch.zeros(4 * CHUNK_SIZE, 2, dtype=torch.int64)]
    loaders = [set(next(form.batches(keys))[1].tolist()) for form in (split, split, split.double())]
    assert loaders == [loaders[0]] * 3
    assert len(loaders[0]) == 2
    assert os.getpid() not in loaders[0]


def test_new_batches_end_those_that_were_going_on() -> None:
    split = LoadedSplit(Noisy(), num_workers=1)
    old = split.batches([torch.tensor([[1, 1]])] * 9)
    next(old)
    assert next(split.batches([torch.tensor([[2, 2]])]))[1].tolist() == [2]
    with pytest.raises(RuntimeError, match="ended because other batches"):
        next(old)


def test_by_default_all_cores_of_a_trial_but_one_load(monkeypatch: pytest.MonkeyPatch) -> None:
    split = LoadedSplit(Where())
    keys = [torch.zeros(4 * CHUNK_SIZE, 2, dtype=torch.int64)]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert set(next(split.batches(keys))[1].tolist()) == {os.getpid()}
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert len(set(next(split.batches(keys))[1].tolist()) - {os.getpid()}) == 2


class Pair(NamedTuple):
    first: Tensor
    second: Tensor


class NoisyPairs(Noisy):
    def __getitem__(self, position: int) -> tuple[Any, int]:
        return Pair(torch.full((2,), float(position)), torch.tensor(position)), position


def test_named_inputs_are_put_together_from_pieces_of_all_workers() -> None:
    num_keys = 2 * CHUNK_SIZE + 5
    keys = torch.arange(num_keys).unsqueeze(1).expand(-1, 2)
    inputs, targets = next(LoadedSplit(NoisyPairs(), num_workers=2).double().batches([keys]))
    assert (inputs.first.shape, inputs.first.dtype) == ((num_keys, 2), torch.float64)
    assert inputs.second.tolist() == targets.tolist() == list(range(num_keys))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_collate_of_the_users_sees_whole_batches(num_workers: int) -> None:
    def collate(samples: list[Any]) -> Batch:
        return torch.full((len(samples),), float(len(samples))), torch.tensor([target for _, target in samples])

    split = LoadedSplit(Noisy(), collate=collate, num_workers=num_workers)
    inputs, _ = next(split.batches([torch.zeros(CHUNK_SIZE + 9, 2, dtype=torch.int64)]))
    assert inputs.tolist() == [CHUNK_SIZE + 9.0] * (CHUNK_SIZE + 9)


def test_inputs_are_prepared_after_loading_and_typical_samples_too() -> None:
    split = LoadedSplit(Noisy(), prepare=lambda inputs: -inputs, num_workers=1)
    assert next(split.batches([torch.tensor([[7, 0]])]))[0][0, 0] == -7.0
    inputs, targets = split.example_batch()
    assert (inputs[:, 0].tolist(), targets.tolist()) == ([0.0, -1.0], [0, 1])


def test_a_copy_in_another_process_loads_the_same() -> None:
    split = LoadedSplit(Noisy(), num_workers=1)
    batches = epochs_of(split)
    copied = pickle.loads(pickle.dumps(split))
    assert torch.equal(stream(epochs_of(copied)), stream(batches))


SCRIPT = """
import os
import torch
from zerotune.trainers.data.loaded import LoadedSplit
split = LoadedSplit([(torch.zeros(1), i) for i in range(99)], num_workers=2)
batches = split.batches(split.evaluation_keys())
next(batches)
os.write(1, b"ended")
"""


def test_a_process_that_had_workers_ends_in_silence() -> None:
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ended", "")


def noisy_source(num_workers: int) -> DataSource:
    def load(folder: str | None) -> Dataset:
        train_split, other = (LoadedSplit(Noisy(), num_workers=workers) for workers in (num_workers, 0))
        return Dataset(train=train_split, validation=other, test=other)

    return DataSource(load=load, description="noise")


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], TrainConfig]:
    """Return a function of a source name; it configures a training on noisy samples with dropout.

    The source "alone" or "shared" determines who loads the samples.
    """
    application = Application(
        build_model=lambda: nn.Sequential(nn.Dropout(0.3), nn.Linear(4, 3)),
        data_sources={"alone": noisy_source(0), "shared": noisy_source(2)},
        loss=cross_entropy,
        score_sum=num_correct,
        metric="accuracy",
        higher_is_better=True,
        chance_score=0.3,
    )
    monkeypatch.setitem(APPLICATIONS, "noise", application)

    def make(source: str) -> TrainConfig:
        return TrainConfig(
            application="noise",
            data=source,
            batch_size=40,
            epochs=3,
            seed=3,
            schedule=ScheduleSpec(peak_lr=0.001),
            optimizer=OptimizerSpec(name="momentum"),
        )

    return make


def learned(result: TrainResult) -> list[tuple[float, float]]:
    return [(epoch.train_loss, epoch.validation_loss) for epoch in result.epochs]


def test_a_training_learns_the_same_whoever_loads(config: Callable[[str], TrainConfig]) -> None:
    alone, shared = (learned(train(config(source))) for source in ("alone", "shared"))
    assert alone == shared
    assert len(alone) == 3


@pytest.mark.parametrize("source", ["alone", "shared"])
def test_a_resumed_training_equals_an_uninterrupted_one(
    config: Callable[[str], TrainConfig], source: str, tmp_path: Any
) -> None:
    path = tmp_path / "one.pt"
    interrupted = Training(config(source), Placement(checkpoint=str(path), checkpoint_seconds=0.0))
    interrupted.run_epoch()
    resumed = train(config(source), Placement(checkpoint=str(path)))
    assert resumed.resumed_epochs == 1
    assert learned(resumed) == learned(train(config(source)))
