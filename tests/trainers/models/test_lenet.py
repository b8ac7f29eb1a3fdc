"""LeNet-5 has its known size and wiring."""

import torch

from zerotune.trainers.models.lenet import LeNet5


def test_lenet_layers_have_the_published_sizes():
    weights = {name: tuple(p.shape) for name, p in LeNet5().named_parameters() if name.endswith("weight")}
    assert weights == {
        "conv1.weight": (6, 1, 5, 5),
        "conv2.weight": (16, 6, 5, 5),
        "fc1.weight": (120, 400),
        "fc2.weight": (84, 120),
        "fc3.weight": (10, 84),
    }


def test_lenet_scores_every_image_by_itself():
    torch.manual_seed(0)
    model, images = LeNet5().double(), torch.randn(3, 1, 28, 28, dtype=torch.float64)
    together, apart = model(images), torch.cat([model(image.unsqueeze(0)) for image in images])
    assert together.shape == (3, 10)
    torch.testing.assert_close(together, apart)


def test_empty_maps_change_nothing() -> None:
    torch.manual_seed(0)
    model, images = LeNet5(), torch.randn(64, 1, 28, 28)
    found = [_value_and_gradients(model, images)]
    with torch.backends.mkldnn.flags(enabled=False):  # type: ignore[no-untyped-call]
        found.append(_value_and_gradients(model, images))
    for with_empty_maps, without in zip(*found, strict=True):
        torch.testing.assert_close(with_empty_maps, without, rtol=1e-4, atol=1e-6)


def _value_and_gradients(model: LeNet5, images: torch.Tensor) -> list[torch.Tensor]:
    logits = model(images)
    return [logits, *torch.autograd.grad(logits.square().sum(), list(model.parameters()))]
