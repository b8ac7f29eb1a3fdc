"""The recipe: the effect of each part on a training, and equal training with a split and a whole batch."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.trainers.small_trainings import (
    LENET,
    NUM_SAMPLES,
    PLAIN,
    assert_same_training,
    numbers,
    trained,
    with_recipe,
)
from zerotune.trainers.applications import APPLICATIONS
from zerotune.trainers.loop import Training, train
from zerotune.trainers.spec import OptimizerSpec, Placement, Recipe, ScheduleSpec, TrainConfig

# -- micro-batches -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("micro_batch_size", [25, 30, 33])
def test_a_split_batch_trains_lenet_like_the_whole_one(few: TrainConfig, micro_batch_size: int):
    """25: equal pieces; 30: a smaller last piece; 33: a single sample remains."""
    config = replace(few, epochs=2)
    split = trained(with_recipe(config, precision="float64", micro_batch_size=micro_batch_size))
    assert_same_training(split, trained(with_recipe(config, precision="float64")))


@pytest.mark.parametrize("optimizer", ["adam", "lars", "lamb", "date"])
def test_a_split_batch_trains_like_the_whole_one_with_every_kind_of_optimizer(optimizer: str, batch_norm: TrainConfig):
    config = replace(batch_norm, optimizer=OptimizerSpec(name=optimizer), schedule=ScheduleSpec(peak_lr=0.01))
    recipe = {"precision": "float64", "ghost_batch_size": 8, "clip_norm": 0.5}
    split = trained(with_recipe(config, micro_batch_size=16, **recipe))
    assert_same_training(split, trained(with_recipe(config, **recipe)))


@pytest.mark.parametrize("batch_size", [97, 100, 300])
@pytest.mark.parametrize(("ghost", "micro"), [(16, 16), (16, 32), (8, 24)])
def test_ghosts_inside_the_pieces_make_a_split_batch_with_batch_norm_equal(
    batch_norm: TrainConfig, batch_size: int, ghost: int, micro: int
):
    config = replace(batch_norm, batch_size=batch_size)
    split = trained(with_recipe(config, precision="float64", ghost_batch_size=ghost, micro_batch_size=micro))
    assert_same_training(split, trained(with_recipe(config, precision="float64", ghost_batch_size=ghost)))


def test_without_ghosts_the_statistics_of_a_split_batch_are_its_pieces(batch_norm: TrainConfig):
    whole = trained(with_recipe(batch_norm, precision="float64"))
    split = trained(with_recipe(batch_norm, precision="float64", micro_batch_size=32))
    ghosts = trained(with_recipe(batch_norm, precision="float64", ghost_batch_size=32))
    assert_same_training(split, ghosts)
    assert not torch.allclose(split.model[0].weight, whole.model[0].weight, rtol=1e-4)


def test_the_model_sees_no_more_than_a_micro_batch_at_once(batch_norm: TrainConfig):
    training = Training(with_recipe(replace(batch_norm, epochs=1), micro_batch_size=40), Placement())
    seen: list[int] = []
    training.model.register_forward_hook(
        lambda model, inputs, _: seen.append(len(inputs[0])) if model.training else None
    )
    training.run_epoch()
    assert seen == [40, 40, 17] * 3 + [9]


@pytest.mark.parametrize(
    ("batch_size", "sizes", "recorded"),
    [(97, [32, 32, 33], (33, 3)), (100, [32, 32, 32, 4], (32, 4)), (33, [33], (None, 1))],
)
def test_what_is_recorded_of_a_split_batch_is_what_is_computed(
    batch_size: int, sizes: list[int], recorded: tuple[int | None, int], batch_norm: TrainConfig
):
    """A single remaining sample joins the previous piece."""
    training = Training(with_recipe(replace(batch_norm, batch_size=batch_size), micro_batch_size=32), Placement())
    seen: list[int] = []
    training.model.register_forward_hook(lambda model, inputs, _: seen.append(len(inputs[0])))
    training.time_updates(1)
    assert seen == sizes
    assert (training.result().micro_batch_size, training.result().accumulation_steps) == recorded


def test_splitting_changes_no_count_of_work(batch_norm: TrainConfig):
    recipes = [Recipe(), Recipe(micro_batch_size=32), Recipe(ghost_batch_size=16), Recipe(precision="bfloat16")]
    counts = [
        [(m.iterations, m.samples, m.flops) for m in train(replace(batch_norm, recipe=recipe)).epochs]
        for recipe in recipes
    ]
    assert counts[1:] == counts[:1] * 3


def test_a_batch_that_the_recipe_does_not_split_is_trained_as_without_it(batch_norm: TrainConfig):
    unsplit = train(with_recipe(batch_norm, ghost_batch_size=98, micro_batch_size=196))
    assert numbers(unsplit) == numbers(train(batch_norm))


# -- clipping ----------------------------------------------------------------------------------------------------------


def first_step(config: TrainConfig) -> tuple[float, torch.Tensor]:
    """Return the length of the first update and the update: full batch, plain gradient descent at learning rate 1."""
    one_update = replace(config, batch_size=NUM_SAMPLES, epochs=1, optimizer=PLAIN, schedule=ScheduleSpec(peak_lr=1.0))
    training = Training(one_update, Placement())
    before = nn.utils.parameters_to_vector(training.model.parameters()).clone()
    training.run_epoch()
    step = nn.utils.parameters_to_vector(training.model.parameters()).detach() - before
    return step.norm().item(), step


@pytest.mark.parametrize("micro_batch_size", [None, 70])
def test_a_longer_gradient_is_clipped_to_the_global_norm_and_keeps_its_direction(
    batch_norm: TrainConfig, micro_batch_size: int | None
):
    common = {"precision": "float64", "ghost_batch_size": 10, "micro_batch_size": micro_batch_size}
    free_length, free = first_step(with_recipe(batch_norm, **common))
    length, clipped = first_step(with_recipe(batch_norm, clip_norm=0.25 * free_length, **common))
    assert length == pytest.approx(0.25 * free_length, rel=1e-5)
    assert torch.dot(free, clipped).item() == pytest.approx(free_length * length, rel=1e-9)


def test_a_shorter_gradient_is_left_alone(batch_norm: TrainConfig):
    free_length, free = first_step(batch_norm)
    assert torch.equal(first_step(with_recipe(batch_norm, clip_norm=1.01 * free_length))[1], free)


# -- label smoothing ---------------------------------------------------------------------------------------------------


def test_labels_are_smoothed_in_the_training_loss_only(few: TrainConfig):
    """A learning rate near 0 leaves the weights unchanged, so the losses are those of the initial weights."""
    still = replace(few, batch_size=120, schedule=ScheduleSpec(peak_lr=1e-12))
    training = Training(with_recipe(still, precision="float64", label_smoothing=0.2), Placement())
    with torch.no_grad():
        log_shares = training.model(training.data.train.inputs).log_softmax(dim=1)
    of_label = -log_shares.gather(1, training.data.train.targets[:, None]).mean().item()
    metrics = training.run_epoch()
    assert metrics.train_loss == pytest.approx(0.8 * of_label + 0.2 * -log_shares.mean().item(), rel=1e-9)

    plain = train(with_recipe(still, precision="float64"))
    assert metrics.validation_loss == pytest.approx(plain.epochs[0].validation_loss, rel=1e-9)
    assert training.result().test_loss == pytest.approx(plain.test_loss, rel=1e-9)


def test_smoothing_is_refused_where_nothing_is_classified(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(APPLICATIONS, "regression", replace(APPLICATIONS["lenet_mnist"], smoothed_loss=None))
    config = with_recipe(replace(LENET, application="regression"), label_smoothing=0.1)
    with pytest.raises(ValueError, match="recipe: label_smoothing is for applications that classify"):
        train(config)


# -- precision ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("application", ["lenet_mnist", "lstm_mnist"])
def test_bfloat16_multiplies_in_bfloat16_and_keeps_weights_state_and_loss_in_float32(
    few: TrainConfig, application: str, monkeypatch: pytest.MonkeyPatch
):
    seen: set[torch.dtype] = set()

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen.add(outputs.dtype)
        return F.cross_entropy(outputs, targets)

    monkeypatch.setitem(APPLICATIONS, "spied", replace(APPLICATIONS[application], loss=loss))
    config = replace(few, application="spied")
    mixed, full = trained(with_recipe(config, precision="bfloat16")), trained(config)
    assert seen == {torch.float32}
    assert {parameter.dtype for parameter in mixed.model.parameters()} == {torch.float32}
    assert {state["momentum_buffer"].dtype for state in mixed.optimizer.state.values()} == {torch.float32}
    losses = [training.result().epochs[0].train_loss for training in (mixed, full)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert losses[0] != losses[1]


def test_float64_is_float64_throughout_and_agrees_with_float32(batch_norm: TrainConfig):
    double, single = (trained(with_recipe(batch_norm, precision=name)) for name in ("float64", "float32"))
    assert {value.dtype for value in double.model.state_dict().values() if value.is_floating_point()} == {torch.float64}
    assert {split.inputs.dtype for split in (double.data.train, double.data.test)} == {torch.float64}
    assert double.data.train.targets.dtype == torch.int64
    assert single.data.train.inputs.dtype == torch.float32
    losses = [[m.train_loss for m in training.result().epochs] for training in (double, single)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(clip_norm=0.0), "recipe: clip_norm must be above 0 and finite, got 0."),
        (Recipe(clip_norm=float("nan")), "recipe: clip_norm must be above 0 and finite, got nan."),
        (Recipe(label_smoothing=1.0), "recipe: label_smoothing must be at least 0 and below 1, got 1."),
        (Recipe(label_smoothing=-0.1), "recipe: label_smoothing must be at least 0 and below 1, got -0.1."),
        (Recipe(micro_batch_size=0), "recipe: micro_batch_size must be at least 1, got 0."),
        (
            Recipe(ghost_batch_size=32, micro_batch_size=48),
            "recipe: micro_batch_size must be a multiple of ghost_batch_size (32), got 48.",
        ),
        (Recipe(ghost_batch_size=32), "ghost_batch_size has no effect: the model has no batch normalisation."),
    ],
    ids=str,
)
def test_a_recipe_that_cannot_be_trained_with_is_refused(recipe: Recipe, message: str):
    with pytest.raises(ValueError) as error:
        Training(replace(LENET, recipe=recipe), Placement())
    assert str(error.value) == message
