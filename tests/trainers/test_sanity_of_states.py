"""State that builds or calls share, evaluation mode, data that vary, and short errors."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import random_split

from tests.trainers.sanity_applications import (
    CLASSES,
    CLASSIFICATION,
    COLUMN,
    NUM_FEATURES,
    NUM_SAMPLES,
    REGRESSION,
    Net,
    dataset,
    drawn,
    refused,
    remarks,
    squared_error,
)
from zerotune.trainers.applications.failure import MOST_CHARACTERS, ApplicationError, describe_error
from zerotune.trainers.data import DataError, Dataset, DataSource, as_split
from zerotune.trainers.sanity_check import load_data

# States


class Buffered(nn.Module):
    """A model that counts its training batches in a tensor, which its outputs depend on."""

    def __init__(self, count: Tensor, layer: nn.Module) -> None:
        super().__init__()
        self.register_buffer("count", count)
        self.count: Tensor
        self.layer = layer

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            self.count += 1
        outputs: Tensor = self.layer(inputs) + self.count
        return outputs


def shared_builds() -> Iterator[tuple[str, Callable[[], nn.Module]]]:
    """Return functions that build models with a state in common."""
    count, weight, norm = torch.zeros(1), torch.randn(1, NUM_FEATURES), nn.BatchNorm1d(NUM_FEATURES, affine=False)
    counter = itertools.count()

    def on_one_weight() -> nn.Module:
        model = nn.Linear(NUM_FEATURES, 1, bias=False)
        model.weight = nn.Parameter(weight)
        return model

    def counting() -> nn.Module:
        def add(model: nn.Module, outputs: Tensor) -> Tensor:
            if model.training:
                count.add_(1)
            return outputs + count

        return Net(change=add)

    yield "storage", on_one_weight
    yield "buffer", lambda: Buffered(count, nn.Linear(NUM_FEATURES, 1))
    yield "module", lambda: nn.Sequential(norm, nn.Linear(NUM_FEATURES, 1))
    yield "variable", counting

    def numbered() -> nn.Module:
        number = next(counter)
        return Net(change=lambda model, y: y + number)

    yield "numbered", numbered


@pytest.mark.parametrize("build", [pytest.param(build, id=name) for name, build in shared_builds()])
def test_a_state_that_two_builds_share_is_refused(build: Callable[[], nn.Module]) -> None:
    said = refused(replace(REGRESSION, build_model=build))
    assert said.startswith(
        ("build_model: returned the same weights twice", "build_model: using one model changes the next")
    )
    assert "one trial would continue with another's" in said


def test_a_constant_that_builds_share_is_fine() -> None:
    table, act = torch.ones(1), nn.ReLU()

    def build() -> nn.Module:
        model = nn.Sequential(nn.Linear(NUM_FEATURES, NUM_FEATURES), act, Net(change=lambda m, y: y + m.table))
        model[2].register_buffer("table", table)
        return model

    assert remarks(replace(REGRESSION, build_model=build)) == ()


class Carrying(Net):
    """A model that adds the outputs of the batch before, like a recurrent one that keeps its hidden state."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Tensor | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = super().forward(inputs)
        before, self.before = self.before, outputs.detach().mean()
        return outputs if before is None else outputs + before


class Resetting(Carrying):
    def reset_state(self) -> None:
        self.before = None


def test_a_state_between_batches_must_be_resettable() -> None:
    said = refused(replace(REGRESSION, build_model=Carrying))
    assert "it keeps a state between batches: reset it in a method reset_state()" in said
    assert remarks(replace(REGRESSION, build_model=Resetting)) == ()


