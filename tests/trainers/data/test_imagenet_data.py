"""ImageNet folders are read as torchvision reads them; invalid ones are rejected by name before any training."""

import shutil
from pathlib import Path

import pytest
import torch

from tests.generated_images import CLASSES, NUM_TEST, NUM_TRAIN
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.data import DataError, Dataset
from zerotune.trainers.data.image_folder import (
    COLOUR_DEVIATION,
    COLOUR_MEAN,
    IMAGENET_224,
    IMAGENET_299,
    Images,
    decode_image,
)
from zerotune.trainers.data.loaded import LoadedSplit

torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed: pip install 'zerotune[vision]'")

SOURCE = IMAGENET_224
OPTIONS = {"image_size": 48, "validation_per_class": 4}
FIRST = CLASSES[0]


@pytest.fixture
def copied(image_folder: Path, tmp_path: Path) -> Path:
    """Copy the images, to be damaged."""
    return Path(shutil.copytree(image_folder, tmp_path / "images"))


@pytest.fixture(scope="module")
def data(image_folder: Path) -> Dataset:
    return SOURCE.load(str(image_folder), **OPTIONS)


def images(split: object) -> Images:
    assert isinstance(split, LoadedSplit)
    found = split.samples
    assert isinstance(found, Images)
    return found


def file_names(split: object) -> set[str]:
    return {name.decode() for name in images(split).names}


def test_train_is_parted_always_alike_and_val_is_the_test(data: Dataset, image_folder: Path) -> None:
    assert (len(data.train), len(data.validation), len(data.test)) == (6 * (NUM_TRAIN - 4), 6 * 4, 6 * NUM_TEST)
    assert file_names(data.train) | file_names(data.validation) == {p.name for p in image_folder.glob("train/*/*")}
    assert file_names(data.train) & file_names(data.validation) == set()
    assert file_names(data.test) == {p.name for p in image_folder.glob("val/*/*")}
    again = SOURCE.load(str(image_folder), **OPTIONS)
    assert file_names(again.validation) == file_names(data.validation)


def test_the_held_out_images_are_evenly_spaced_in_the_order_of_names(data: Dataset) -> None:
    names = sorted(f"{FIRST}_{number}.JPEG" for number in range(NUM_TRAIN))
    held = file_names(data.validation) & set(names)
    assert held == {names[position] for position in (0, 7, 15, 22)}


def test_labels_are_positions_in_the_sorted_classes(data: Dataset) -> None:
    assert data.info == {"num_classes": 6}
    assert images(data.test).classes == CLASSES
    _, targets = next(data.test.batches(data.test.evaluation_keys()))
    assert targets.tolist() == [label for label in range(6) for _ in range(NUM_TEST)]


def test_check_counts_what_load_trains_on(data: Dataset, image_folder: Path) -> None:
    assert SOURCE.count(str(image_folder), OPTIONS) == len(data.train)
    assert SOURCE.count(str(image_folder), {"image_size": 48, "validation_per_class": 1}) == 6 * (NUM_TRAIN - 1)


def test_a_folder_may_hold_them_as_imagenet(image_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "imagenet").symlink_to(image_folder)
    assert SOURCE.count(str(tmp_path), OPTIONS) == SOURCE.count(str(image_folder), OPTIONS)


def test_the_published_counts() -> None:
    assert SOURCE.num_train == 1_281_167 - 10_000
    assert (SOURCE.options.defaults["image_size"], IMAGENET_299.options.defaults["image_size"]) == (224, 299)
    assert APPLICATIONS["inception_v4_imagenet"].data_sources == {"imagenet": IMAGENET_299}


def test_images_to_evaluate_with_are_torchvisions(data: Dataset, image_folder: Path) -> None:
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    reference = ImageFolder(
        str(image_folder / "val"),
        transforms.Compose(
            [
                transforms.Resize(55),
                transforms.CenterCrop(48),
                transforms.ToTensor(),
                transforms.Normalize(COLOUR_MEAN, COLOUR_DEVIATION),
            ]
        ),
    )
    inputs, targets = next(data.test.batches(data.test.evaluation_keys()))
    assert torch.equal(inputs, torch.stack([image for image, _ in reference]))
    assert targets.tolist() == reference.targets


def test_images_to_train_with_are_torchvisions_at_the_samples_seed(data: Dataset) -> None:
    from torchvision import transforms

    reference = transforms.Compose(
        [
            transforms.RandomResizedCrop(48),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(COLOUR_MEAN, COLOUR_DEVIATION),
        ]
    )
    found = images(data.train)
    keys = torch.tensor([[5, 11], [5, 12], [5, 11]])
    inputs, _ = next(data.train.batches([keys]))
    path = found.folder / FIRST / found.names[5].decode()
    with torch.random.fork_rng(devices=[]):
        for key, image in zip(keys.tolist(), inputs, strict=True):
            torch.manual_seed(key[1])
            assert torch.equal(image, reference(decode_image(path)))
    assert not torch.equal(inputs[0], inputs[1])


