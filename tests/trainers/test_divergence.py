"""A training diverges by a number that is none, or by a loss that stays far above the untrained model's; nothing else.

The loss of `Scripted` is a function of the number of updates alone, and so says exactly what the rule is given.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor, nn

from tests.trainers.small_trainings import LENET, PLAIN
from zerotune.trainers.applications import APPLICATIONS, Application
from zerotune.trainers.applications.failure import ApplicationError
from zerotune.trainers.data import Dataset, DataSource, TensorSplit
from zerotune.trainers.loop import Training, train
from zerotune.trainers.packing.packed_training import PackedTraining
from zerotune.trainers.spec import PATIENCE, Placement, ScheduleSpec, TrainConfig, TrainResult

NUM_SAMPLES = 8
TRAIN, VALIDATION, TEST = 0.0, 1.0, 2.0
"""Targets, which tell the loss and the scores their split."""


class Scripted(nn.Module):
    """Its output is minus the number of updates, since the gradient of its loss is always 1."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.weight + inputs


Curve = Callable[[Tensor, Tensor], Tensor]
"""(number of updates, split) -> value."""


def constant(value: float) -> Curve:
    return lambda updates, split: torch.full_like(updates, value)


def when(condition: Callable[[Tensor, Tensor], Tensor], value: float, otherwise: float) -> Curve:
    return lambda updates, split: torch.where(condition(updates, split), value, otherwise)


UNTRAINED, HALF = constant(2.3), constant(0.5)


@dataclass(frozen=True, kw_only=True)
class Script:
    """What a training shows, by the number of its updates: one an epoch unless `updates` says more."""

    loss: Curve = UNTRAINED
    score: Curve = HALF
    others: Mapping[str, Curve] = field(default_factory=dict)
    finish_score: Callable[[float], float] = float
    epochs: int = 3
    updates: int = 1


def scripted(script: Script) -> Application:
    def value(curve: Curve, outputs: Tensor, targets: Tensor) -> Tensor:
        return curve(-outputs.detach(), targets)

    def split(target: float) -> TensorSplit:
        return TensorSplit(inputs=torch.zeros(NUM_SAMPLES), targets=torch.full((NUM_SAMPLES,), target))

    data = Dataset(train=split(TRAIN), validation=split(VALIDATION), test=split(TEST))
    return replace(
        APPLICATIONS["lenet_mnist"],
        build_model=Scripted,
        data_sources={"drawn": DataSource(load=lambda folder: data)},
        loss=lambda outputs, targets: (outputs - outputs.detach() + value(script.loss, outputs, targets)).mean(),
        score_sum=lambda outputs, targets: value(script.score, outputs, targets).sum(),
        other_scores={
            name: lambda outputs, targets, curve=curve: value(curve, outputs, targets).sum()
            for name, curve in script.others.items()
        },
        finish_score=script.finish_score,
    )


def alone(config: TrainConfig) -> TrainResult:
    return train(config)


def packed(config: TrainConfig) -> TrainResult:
    """Return the second of two equal trainings in a pack."""
    pack = PackedTraining([config, config], Placement())
    while pack.running:
        pack.run_epoch()
    first, second = pack.results()
    assert (first.status, first.divergence) == (second.status, second.divergence)
    return second


@pytest.fixture(params=[alone, packed])
def play(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Script], TrainResult]:
    """Return a function that trains a script: alone, or in a pack."""

    def run(script: Script) -> TrainResult:
        monkeypatch.setitem(APPLICATIONS, "scripted", scripted(script))
        config = replace(
            LENET,
            application="scripted",
            data="drawn",
            batch_size=NUM_SAMPLES // script.updates,
            epochs=script.epochs,
            schedule=ScheduleSpec(peak_lr=1.0),
            optimizer=PLAIN,
        )
        return request.param(config)

    return run