def stateful(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    calls = itertools.count(1)
    return lambda outputs, targets: function(outputs, targets) * next(calls)


@pytest.mark.parametrize(
    ("field", "function"),
    [
        ("loss", stateful(F.mse_loss)),
        ("loss", lambda o, t: F.mse_loss(o, t) * np.random.rand()),
        ("score_sum", stateful(squared_error)),
    ],
)
def test_a_state_that_a_function_keeps_between_calls_is_refused(field: str, function: Callable[..., Any]) -> None:
    said = refused(replace(REGRESSION, **{field: function}))
    assert said.startswith(f"{field}: gives ")
    assert "for the same outputs and targets: it keeps a state, which one trial would leave to the next" in said


def test_a_loss_that_draws_from_torchs_generator_is_fine() -> None:
    assert remarks(replace(REGRESSION, loss=lambda o, t: F.mse_loss(o + 0.1 * torch.randn_like(o), t))) == ()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"loss": lambda o, t: o.sub_(t).square().mean()}, "loss: changes the outputs in place"),
        ({"loss": lambda o, t: (o - t.clamp_(min=0)).square().mean()}, "loss: changes the targets in place"),
        ({"score_sum": lambda o, t: o.sub_(t).square().sum()}, "score_sum: changes the outputs in place"),
    ],
)
def test_what_changes_its_arguments_in_place_is_refused(changes: dict[str, Any], sentence: str) -> None:
    assert sentence in refused(replace(REGRESSION, **changes))


def test_a_model_that_changes_its_inputs_in_place_is_refused() -> None:
    class Shifting(Net):
        def forward(self, inputs: Tensor) -> Any:
            return super().forward(inputs.add_(1))

    said = refused(replace(REGRESSION, build_model=Shifting))
    assert "build_model: the model changes its inputs in place" in said
    assert "(inputs.clone())" in said


# Evaluation mode


def test_dropout_in_evaluation_is_remarked_on() -> None:
    (said,) = remarks(replace(REGRESSION, build_model=lambda: Net(change=lambda model, y: F.dropout(y, 0.5))))
    assert "the model draws random numbers in evaluation mode too" in said
    assert said.endswith("every score is partly random.")
    noisy = replace(REGRESSION, build_model=lambda: Net(change=lambda model, y: y + torch.randn_like(y)))
    assert remarks(noisy) == (said,)


def test_batch_statistics_in_evaluation_are_remarked_on() -> None:
    def build() -> nn.Module:
        return nn.Sequential(Net(), nn.BatchNorm1d(1, track_running_stats=False))

    (said,) = remarks(replace(REGRESSION, build_model=build))
    assert "in evaluation mode, the outputs for a sample depend on the samples that are evaluated with it" in said


# Data


def test_a_load_that_draws_anew_at_each_call_is_refused_and_a_seeded_one_is_fine() -> None:
    whole = torch.utils.data.TensorDataset(drawn(NUM_FEATURES), torch.arange(NUM_SAMPLES))

    def load(folder: str | None, generator: Any = None) -> Dataset:
        parts = random_split(whole, (120, 40, 40), **({} if generator is None else {"generator": generator()}))
        return Dataset(
            **{name: as_split(part) for name, part in zip(("train", "validation", "test"), parts, strict=True)}
        )

    state = torch.get_rng_state()
    with pytest.raises(ApplicationError, match="data_sources: load returns other samples in train at every call"):
        load_data(DataSource(load=load), None, {})
    assert torch.equal(torch.get_rng_state(), state)
    load_data(DataSource(load=lambda folder: load(folder, lambda: torch.Generator().manual_seed(0))), None, {})


def test_noise_of_numpy_that_is_drawn_anew_at_each_load_is_refused() -> None:
    def load(folder: str | None) -> Dataset:
        return dataset(drawn(1), drawn(NUM_FEATURES) + 0.1 * torch.tensor(np.random.randn(NUM_SAMPLES, 1)))

    with pytest.raises(ApplicationError, match="load returns other samples in train at every call"):
        load_data(DataSource(load=load), None, {})


class Rows:
    """A map-style data set whose samples a function makes."""

    def __init__(self, sample: Callable[[int], Any]) -> None:
        self.sample = sample

    def __len__(self) -> int:
        return 80

    def __getitem__(self, position: int) -> Any:
        return self.sample(position)


