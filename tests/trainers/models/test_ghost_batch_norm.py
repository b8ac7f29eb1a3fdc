"""Ghost batch normalisation: `nn.BatchNorm` applied piece by piece, with nothing else changed."""

from copy import deepcopy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from zerotune.trainers.models.ghost_batch_norm import ghost_batch_sizes, use_ghost_batch_norm


class WithActivation(nn.BatchNorm2d):
    """A layer with its own forward pass."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input).sigmoid()


LAYERS = {
    "1d": (nn.BatchNorm1d, ()),
    "1d of sequences": (nn.BatchNorm1d, (5,)),
    "2d": (nn.BatchNorm2d, (4, 3)),
    "2d with a forward pass of its own": (WithActivation, (4, 3)),
    "3d": (nn.BatchNorm3d, (2, 3, 2)),
}
every_layer = pytest.mark.parametrize(("kind", "map_size"), LAYERS.values(), ids=LAYERS.keys())


def random_layer(kind: type[nn.Module], **options: object) -> nn.Module:
    """Return a layer of 6 channels in float64, with weights and statistics that differ from the initial ones."""
    torch.manual_seed(5)
    layer = kind(6, **options).double()
    for tensor in (layer.weight.data, layer.bias.data, layer.running_mean):
        tensor.normal_()
    layer.running_var.uniform_(0.5, 2.0)
    return layer


def samples(num: int, map_size: tuple[int, ...]) -> torch.Tensor:
    torch.manual_seed(6)
    return torch.randn(num, 6, *map_size, dtype=torch.float64) * 3 + 1


@every_layer
@pytest.mark.parametrize(("num", "sizes"), [(96, [32, 32, 32]), (100, [32, 32, 32, 4]), (97, [32, 32, 33]), (20, [20])])
@pytest.mark.parametrize("momentum", [0.1, None], ids=["moving average", "cumulative average"])
def test_it_equals_batch_norm_called_on_one_piece_after_the_other(
    kind: type[nn.Module], map_size: tuple[int, ...], num: int, sizes: list[int], momentum: float | None
):
    plain = random_layer(kind, momentum=momentum)
    ghost = use_ghost_batch_norm(nn.Sequential(deepcopy(plain)), 32)
    inputs, gradient = samples(num, map_size), samples(num, map_size).flip(0)
    expected_inputs, actual_inputs = inputs.clone().requires_grad_(), inputs.clone().requires_grad_()
    expected = torch.cat([plain(piece) for piece in expected_inputs.split(sizes)])
    actual = ghost(actual_inputs)
    assert torch.equal(actual, expected)
    expected.backward(gradient)
    actual.backward(gradient)
    assert torch.equal(actual_inputs.grad, expected_inputs.grad)
    torch.testing.assert_close(ghost[0].weight.grad, plain.weight.grad, rtol=1e-12, atol=1e-12)
    for name, value in plain.state_dict().items():
        assert torch.equal(ghost[0].state_dict()[name], value), name


def test_outputs_and_running_statistics_are_those_of_the_papers_algorithm():
    """Hoffer et al. 2017, Algorithm 1, written out: eta = 0.1, three ghosts of 8 samples."""
    layer = random_layer(nn.BatchNorm2d, momentum=0.1)
    before = layer.running_mean.clone()
    inputs = samples(24, (4, 3))
    ghosts = inputs.view(3, 8, 6, 4, 3)
    means = ghosts.mean(dim=(1, 3, 4), keepdim=True)
    variances = ghosts.var(dim=(1, 3, 4), keepdim=True, correction=0)
    normalised = ((ghosts - means) / torch.sqrt(variances + layer.eps)).view(24, 6, 4, 3)
    expected = normalised * layer.weight.view(6, 1, 1) + layer.bias.view(6, 1, 1)
    moved = 0.9**3 * before + sum(0.1 * 0.9**i * means[2 - i].view(6) for i in range(3))
    actual = use_ghost_batch_norm(nn.Sequential(layer), 8)(inputs)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(layer.running_mean, moved, rtol=1e-12, atol=1e-12)


@every_layer
def test_evaluation_uses_the_running_statistics(kind: type[nn.Module], map_size: tuple[int, ...]):
    plain = random_layer(kind).eval()
    ghost = use_ghost_batch_norm(nn.Sequential(deepcopy(plain)), 8).eval()
    inputs = samples(100, map_size)
    assert torch.equal(ghost(inputs), plain(inputs))


def test_every_layer_of_a_model_is_exchanged_and_keeps_its_weights_and_names():
    model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.Sequential(nn.Flatten(), nn.BatchNorm1d(6)))
    weights, keys = list(model.parameters()), list(model.state_dict())
    assert use_ghost_batch_norm(model, 8) is model
    assert list(model.state_dict()) == keys
    assert [id(weight) for weight in model.parameters()] == [id(weight) for weight in weights]
    assert [type(module).__name__ for module in (model[1], model[2][1])] == ["GhostBatchNorm2d", "GhostBatchNorm1d"]


def test_the_memory_format_is_kept():
    ghost = use_ghost_batch_norm(nn.Sequential(nn.BatchNorm2d(6)), 8)
    inputs = samples(20, (4, 3)).float().to(memory_format=torch.channels_last)
    assert ghost(inputs).is_contiguous(memory_format=torch.channels_last)


@given(
    num_samples=st.integers(min_value=1, max_value=500),
    size=st.integers(min_value=2, max_value=20),
    multiple=st.integers(min_value=1, max_value=8),
)
def test_pieces_of_pieces_are_the_pieces(num_samples: int, size: int, multiple: int):
    """A batch split into micro-batches therefore has the ghosts of the whole batch."""
    nested = [
        inner for outer in ghost_batch_sizes(num_samples, size * multiple) for inner in ghost_batch_sizes(outer, size)
    ]
    assert nested == ghost_batch_sizes(num_samples, size)
    assert sum(nested) == num_samples
    assert all(piece > 1 for piece in nested) or num_samples == 1


@pytest.mark.parametrize(
    ("model", "size", "message"),
    [
        (nn.Sequential(nn.BatchNorm1d(3)), 1, "ghost_batch_size must be at least 2, since .* got 1"),
        (nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3)), 8, "ghost_batch_size has no effect: the model has no batch"),
        (
            nn.Sequential(nn.SyncBatchNorm(3)),
            8,
            "the model's layer '0' is a SyncBatchNorm, which is not supported; known:",
        ),
        (nn.Sequential(nn.LazyBatchNorm2d()), 8, "the model's layer '0' is a LazyBatchNorm2d, which is not supported"),
    ],
)
def test_a_model_that_cannot_have_ghosts_is_refused_and_left_as_it_is(model: nn.Module, size: int, message: str):
    before = [type(module) for module in model.modules()]
    with pytest.raises(ValueError, match=message):
        use_ghost_batch_norm(model, size)
    assert [type(module) for module in model.modules()] == before