Play = Callable[[Script], TrainResult]
FINISHED = {
    "a loss below 0 that falls": Script(loss=lambda updates, split: -1.0 - updates),
    "a loss from above 0 to far below it": Script(loss=lambda updates, split: 0.5 - 100.0 * updates, epochs=5),
    "a loss that rises by less than the stated amount": Script(loss=when(lambda t, s: t > 0, 25.2, 2.3)),
    "a small loss that rises by less than the stated amount": Script(loss=when(lambda t, s: t > 0, 10.0, 1e-6)),
    "a model that stays at chance": Script(score=constant(0.1)),
    "a blow-up that comes back": Script(loss=when(lambda t, s: (t > 0) & (t < 20), 1e6, 2.3), epochs=21),
    "a blow-up inside an epoch that comes back in it": Script(
        loss=when(lambda t, s: (t > 2) & (t < 7), 1e6, 2.3), updates=8, epochs=1
    ),
    "a loss that is far worse on validation alone": Script(loss=when(lambda t, s: (t > 0) & (s > 0), 1e6, 2.3)),
}


@pytest.mark.parametrize("name", FINISHED)
def test_a_training_whose_numbers_are_numbers_finishes_with_its_scores(name: str, play: Play) -> None:
    result = play(FINISHED[name])
    assert (result.status, result.divergence, len(result.epochs)) == ("finished", None, FINISHED[name].epochs)
    assert result.test_score == result.validation_score == pytest.approx(0.1 if "chance" in name else 0.5)


def late(updates: Tensor, split: Tensor) -> Tensor:
    return updates >= 2


DIVERGED = {
    "the validation accuracy is nan in epoch 2": Script(score=when(late, math.nan, 0.5)),
    "the validation accuracy is inf in epoch 2": Script(score=when(late, math.inf, 0.5)),
    "the validation accuracy is -inf in epoch 1": Script(score=constant(-math.inf)),
    "the validation top5 is nan in epoch 2": Script(others={"top1": constant(0.5), "top5": when(late, math.nan, 0.5)}),
    "the validation loss is nan in epoch 2": Script(loss=when(late, math.nan, 2.3)),
    "the training loss is nan in epoch 2": Script(
        loss=when(lambda t, s: (t >= 1) & (s == TRAIN), math.nan, 2.3), epochs=3
    ),
    "the test loss is nan in epoch 3": Script(loss=when(lambda t, s: s == TEST, math.nan, 2.3)),
    "the test accuracy is inf in epoch 3": Script(score=when(lambda t, s: s == TEST, math.inf, 0.5)),
    "the test top5 is nan in epoch 3": Script(others={"top5": when(lambda t, s: s == TEST, math.nan, 0.5)}),
    "the training loss is 1e+06 in epoch 1, and was 2.3 before training": Script(
        loss=when(lambda t, s: t > 0, 1e6, 2.3), epochs=1
    ),
    "the training loss is 11 in epoch 3, and was 0 before training": Script(loss=when(lambda t, s: t > 0, 11.0, 0.0)),
    "the training loss is 100 in epoch 3, and was -5 before training": Script(
        loss=when(lambda t, s: t > 0, 100.0, -5.0)
    ),
}


@pytest.mark.parametrize("sentence", DIVERGED)
def test_a_divergence_names_the_number_and_the_epoch_and_scores_chance(sentence: str, play: Play) -> None:
    result = play(DIVERGED[sentence])
    assert (result.status, result.divergence) == ("diverged", sentence)
    assert (result.validation_score, result.test_score, result.test_loss) == (0.1, 0.1, None)
    assert result.diverged_on_test == ("the test" in sentence)
    kept = 0.5 if result.diverged_on_test else 0.1
    assert result.epochs[-1].validation_score == pytest.approx(kept)


def test_a_loss_that_stays_away_ends_the_training_after_a_stated_number_of_updates(play: Play) -> None:
    result = play(Script(loss=when(lambda t, s: t > 0, 1e6, 2.3), updates=8, epochs=30))
    assert (result.status, len(result.epochs)) == ("diverged", 1 + math.ceil(PATIENCE / 8))


def test_an_infinite_factor_ends_no_training_whose_loss_is_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(APPLICATIONS, "scripted", scripted(Script(loss=when(lambda t, s: t > 0, 1e6, 2.3))))
    config = replace(LENET, application="scripted", data="drawn", batch_size=8, divergence_factor=math.inf)
    assert train(config).status == "finished"


