"""The language model: the tutorial's sizes, and a state that continues within each stream and affects no other."""

import pytest
import torch
from torch import Tensor, nn

from tests.trainers.models.recurrence import lstm_outputs
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.applications.ptb import window_loss
from zerotune.trainers.data.windows import WindowSplit
from zerotune.trainers.models.language_model import LanguageModel
from zerotune.trainers.recipe import add_gradient, make_forward, split_micro_batches

VOCABULARY, STEPS = 11, 3
TEXT = torch.randint(VOCABULARY, (40 * STEPS + 1,), generator=torch.Generator().manual_seed(0))
SPLIT = WindowSplit(text=TEXT, num_steps=STEPS)


def small_model(dtype: torch.dtype = torch.float64, **options: float) -> LanguageModel:
    torch.manual_seed(1)
    return LanguageModel(VOCABULARY, num_hidden=5, num_layers=2, init_scale=0.5, **options).to(dtype)


def read(model: nn.Module, *batches: list[tuple[int, int]]) -> Tensor:
    """Return the logits of the last of these batches, each given as (window, stream) pairs."""
    outputs = [model(inputs) for inputs, _ in SPLIT.batches([torch.tensor(batch) for batch in batches])]
    return outputs[-1]


def test_the_number_of_parameters_is_that_of_the_tutorial():
    """Embedding, layers of four gates with two biases, softmax. Zaremba et al. report 66 million (large model)."""
    expected = {
        name: words * hidden + layers * 4 * (2 * hidden * hidden + 2 * hidden) + (hidden + 1) * words
        for name, words, hidden, layers in [("ptb_small", 10_000, 200, 2), ("ptb_large", 10_000, 1_500, 2)]
    }
    assert expected == {"ptb_small": 4_653_200, "ptb_large": 66_034_000}
    with torch.device("meta"):
        actual = {name: sum(p.numel() for p in APPLICATIONS[name].new_model({}, {}).parameters()) for name in expected}
    assert actual == expected


@pytest.mark.parametrize("init_scale", [0.1, 0.04])
def test_all_parameters_begin_uniform_within_the_scale(init_scale: float):
    for name, parameter in LanguageModel(200, num_hidden=50, init_scale=init_scale).named_parameters():
        assert parameter.abs().max() <= init_scale, name
        assert parameter.abs().max() > 0.9 * init_scale, name
        assert parameter.std().item() == pytest.approx(init_scale / 3**0.5, rel=0.2), name


def test_logits_equal_the_recurrence_written_out():
    model = small_model()
    outputs = lstm_outputs(model.lstm, [model.embedding.weight[word] for word in TEXT[: 2 * STEPS]])
    expected = [model.classifier.weight @ output + model.classifier.bias for output in outputs]
    actual = torch.cat([read(model, [(0, 0)])[0], read(model, [(1, 0)])[0]])
    torch.testing.assert_close(actual, torch.stack(expected))


def test_a_stream_goes_on_whoever_is_beside_it():
    together = read(small_model(), [(0, 0), (7, 1), (20, 2)], [(1, 0), (8, 1), (21, 2)])
    alone = read(small_model(), [(7, 1)], [(8, 1)])
    torch.testing.assert_close(together[1:2], alone)
    assert not torch.allclose(alone, read(small_model(), [(8, 1)]))


def test_a_stream_that_is_left_out_of_a_batch_keeps_its_state():
    expected = read(small_model(), [(0, 0), (7, 1)], [(1, 0), (8, 1)])
    model = small_model()
    read(model, [(0, 0), (7, 1)], [(1, 0)], [(30, 3)])
    torch.testing.assert_close(read(model, [(8, 1)]), expected[1:])


def test_a_state_that_is_reset_begins_at_zero():
    model = small_model()
    read(model, [(0, 0)])
    model.reset_state()
    assert torch.equal(read(model, [(1, 0)]), read(small_model(), [(1, 0)]))


def test_no_gradient_reaches_the_window_before():
    model = small_model()
    read(model, [(0, 0)])
    inputs, targets = next(SPLIT.batches([torch.tensor([[1, 0]])]))
    window_loss(model(inputs), targets).backward()
    before = set(TEXT[:STEPS].tolist()) - set(inputs.tokens.flatten().tolist())
    assert before
    assert model.embedding.weight.grad[sorted(before)].abs().max() == 0


def test_the_state_is_not_saved_with_the_weights():
    fresh, used = small_model(), small_model()
    read(used, [(0, 0)])
    assert list(used.state_dict()) == list(fresh.state_dict())


@pytest.mark.parametrize("micro_batch_size", [2, 3, 5])
def test_micro_batches_train_as_the_unsplit_batch(micro_batch_size: int):
    """Two epochs with carried states and a shortened last update: equal up to float64 rounding."""
    text = WindowSplit(text=TEXT[: 10 * STEPS + 1], num_steps=STEPS)

    def weights_after(size: int | None) -> dict[str, Tensor]:
        model = small_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        for epoch in (1, 2):
            model.reset_state()
            _, _, order = text.order(0, epoch, epochs=2, batch_size=7)
            for update in order.split(7):
                optimizer.zero_grad()
                pieces = split_micro_batches(update, size)
                add_gradient(model, window_loss, text.batches(pieces), num_samples=len(update))
                optimizer.step()
        return model.state_dict()

    whole, split = weights_after(None), weights_after(micro_batch_size)
    for name, value in whole.items():
        torch.testing.assert_close(split[name], value, rtol=1e-12, atol=1e-14)


def test_an_evaluation_in_inference_mode_leaves_nothing_that_training_cannot_use():
    model = small_model()
    with torch.inference_mode():
        read(model, [(0, 0), (9, 1)])
    inputs, targets = next(SPLIT.batches([torch.tensor([[1, 0], [10, 1], [20, 2]])]))
    window_loss(model(inputs), targets).backward()
    actual = model.classifier.weight.grad

    expected = small_model()
    read(expected, [(0, 0), (9, 1)])
    window_loss(expected(inputs), targets).backward()
    torch.testing.assert_close(actual, expected.classifier.weight.grad)


def test_bfloat16_carries_its_state_too():
    exact, mixed = small_model(torch.float32), small_model(torch.float32)
    forward = make_forward("bfloat16", torch.device("cpu"), mixed)
    for inputs, _ in SPLIT.batches([torch.tensor([[0, 0], [9, 1]]), torch.tensor([[1, 0], [10, 1]])]):
        expected, actual = exact(inputs), forward(inputs)
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, expected, rtol=0.05, atol=0.05)


def test_dropout_is_between_and_around_the_layers_and_never_recurrent():
    torch.manual_seed(0)
    model = LanguageModel(VOCABULARY, num_hidden=5, dropout=0.65)
    assert (model.dropout.p, model.lstm.dropout) == (0.65, 0.65)
    first, second = read(model, [(0, 0)]), read(model, [(0, 1)])
    assert not torch.equal(first, second)
    model.eval()
    model.reset_state()
    assert torch.equal(read(model, [(0, 0)]), read(model, [(0, 1)]))
