"""Pickles of plain containers are read; one that names code is refused before anything runs."""

import gc
import pickle
from pathlib import Path

import pytest

from zerotune.trainers.data import DataError
from zerotune.trainers.tabulated.plain_pickle import read_plain_pickle


class Harmful:
    """An object whose pickle would make a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self._path,)


def test_plain_containers_are_read(tmp_path: Path) -> None:
    content = {"00": {"val_acc": [0.5, 0.25], "train_time": [1.0, 2.0]}}
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(content))
    assert read_plain_pickle(tmp_path / "plain.pkl") == content
    assert gc.isenabled()


def test_a_pickle_that_names_a_function_is_refused_and_does_not_run(tmp_path: Path) -> None:
    file, made = tmp_path / "harmful.pkl", tmp_path / "made"
    file.write_bytes(pickle.dumps({"00": Harmful(made)}))
    with pytest.raises(DataError, match=r"harmful\.pkl: .* it names .*, and only plain containers are read"):
        read_plain_pickle(file)
    assert not made.exists()


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps([1.0] * 100)[:-40]])
def test_a_damaged_pickle_is_refused_in_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "damaged.pkl").write_bytes(content)
    with pytest.raises(DataError, match=r"damaged\.pkl: cannot be read: "):
        read_plain_pickle(tmp_path / "damaged.pkl")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.pkl: no such file"):
        read_plain_pickle(tmp_path / "none.pkl")
