"""Common kinds of data sets become a split with the same samples, or an error that names what to give instead."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
)

from zerotune.trainers.data import DataError, Split, TensorSplit, adapters, as_split, divide
from zerotune.trainers.data.loaded import LoadedSplit

INPUTS = np.arange(24.0).reshape(8, 3)
TARGETS = np.arange(8, dtype=np.int32)


class Pairs:
    """A map-style data set of pairs."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        return torch.tensor(INPUTS[position], dtype=torch.float32), position


class Rows(Pairs):
    """The same pairs as rows by column name."""

    def __getitem__(self, position: int) -> Any:
        inputs, target = super().__getitem__(position)
        return {"x": inputs, "double": 2 * inputs, "y": target, "name": "a" * position}


class Stream(IterableDataset[int]):
    def __iter__(self) -> Any:
        return iter(range(8))


def everything(split: Split) -> tuple[Any, Tensor]:
    """Return all samples of a split, in order."""
    keys = torch.cat(list(split.evaluation_keys()))
    return next(iter(split.batches([keys])))


def check(split: Split) -> None:
    """Assert that the split has the eight samples."""
    inputs, targets = everything(split)
    assert len(split) == 8
    assert inputs.dtype == torch.float32
    assert inputs.tolist() == INPUTS.tolist()
    assert targets.dtype == torch.int64
    assert targets.tolist() == TARGETS.tolist()


@pytest.mark.parametrize(
    "data",
    [
        (INPUTS, TARGETS),
        [INPUTS.tolist(), TARGETS.tolist()],
        (torch.tensor(INPUTS), torch.tensor(TARGETS)),
        (INPUTS.astype(">f8"), TARGETS.astype("uint8")),
        (np.lib.stride_tricks.as_strided(INPUTS, writeable=False), TARGETS[::-1][::-1]),
        TensorDataset(torch.tensor(INPUTS), torch.tensor(TARGETS)),
        DataLoader(TensorDataset(torch.tensor(INPUTS), torch.tensor(TARGETS)), batch_size=3, shuffle=True),
    ],
    ids=["arrays", "lists", "tensors", "foreign bytes", "read-only", "TensorDataset", "DataLoader of one"],
)
def test_numbers_at_hand_are_held_in_memory(data: object) -> None:
    split = as_split(data)
    assert isinstance(split, TensorSplit)
    check(split)


def test_a_table_of_pandas_is_an_array_of_numbers() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed: it comes with MLflow")
    frame = pandas.DataFrame(INPUTS, columns=["a", "b", "c"])
    check(as_split((frame, pandas.Series(TARGETS))))


def test_a_split_does_not_share_an_arrays_memory() -> None:
    """Nothing may write into a split's tensors, but the owner of the array may still write into it."""
    array = INPUTS.astype(np.float32)
    split = as_split((array, TARGETS))
    array[:] = 0
    check(split)


@pytest.mark.parametrize(
    ("inputs", "targets", "sentence"),
    [
        (
            [[0.0, 1.0], [2.0, math.nan]],
            [0, 1],
            r"inputs: sample 1 \(counted from 0\) is nan at index \(1,\): remove such",
        ),
        ([[0.0], [1.0], [2.0]], [0.0, 1.0, -math.inf], r"targets: sample 2 \(counted from 0\) is -inf: remove such"),
        (np.array([1.0, 1e300]), [0, 1], r"inputs in float32: sample 1 \(counted from 0\) is inf: remove such"),
    ],
)
def test_a_number_that_is_not_finite_is_refused_with_its_place(inputs: object, targets: object, sentence: str) -> None:
    with pytest.raises(DataError, match=f"^{sentence} samples, or put finite numbers in their place$"):
        as_split((inputs, targets))


def test_real_and_boolean_targets_stay_what_they_are() -> None:
    _, real = everything(as_split((INPUTS, TARGETS / 2)))
    _, boolean = everything(as_split((INPUTS, TARGETS > 3)))
    assert (real.dtype, boolean.dtype) == (torch.float32, torch.bool)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_map_style_data_set_is_loaded_by_as_many_workers_as_asked(num_workers: int) -> None:
    split = as_split(Pairs(), num_workers=num_workers)
    assert isinstance(split, LoadedSplit)
    check(split)


