"""Images stored as bytes are normalised batch by batch, and their crops and flips are the documented ones."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from zerotune.trainers.data import cifar10
from zerotune.trainers.data.byte_images import ByteImages, crop_and_mirror, normalisation


def byte_images(num_images: int = 6) -> ByteImages:
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randint(0, 256, (num_images, 3, 32, 32), dtype=torch.uint8, generator=generator)
    constants = normalisation(cifar10.PIXEL_MEANS, cifar10.PIXEL_DEVIATIONS)
    return ByteImages(inputs=inputs, targets=torch.arange(num_images), **constants)


def test_a_batch_is_the_published_normalisation_of_its_images():
    split = byte_images()
    ((inputs, targets),) = split.double().batches([torch.tensor([4, 1])])
    mean, deviation = (
        torch.tensor(values).double().view(3, 1, 1) for values in (cifar10.PIXEL_MEANS, cifar10.PIXEL_DEVIATIONS)
    )
    torch.testing.assert_close(inputs, (split.inputs[[4, 1]].double() / 255 - mean) / deviation, rtol=1e-6, atol=1e-6)
    assert targets.tolist() == [4, 1]


def test_typical_images_are_normalised_and_not_augmented():
    split = replace(byte_images(), augment=crop_and_mirror)
    ((expected, _),) = replace(split, augment=None).batches([torch.arange(2)])
    inputs, targets = split.example_batch()
    assert torch.equal(inputs, expected)
    assert targets.tolist() == [0, 1]


def test_a_moved_split_keeps_what_it_does():
    split = replace(byte_images(), augment=crop_and_mirror).to(torch.device("cpu"))
    assert isinstance(split, ByteImages)
    assert split.augment is crop_and_mirror
    assert split.inputs.dtype == torch.uint8


def test_whoever_computes_an_image_crops_it_alike():
    """A batch computed in pieces, in any order, equals the whole batch."""
    split = replace(byte_images(), augment=crop_and_mirror)
    _, _, keys = split.order(0, 1, epochs=1, batch_size=4)
    ((whole, _),) = split.batches([keys])
    pieces = [inputs for inputs, _ in split.batches(torch.split(keys.flip(0), 2))]
    assert torch.equal(whole, torch.cat(pieces).flip(0))
    ((plain, _),) = split.batches([keys[:, 0]])
    assert not torch.equal(whole, plain)


def test_an_image_is_cropped_anew_in_every_epoch():
    split = replace(byte_images(), augment=crop_and_mirror)
    draws = [split.order(0, epoch, epochs=3, batch_size=6)[2][:, 1] for epoch in (1, 2, 3)]
    assert len(torch.unique(torch.cat(draws))) == 18


# -- crops and flips ---------------------------------------------------------------------------------------------------


def draws(num_images: int, seed: int = 0) -> Tensor:
    return torch.randint(2**31, (num_images,), generator=torch.Generator().manual_seed(seed))


def all_crops(image_CHW: Tensor, padding: int) -> list[Tensor]:
    """Return every crop of one image, plain and flipped, by slicing."""
    height, width = image_CHW.shape[1:]
    padded = F.pad(image_CHW, (padding,) * 4)
    crops = [
        padded[:, top : top + height, left : left + width]
        for top in range(2 * padding + 1)
        for left in range(2 * padding + 1)
    ]
    return [*crops, *(crop.flip(2) for crop in crops)]


def test_every_crop_is_one_of_the_162_of_its_image_and_all_are_drawn_evenly():
    """6,480 draws of an image: each of the 162 outcomes is expected 40 times, with a standard deviation of 6.3."""
    image = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    outcome = {crop.numpy().tobytes(): position for position, crop in enumerate(all_crops(image, 4))}
    assert len(outcome) == 162
    counts = torch.zeros(162)
    for seed in range(10):
        for crop in crop_and_mirror(image.expand(648, 3, 32, 32), draws(648, seed)):
            counts[outcome[crop.numpy().tobytes()]] += 1
    assert counts.min() > 40 - 4.5 * 6.3
    assert counts.max() < 40 + 4.5 * 6.3
    chi_square = ((counts - 40) ** 2 / 40).sum().item()  # 161 degrees of freedom: a standard deviation of 18
    assert abs(chi_square - 161) < 4 * 18


def test_each_image_of_a_batch_is_cropped_from_itself():
    images = torch.randint(0, 256, (50, 2, 5, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for image, cropped in zip(images, crop_and_mirror(images, draws(50), padding=1), strict=True):
        assert any(torch.equal(cropped, crop) for crop in all_crops(image, 1))


def test_the_images_of_a_batch_are_cropped_differently():
    images = byte_images(1).inputs.expand(64, -1, -1, -1)
    assert len(torch.unique(crop_and_mirror(images, draws(64)), dim=0)) > 40


def test_without_a_margin_only_the_mirroring_is_drawn():
    images = byte_images(40).inputs
    changed = crop_and_mirror(images, draws(40), 0)
    mirrored = [torch.equal(after, before.flip(2)) for before, after in zip(images, changed, strict=True)]
    assert 8 < sum(mirrored) < 32
    unchanged = [torch.equal(after, before) for before, after in zip(images, changed, strict=True)]
    assert [not was for was in mirrored] == unchanged


def test_the_same_draws_give_the_same_pixels():
    images = byte_images().inputs
    drawn = [crop_and_mirror(images, draws(6, seed)) for seed in (5, 5, 6)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
