"""Identity of data: equal files and numbers have equal identities, and every change is detected."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from zerotune.trainers.data import Dataset, divide
from zerotune.trainers.data import identity as module
from zerotune.trainers.data.identity import content_identity, folder_identity
from zerotune.trainers.data.loaded import LoadedSplit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("train/cat/1.jpeg", "train/dog/1.jpeg", "labels.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file is longer": lambda folder: (folder / "labels.txt").write_text("labels.txt and more"),
    "a file is newer": lambda folder: os.utime(folder / "labels.txt", (1, 1)),
    "a file is gone": lambda folder: (folder / "labels.txt").unlink(),
    "a class is new": lambda folder: (folder / "train" / "bird").mkdir(),
    "a class has one more image": lambda folder: (folder / "train" / "cat" / "2.jpeg").write_text("2"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_folder_is_another(folder: Path, change: str) -> None:
    before = folder_identity(str(folder))
    assert before == folder_identity(str(folder)) is not None
    CHANGES[change](folder)
    assert folder_identity(str(folder)) != before


def test_a_folder_is_the_same_by_whatever_name(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path_factory.mktemp("elsewhere") / "link"
    link.symlink_to(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ZEROTUNE_DATA", str(folder))
    assert {folder_identity(name) for name in (str(folder), str(link), ".", None)} == {folder_identity(str(folder))}


def test_without_a_folder_the_data_are_the_sources_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZEROTUNE_DATA", raising=False)
    assert folder_identity(None) == "own"


def test_what_cannot_be_read_or_holds_too_much_is_not_identified(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder_identity(str(folder / "nowhere")) is None
    monkeypatch.setattr(module, "MOST_ENTRIES", 4)
    assert folder_identity(str(folder)) is not None  # labels.txt, train, train/cat and train/dog
    monkeypatch.setattr(module, "MOST_ENTRIES", 3)
    assert folder_identity(str(folder)) is None


def numbers(*, change: int | None = None) -> Dataset:
    inputs = torch.arange(40.0).reshape(20, 2)
    if change is not None:
        inputs[change] += 1
    train, validation, test = divide((inputs, torch.arange(20) % 2), (0.6, 0.2, 0.2))
    return Dataset(train=train, validation=validation, test=test, info={"num_classes": 2})


def test_samples_in_memory_are_identified_by_their_numbers() -> None:
    same = content_identity(numbers())
    others = [content_identity(numbers(change=sample)) for sample in range(20)]
    others.append(content_identity(replace(numbers(), info={"num_classes": 3})))
    assert content_identity(numbers()) == same
    assert len({same, *others}) == 1 + len(others)


def test_samples_that_are_loaded_while_training_are_not_identified() -> None:
    data = numbers()
    loaded = LoadedSplit([(torch.zeros(2), 0)] * 4, num_workers=0)
    assert content_identity(replace(data, test=loaded)) is None
