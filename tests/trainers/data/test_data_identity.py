"""Identity of data: equal files and numbers have equal identities, and every change is detected."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch

from zerotune.trainers.data import Dataset, divide
from zerotune.trainers.data import identity as module
from zerotune.trainers.data.data_folder import find_folder, located_folders
from zerotune.trainers.data.identity import content_identity, folder_identity, is_complete, is_other_content
from zerotune.trainers.data.loaded import LoadedSplit
from zerotune.trainers.data.windows import WindowSplit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("train/cat/1.jpeg", "train/dog/1.jpeg", "labels.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file is longer": lambda folder: (folder / "labels.txt").write_text("labels.txt and more"),
    "a file of the same size": lambda folder: (folder / "labels.txt").write_text("LABELS.txt"),
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


def loaded(labels: list[int], *, noise: bool = False) -> Dataset:
    """Return data that are loaded while training, the inputs drawn anew at every call if `noise`."""

    class Samples:
        def __len__(self) -> int:
            return len(labels)

        def __getitem__(self, position: int) -> tuple[torch.Tensor, int]:
            drawn = next(draws) if noise else position
            return torch.tensor([float(drawn)]), labels[position]

    split = LoadedSplit(Samples(), num_workers=0)
    return Dataset(train=split, validation=split, test=split)


draws = count()
"""Numbers that no seed repeats."""


@pytest.mark.parametrize("noise", [False, True])
def test_shuffled_labels_of_samples_that_are_loaded_while_training_are_noticed(noise: bool) -> None:
    labels = [number % 2 for number in range(40)]
    one, again, other = (content_identity(loaded(each, noise=noise)) for each in (labels, labels, [*labels[1:], 0]))
    assert one is not None
    assert again is not None
    assert other is not None
    assert not is_other_content(one, again)
    assert is_other_content(one, other)
    assert not is_complete(one)  # so that no other study reuses what it trained


def test_of_a_split_of_ones_own_kind_the_first_batch_counts() -> None:
    def own(labels: list[int]) -> Dataset:
        text = torch.tensor(labels)
        split = WindowSplit(text=text, num_steps=2)
        return Dataset(train=split, validation=split, test=split)

    one, other = content_identity(own([1, 2, 3, 4, 5])), content_identity(own([1, 2, 4, 3, 5]))
    assert one is not None
    assert other is not None
    assert is_other_content(one, other)
    assert not is_complete(one)


def test_a_slower_machine_compares_what_both_have_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = [number % 2 for number in range(400)]
    whole = content_identity(loaded(labels))
    monkeypatch.setattr(module, "SECONDS_TO_LOAD", 0.0)
    nothing = content_identity(loaded(labels))
    assert whole is not None
    assert nothing is not None
    assert len(nothing.split()) < len(whole.split())
    assert not is_other_content(whole, nothing)


def test_information_that_is_no_plain_value_is_the_same_in_every_process() -> None:
    """An address or the order of a set would make every start another."""
    one, other = (
        content_identity(replace(numbers(), info={"vocabulary": object(), "names": names}))
        for names in ({"a", "b"}, {"b", "a"})
    )
    assert one == other


def test_only_the_folder_in_which_a_source_found_its_files_counts(folder: Path) -> None:
    with located_folders() as located:
        found = find_folder(str(folder), "images", "train")
    assert located == [str(found)]
    before = folder_identity(str(folder), located)
    (folder / "another data set").mkdir()
    assert folder_identity(str(folder), located) == before
    assert folder_identity(str(folder), []) == "own"