def test_data_that_change_when_they_are_read_are_refused_in_evaluation_and_remarked_on_in_training() -> None:
    images = drawn(NUM_FEATURES)

    def shrink(position: int) -> tuple[Tensor, Tensor]:
        return images[position].div_(2), images[position][:1]

    shrinking = as_split(Rows(shrink), num_workers=0)
    said = refused(REGRESSION, replace(COLUMN, validation=shrinking))
    assert said.startswith("data_sources: reading the same samples of validation twice gives different ones")
    (remark,) = remarks(REGRESSION, replace(COLUMN, train=shrinking))
    assert remark.endswith("So a training cannot be repeated.")
    seeded = as_split(Rows(lambda i: (images[i] + torch.randn(NUM_FEATURES), images[i][:1])), num_workers=0)
    assert remarks(REGRESSION, replace(COLUMN, validation=seeded)) == ()


def test_labels_out_of_range_are_found_wherever_they_are_in_memory() -> None:
    targets = drawn(NUM_FEATURES).argmax(dim=1) % 3
    targets[77] = 3
    train = as_split((drawn(NUM_FEATURES), targets))
    said = refused(CLASSIFICATION, replace(CLASSES, train=train))
    assert said.startswith("loss: it, on train, raised IndexError: Target 3 is out of bounds.")
    assert said.endswith("outputs are float32 (64, 3), targets int64 (64,) from 0 to 3")


@pytest.mark.parametrize(
    ("sample", "sentence"),
    [
        ({"x": 1.0, "y": 2}, "got rows of 'x', 'y': name the columns, as_split(..., inputs=..., target=...)"),
        ((1.0, 2, 3), "samples must be (input, target) pairs, got 3 parts: return ((input, another input), target)"),
        (1.0, "samples must be (input, target) pairs, got type Tensor"),
    ],
)
def test_samples_that_are_no_pairs_are_reported_what_to_do(sample: Any, sentence: str) -> None:
    data = replace(COLUMN, train=as_split(Rows(lambda position: sample), num_workers=0))
    with pytest.raises(DataError) as error:
        remarks(REGRESSION, data)
    assert sentence in str(error.value)


def test_several_inputs_and_outputs_are_reported_what_to_do() -> None:
    both = as_split(Rows(lambda i: ({"ids": torch.zeros(3), "mask": torch.zeros(3)}, 0)), num_workers=0)

    class Two(nn.Linear):
        def forward(self, ids: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(ids)

    said = refused(replace(CLASSIFICATION, build_model=lambda: Two(3, 3)), replace(CLASSES, train=both))
    assert "raised TypeError: " in said
    assert "missing 1 required positional argument: 'mask'" in said
    assert (
        "has inputs dict of ('ids': float32 (64, 3), 'mask': float32 (64, 3)), which the model receives as one" in said
    )
    pair = replace(REGRESSION, build_model=lambda: Net(change=lambda model, y: (y, y)))
    assert "whose forward returns one, self.model(inputs)[0], or joins several by torch.cat" in refused(pair)
    named = replace(REGRESSION, build_model=lambda: Net(change=lambda model, y: {"logits": y}))
    assert (
        "got dict of ('logits': float32 (64, 1)): wrap it in a module whose forward returns one, self.model(inputs)"
        in (refused(named))
    )


# Errors


def test_an_error_names_the_users_line_and_is_short() -> None:
    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.mse_loss(outputs, targets.reshape("no shape" * 200))  # type: ignore[call-overload, no-any-return]

    line = loss.__code__.co_firstlineno + 1
    said = refused(replace(REGRESSION, loss=loss))
    assert f"(at test_sanity_of_states.py:{line})" in said
    assert len(describe_error(ValueError("long " * 200))) < MOST_CHARACTERS + 20


def test_a_model_that_ends_the_program_is_refused() -> None:
    def build() -> nn.Module:
        raise SystemExit(3)

    assert "build_model: it raised SystemExit: 3 (at test_sanity_of_states.py:" in refused(
        replace(REGRESSION, build_model=build)
    )