def overflow(mean: float) -> float:
    return math.exp(2000.0 * mean)


def huge(mean: float) -> float:
    return 10**400


@pytest.mark.parametrize("finish_score", [overflow, huge])
def test_a_score_that_overflows_is_a_divergence_and_no_failure(
    finish_score: Callable[[float], float], play: Play
) -> None:
    result = play(Script(finish_score=finish_score))
    assert (result.status, result.divergence) == ("diverged", "the validation accuracy is inf in epoch 1")


def test_a_score_too_large_to_average_over_seeds_is_a_divergence(play: Play) -> None:
    """Found by fuzzing: intervals and shares of such scores overflowed to "inf"."""
    assert play(Script(finish_score=lambda mean: 1e308)).divergence == "the validation accuracy is 1e+308 in epoch 1"


@pytest.mark.parametrize(
    ("measured", "sentence"),
    [
        (10**400, "the validation accuracy is inf in epoch 1"),
        (torch.tensor([math.nan]), "the validation accuracy is nan in epoch 1"),
        (0.25, None),
        (torch.tensor(0.25), None),
    ],
)
def test_what_measure_returns_is_judged_as_a_number(
    measured: object, sentence: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = replace(scripted(Script()), score_sum=None, measure=lambda model, split: measured)
    monkeypatch.setitem(APPLICATIONS, "scripted", given)
    result = train(replace(LENET, application="scripted", data="drawn", batch_size=8))
    assert result.divergence == sentence
    assert result.test_score == (0.1 if sentence else 0.25)
    assert isinstance(result.test_score, float)


@pytest.mark.parametrize(
    ("measured", "got"), [(torch.ones(2), r"a tensor of shape \(2,\)"), ("high", "str"), (None, "NoneType")]
)
def test_a_measure_that_returns_no_single_number_fails_by_its_name(
    measured: object, got: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = replace(scripted(Script()), score_sum=None, measure=lambda model, split: measured)
    monkeypatch.setitem(APPLICATIONS, "scripted", given)
    with pytest.raises(ApplicationError, match=rf"^measure: must return a single number, got {got}$"):
        train(replace(LENET, application="scripted", data="drawn", batch_size=8))


class HiddenWeight(Scripted):
    """Has a second weight whose gradient is not finite, and which evaluation does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Parameter(torch.zeros(()))

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = super().forward(inputs)
        return outputs + 0 * self.hidden.abs().sqrt() if self.training else outputs


def test_a_weight_that_is_not_finite_is_a_divergence_even_if_no_loss_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(APPLICATIONS, "scripted", replace(scripted(Script()), build_model=HiddenWeight))
    result = train(replace(LENET, application="scripted", data="drawn", batch_size=8, optimizer=PLAIN))
    assert (result.status, result.divergence) == ("diverged", "the weights hidden are not finite in epoch 1")


class Remembers(nn.Sequential):
    """Draws random numbers in evaluation mode too, keeps statistics, and keeps a tensor that it computed first."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.BatchNorm1d(784), nn.Linear(784, 10))
        self.kept: Tensor | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        self.kept = inputs.mean().expand(()) if self.kept is None else self.kept
        outputs: Tensor = super().forward(inputs)
        return nn.functional.dropout(outputs, training=True) + 0 * self.kept * self[2].bias


def test_measuring_the_untrained_model_changes_nothing_and_counts_as_no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(APPLICATIONS, "remembers", replace(APPLICATIONS["lenet_mnist"], build_model=Remembers))
    torch.manual_seed(3)
    state = torch.get_rng_state()
    training = Training(replace(LENET, application="remembers"), Placement())
    assert torch.equal(torch.get_rng_state(), state)
    assert training.model.training
    assert training.model[1].num_batches_tracked == 0
    assert torch.equal(training.model[1].running_mean, torch.zeros(784))
    result = training.result()
    assert (result.epochs, training.updates.samples) == ((), 0)
    assert training.run_epoch().samples == 3_000