def test_a_loader_gives_its_data_set_and_its_collate_function_but_not_its_batches() -> None:
    def doubled(samples: list[Any]) -> Any:
        inputs, targets = default_collate(samples)
        return inputs, 2 * targets

    split = as_split(DataLoader(Pairs(), batch_size=3, shuffle=True, drop_last=True, collate_fn=doubled))  # type: ignore[arg-type]
    _, targets = everything(split)
    assert targets.tolist() == [0, 2, 4, 6, 8, 10, 12, 14]
    check(as_split(DataLoader(Pairs(), batch_size=3)))  # type: ignore[arg-type]


def test_rows_give_the_named_columns() -> None:
    check(as_split(Rows(), inputs="x", target="y", num_workers=0))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_several_columns_are_one_named_tuple_from_workers_too(num_workers: int) -> None:
    inputs, targets = everything(as_split(Rows(), inputs=["x", "double"], target="y", num_workers=num_workers))
    assert inputs._fields == ("x", "double")
    assert torch.equal(inputs.double, 2 * inputs.x)
    assert targets.tolist() == list(range(8))


def test_a_collate_function_of_rows_takes_whole_rows() -> None:
    def lengths(rows: list[Any]) -> dict[str, Tensor]:
        return {"length": torch.tensor([len(row["name"]) for row in rows]), "y": torch.tensor([0 for _ in rows])}

    inputs, _ = everything(as_split(Rows(), inputs="length", target="y", collate=lengths, num_workers=0))
    assert inputs.tolist() == list(range(8))


# Hugging Face


def table(**columns: Any) -> Any:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed: it comes with the extra dev")
    return datasets.Dataset.from_dict({"x": INPUTS.tolist(), "y": TARGETS.tolist(), **columns})


def test_a_hugging_face_table_of_numbers_is_held_in_memory() -> None:
    split = as_split(table(), inputs="x", target="y")
    assert isinstance(split, TensorSplit)
    check(split)


def test_a_large_hugging_face_table_is_loaded_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "MAX_BYTES_IN_MEMORY", 10)
    split = as_split(table(), inputs="x", target="y", num_workers=0)
    assert isinstance(split, LoadedSplit)
    check(split)


def test_hugging_face_texts_of_unequal_length_are_padded_by_the_collate_function() -> None:
    words = [[1] * (n + 1) for n in range(8)]

    def pad(rows: list[Any]) -> dict[str, Tensor]:
        texts = torch.nn.utils.rnn.pad_sequence([row["words"] for row in rows], batch_first=True)
        return {"words": texts, "y": torch.stack([row["y"] for row in rows])}

    inputs, targets = everything(as_split(table(words=words), inputs="words", target="y", collate=pad, num_workers=0))
    assert inputs.shape == (8, 8)
    assert inputs.sum(dim=1).tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert targets.tolist() == list(range(8))


def test_a_hugging_face_table_asks_for_columns_that_it_has() -> None:
    with pytest.raises(DataError, match=r"its samples are rows: name the columns.*known: x, y"):
        as_split(table())
    with pytest.raises(DataError, match="no column 'z'; known: x, y"):
        as_split(table(), inputs="x", target="z")


def test_hugging_faces_dictionary_and_stream_are_refused() -> None:
    whole = table()
    datasets = pytest.importorskip("datasets")
    with pytest.raises(DataError, match=r"holds several entries \(train, test\): pass one of its splits"):
        as_split(datasets.DatasetDict({"train": whole, "test": whole}), inputs="x", target="y")
    with pytest.raises(DataError, match=r"a stream \(IterableDataset\)"):
        as_split(whole.to_iterable_dataset(), inputs="x", target="y")


# Errors

