"""A checkpoint saves work, and no damage to it loses the training."""

import logging
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainers.small_trainings import LENET
from zerotune.trainers.checkpoint import INTERVAL_SECONDS, CheckpointClock, write_checkpoint
from zerotune.trainers.loop import Training, train
from zerotune.trainers.spec import Placement, Recipe, ScheduleSpec, TrainConfig, TrainResult

CONFIG = replace(LENET, batch_size=3_000, epochs=3, schedule=ScheduleSpec(peak_lr=0.02))


def losses(result: TrainResult) -> list[float]:
    return [epoch.train_loss for epoch in result.epochs]


@pytest.fixture(scope="module")
def whole() -> TrainResult:
    """Return the result of an uninterrupted training."""
    return train(CONFIG)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the content of a checkpoint of the training after its first epoch."""
    path = tmp_path_factory.mktemp("checkpoint") / "training.pt"
    train(CONFIG, Placement(checkpoint=str(path), checkpoint_seconds=0), report=lambda metrics: False)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path, saved: bytes) -> Path:
    """Return that checkpoint, in a file of the test's own."""
    path = tmp_path / "training.pt"
    path.write_bytes(saved)
    return path


def resumed_epochs(config: TrainConfig, path: Path) -> int:
    return Training(config, Placement(checkpoint=str(path))).result().resumed_epochs


def flipped(content: bytes) -> bytes:
    """Change one byte in the middle, which belongs to a weight."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:-1_000], flipped, lambda content: b"garbage", lambda content: b""],
    ids=["cut short", "flipped", "garbage", "empty"],
)
def test_a_damaged_checkpoint_is_ignored(damage: Callable[[bytes], bytes], path: Path) -> None:
    assert resumed_epochs(CONFIG, path) == 1
    path.write_bytes(damage(path.read_bytes()))
    assert resumed_epochs(CONFIG, path) == 0


class Runs:
    """Create a directory if the checkpoint is unpickled like any pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("was-run",)


def state_of(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


def without_weight(content: dict[str, Any]) -> None:
    weights = content["state"]["model"]
    first, *others = weights
    del weights[first]
    for name in others:
        weights[name] += 1.0


def of_another_version(content: dict[str, Any]) -> None:
    content["state"]["progress"]["an_older_field"] = 1


def with_another_group(content: dict[str, Any]) -> None:
    content["state"]["optimizer"]["param_groups"].append({})


@pytest.mark.parametrize("change", [without_weight, of_another_version, with_another_group])
def test_a_checkpoint_that_does_not_fit_is_ignored_with_a_warning_and_nothing_of_it_stays(
    change: Callable[[dict[str, Any]], None], path: Path, whole: TrainResult, caplog: pytest.LogCaptureFixture
) -> None:
    content = state_of(path)
    change(content)
    torch.save(content, path)
    with caplog.at_level(logging.WARNING, logger="zerotune.trainers.checkpoint"):
        result = train(CONFIG, Placement(checkpoint=str(path)))
    assert (result.status, result.resumed_epochs) == ("finished", 0)
    assert losses(result) == losses(whole)
    (record,) = caplog.records
    assert f"{path}: this checkpoint does not fit" in record.getMessage()
    assert record.getMessage().endswith("the training starts anew.")


def test_a_checkpoint_that_holds_code_is_ignored_and_the_code_not_run(
    path: Path, whole: TrainResult, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(path.parent)
    torch.save({**state_of(path), "more": Runs()}, path)
    result = train(CONFIG, Placement(checkpoint=str(path)))
    assert losses(result) == losses(whole)
    assert not Path("was-run").exists()
    assert "not a readable checkpoint" in caplog.text


def test_a_folder_at_the_checkpoints_path_costs_only_the_checkpoints(
    tmp_path: Path, whole: TrainResult, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "training.pt"
    path.mkdir()
    result = train(CONFIG, Placement(checkpoint=str(path), checkpoint_seconds=0))
    assert (result.status, losses(result)) == ("finished", losses(whole))
    assert "the checkpoint cannot be written (Is a directory): the training continues without it." in caplog.text
    assert [path] == list(tmp_path.iterdir())


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Limit files to `size` bytes in this block, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("size", [0, 100_000])
def test_a_full_disk_ends_no_training_and_leaves_no_partial_file(
    size: int, tmp_path: Path, whole: TrainResult, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "training.pt"
    with full_disk(size):
        result = train(CONFIG, Placement(checkpoint=str(path), checkpoint_seconds=0))
    assert (result.status, losses(result)) == ("finished", losses(whole))
    assert f"{path}: the checkpoint cannot be written" in caplog.text
    assert [] == list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_previous_checkpoint(path: Path) -> None:
    before = path.read_bytes()
    training = Training(CONFIG, Placement(checkpoint=str(path), checkpoint_seconds=0))
    with full_disk(len(before) // 2):
        training.run_epoch()
    assert before == path.read_bytes()
    assert [path] == list(path.parent.iterdir())
    assert resumed_epochs(CONFIG, path) == 1


def test_an_interrupted_write_leaves_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "training.pt"
    write_checkpoint(path, "a", {"epoch": 1})
    before = path.read_bytes()

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(path, "a", {"epoch": 2})
    assert (before, [path]) == (path.read_bytes(), list(tmp_path.iterdir()))


@pytest.mark.parametrize("change", [{"seed": 1}, {"recipe": Recipe(clip_norm=1.0)}], ids=["seed", "recipe"])
def test_the_checkpoint_of_another_training_is_ignored_with_a_warning(
    change: dict[str, Any], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert resumed_epochs(replace(CONFIG, **change), path) == 0
    assert "the checkpoint of another training: this one starts anew." in caplog.text


def test_checkpoints_take_a_hundredth_of_the_time_within_bounds(monkeypatch: pytest.MonkeyPatch):
    now = 1_000.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    clock = CheckpointClock(None)
    for took, wait in ((0.001, INTERVAL_SECONDS[0]), (0.1, 10.0), (5.0, INTERVAL_SECONDS[1])):
        with clock.time_write():
            now += took
        now += 0.99 * wait
        assert not clock.is_due()
        now += 0.02 * wait
        assert clock.is_due()


def test_a_failed_write_is_not_repeated_at_once(monkeypatch: pytest.MonkeyPatch):
    now = 1_000.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    clock = CheckpointClock(30.0)
    now += 31.0
    assert clock.is_due()
    with pytest.raises(OSError, match="disk full"), clock.time_write():
        raise OSError("disk full")
    assert not clock.is_due()