def test_batches_have_channels_last_in_memory(data: Dataset) -> None:
    inputs, targets = data.train.example_batch()
    assert (inputs.shape, inputs.dtype, targets.dtype) == ((2, 3, 48, 48), torch.float32, torch.int64)
    assert inputs.is_contiguous(memory_format=torch.channels_last)


def test_grey_and_png_images_are_read_too(copied: Path) -> None:
    from PIL import Image

    for path in list((copied / "train" / FIRST).iterdir()):
        Image.open(path).convert("L").save(path.with_suffix(".png"))
        path.unlink()
    data = SOURCE.load(str(copied), **OPTIONS)
    inputs, _ = data.train.example_batch()
    assert inputs.shape == (2, 3, 48, 48)


def refusal(folder: Path | None, **options: int) -> str:
    with pytest.raises(DataError) as caught:
        SOURCE.count(None if folder is None else str(folder), {**OPTIONS, **options})
    return str(caught.value)


def test_without_a_folder_it_says_what_is_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZEROTUNE_DATA", raising=False)
    assert "no data folder is set: name one with train/CLASS/*.JPEG and val/CLASS/*.JPEG" in refusal(None)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone").startswith(f"{tmp_path / 'gone'}: no such folder")


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_missing_part_is_named(copied: Path, part: str) -> None:
    shutil.rmtree(copied / part)
    assert refusal(copied).startswith(f"{copied / part}: no such folder: expected train/CLASS/*.JPEG")


def test_images_that_are_not_in_folders_of_their_class_are_refused(copied: Path) -> None:
    for path in list((copied / "val").glob("*/*")):
        path.rename(copied / "val" / path.name)
    for path in (copied / "val").iterdir():
        if path.is_dir():
            path.rmdir()
    assert refusal(copied).startswith(f"{copied / 'val'}: contains 0 folders: expected one per class")


@pytest.mark.parametrize(("lacking", "other"), [("train", "val"), ("val", "train")])
def test_classes_of_one_part_only_are_named(copied: Path, lacking: str, other: str) -> None:
    shutil.rmtree(copied / lacking / FIRST)
    assert refusal(copied).startswith(f"{copied / lacking / FIRST}: no such folder, but ")


def test_a_class_without_images_is_named(copied: Path) -> None:
    shutil.rmtree(copied / "val" / FIRST)
    (copied / "val" / FIRST).mkdir()
    assert refusal(copied).startswith(f"{copied / 'val' / FIRST}: contains no images")


def test_a_class_with_too_few_images_to_hold_out_is_named(copied: Path) -> None:
    expected = f"{copied / 'train' / FIRST}: contains {NUM_TRAIN} images; holding out {NUM_TRAIN} for validation"
    assert refusal(copied, validation_per_class=NUM_TRAIN).startswith(expected)


def test_a_file_that_is_no_image_by_its_name_is_named(copied: Path) -> None:
    path = copied / "train" / FIRST / "labels.txt"
    path.write_text("red")
    assert refusal(copied).startswith(f"{path}: not named like an image")


def test_hidden_files_are_passed_over(copied: Path, image_folder: Path) -> None:
    (copied / "train" / FIRST / ".DS_Store").write_bytes(b"x")
    (copied / "train" / ".cache").mkdir()
    assert SOURCE.count(str(copied), OPTIONS) == SOURCE.count(str(image_folder), OPTIONS)


def test_an_empty_file_is_named_wherever_it_is(copied: Path) -> None:
    path = copied / "train" / CLASSES[3] / f"{CLASSES[3]}_17.JPEG"
    path.write_bytes(b"")
    assert refusal(copied) == f"{path}: the file is empty: replace it, or remove it."


@pytest.mark.parametrize("damage", ["cut short", "not an image"])
def test_a_damaged_image_is_named_by_the_check_where_it_decodes_it(copied: Path, damage: str) -> None:
    path = copied / "val" / CLASSES[2] / f"{CLASSES[2]}_0.JPEG"
    path.write_bytes(path.read_bytes()[:700] if damage == "cut short" else b"no image at all")
    assert refusal(copied).startswith(f"{path}: cannot be read as an image (")


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_damaged_image_is_named_when_a_training_meets_it(copied: Path, num_workers: int) -> None:
    path = copied / "val" / CLASSES[2] / f"{CLASSES[2]}_5.JPEG"
    path.write_bytes(path.read_bytes()[:700])
    found = images(SOURCE.load(str(copied), **OPTIONS).test)
    split = LoadedSplit(found, num_workers=num_workers)
    with pytest.raises(DataError) as caught:
        list(split.batches(split.evaluation_keys()))
    assert str(caught.value).startswith(f"{path}: cannot be read as an image (")