LOADER = DataLoader(Pairs(), batch_size=2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "options", "sentence"),
    [
        (Stream(), {}, r"a stream \(Stream\) cannot be counted and shuffled"),
        (DataLoader(Stream()), {}, r"a stream \(Stream\)"),
        ((pair for pair in [(1, 2)]), {}, r"a stream \(generator\)"),
        (DataLoader(Pairs(), sampler=SubsetRandomSampler([1])), {}, "SubsetRandomSampler chooses samples"),  # type: ignore[arg-type]
        (DataLoader(Pairs(), sampler=WeightedRandomSampler([1.0], 8)), {}, "WeightedRandomSampler chooses samples"),  # type: ignore[arg-type]
        (DataLoader(Pairs(), sampler=RandomSampler(Pairs(), replacement=True)), {}, "RandomSampler chooses"),  # type: ignore[arg-type]
        (DataLoader(Pairs(), sampler=RandomSampler(Pairs(), num_samples=4)), {}, "RandomSampler chooses"),  # type: ignore[arg-type]
        (DataLoader(Pairs(), batch_sampler=BatchSampler([0], 1, False)), {}, "the study chooses the batch size"),  # type: ignore[arg-type]
        (DataLoader(Pairs(), batch_size=None), {}, "the study chooses the batch size"),  # type: ignore[arg-type]
        (LOADER, {"num_workers": 2}, "has its own collate_fn and num_workers"),
        (LOADER, {"collate": default_collate}, "has its own collate_fn and num_workers"),
        ((INPUTS, TARGETS), {"num_workers": 2}, "have no effect on data in memory"),
        ((INPUTS, TARGETS), {"inputs": "x", "target": "y"}, "have no effect on data in memory"),
        ((INPUTS, TARGETS[:7]), {}, r"inputs and targets must have the same length, got shapes \(8, 3\) and \(7,\)"),
        ((INPUTS[:0], TARGETS[:0]), {}, "the data contain no samples"),
        (([[1, 2], [3]], [0, 1]), {}, "inputs cannot be converted to a numeric array"),
        ((["red", "blue"], [0, 1]), {}, "inputs must be numeric, got an array of <U4"),
        ((INPUTS, ["red"] * 8), {}, "targets must be numeric"),
        ((3.0, 1), {}, "inputs must have a dimension for samples, got a single number"),
        (INPUTS, {}, "got type ndarray: pass a pair"),
        ("digits", {}, "got type str"),
        (None, {}, "got type NoneType"),
        ({"x": INPUTS, "y": TARGETS}, {}, r"a dict holds several entries \(x, y\)"),
        (TensorDataset(torch.zeros(3)), {}, "a TensorDataset must hold two tensors, inputs and targets, got 1"),
        (Subset(Pairs(), []), {}, "contain no samples"),  # type: ignore[arg-type]
        (Rows(), {"inputs": "x"}, "inputs and target must both name columns"),
    ],
)
def test_what_cannot_be_a_split_is_refused(data: object, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        as_split(data, **options)


@pytest.mark.parametrize(
    ("data", "columns", "sentence"),
    [
        (Rows(), ("z", "y"), "no column 'z'; known: x, double, y, name"),
        (Pairs(), ("x", "y"), "a sample must be a row, got type tuple"),
        (Rows(), (["x", "y"], "y"), None),
    ],
)
def test_columns_are_looked_for_in_the_samples(data: object, columns: Any, sentence: str | None) -> None:
    split = as_split(data, inputs=columns[0], target=columns[1], num_workers=0)
    if sentence is None:
        assert everything(split)[0]._fields == ("x", "y")
        return
    with pytest.raises(DataError, match=sentence):
        everything(split)


# Splitting


@pytest.mark.parametrize("data", [(INPUTS, TARGETS), Pairs(), LOADER], ids=["arrays", "data set", "loader"])
def test_parts_are_disjoint_and_hold_everything_and_are_the_same_at_the_same_seed(data: object) -> None:
    parts, again = (divide(data, (0.5, 0.25, 0.25), seed=3) for _ in range(2))
    targets = [everything(part)[1].tolist() for part in parts]
    assert [len(part) for part in parts] == [4, 2, 2]
    assert sorted(target for part in targets for target in part) == list(range(8))
    assert targets == [everything(part)[1].tolist() for part in again]
    assert targets != [everything(part)[1].tolist() for part in divide(data, (0.5, 0.25, 0.25), seed=4)]
    for part in parts:
        inputs, chosen = everything(part)
        assert inputs.tolist() == INPUTS[chosen].tolist()


@pytest.mark.parametrize("shares", [(0.5, 0.6), (1.0, 0.0), (), (-0.5, 1.5)])
def test_shares_that_are_none_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="shares must be above 0 and sum to 1"):
        divide((INPUTS, TARGETS), shares)


def test_a_part_without_samples_is_refused() -> None:
    with pytest.raises(DataError, match="leave one split empty"):
        divide((INPUTS, TARGETS), (0.99, 0.01))


def test_a_part_can_be_augmented_alone() -> None:
    train, rest = divide((INPUTS, TARGETS), (0.5, 0.5))
    assert isinstance(train, TensorSplit)
    augmented = replace(train, augment=lambda inputs, draws: torch.zeros_like(inputs))
    _, _, keys = augmented.order(0, 1, epochs=1, batch_size=len(train))
    ((inputs, _),) = augmented.batches([keys])
    assert inputs.sum() == 0
    assert everything(augmented)[0].sum() > 0, "evaluation sees the samples as they are"
    assert everything(rest)[0].sum() > 0
