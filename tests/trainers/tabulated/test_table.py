"""Look-up of configurations in tables of past trainings."""

import math

import numpy as np
import pytest

from tests.trainers.tabulated.small_tables import asked, small_table
from zerotune.trainers.spec import DecaySpec, OptimizerSpec, Recipe
from zerotune.trainers.tabulated.table import NotTabulated


def test_a_training_has_the_score_and_the_seconds_of_its_seed() -> None:
    result = small_table().look_up(asked(seed=2))
    assert (result.status, result.validation_score, result.test_score) == ("finished", 0.74, 0.74)
    [epoch] = result.epochs
    assert (epoch.epoch, epoch.device_seconds, epoch.samples, epoch.iterations) == (5, 21.0, 500, 32)


def test_a_test_score_of_the_table_is_kept_apart_from_its_validation_score() -> None:
    table = small_table(test_scores=np.full((5, 2), 0.3))
    result = table.look_up(asked())
    assert (result.validation_score, result.test_score) == (0.7, 0.3)


def test_scores_between_two_learning_rates_are_linear_in_its_logarithm() -> None:
    result = small_table().look_up(asked(lr=math.sqrt(0.001 * 0.01)))
    assert result.validation_score == pytest.approx((0.5 + 0.7) / 2)
    assert result.epochs[0].device_seconds == pytest.approx(15.0)


def test_the_nearest_learning_rate_in_its_logarithm_answers_where_asked() -> None:
    table = small_table()
    scores = [table.look_up(asked(lr=lr), between="nearest").validation_score for lr in (0.0031, 0.0032)]
    assert scores == [0.5, 0.7]


def test_an_axis_is_interpolated_only_where_asked() -> None:
    table = small_table()
    with pytest.raises(NotTabulated, match=r"^small has no trainings with batch size 32: it has 16, 64: between them"):
        table.look_up(asked(batch_size=32))
    result = table.look_up(asked(batch_size=32), along=("lr", "batch_size"))
    assert result.validation_score == pytest.approx((0.7 + 0.6) / 2)


def test_rounded_values_of_a_table_are_met() -> None:
    assert small_table().look_up(asked(lr=0.0100000001), between="refuse").validation_score == 0.7


@pytest.mark.parametrize(
    ("changes", "part", "sentence"),
    [
        ({"lr": 0.2}, "lr", "small has no trainings with learning rate 0.2: it has 0.001, 0.01, 0.1: outside of them"),
        ({"seed": 3}, "seed", "small has no trainings with seed 3: its seeds are 1, 2"),
        (
            {"batch_size": 64, "lr": 0.05},
            "cell",
            "small lacks the training with learning rate 0.1, batch size 64, seed",
        ),
        ({"lr": 0.05, "seed": 2}, "score", "small has trainings on both sides of this one of which some diverged"),
        ({"warmup_epochs": 2.0}, "warmup_epochs", "a warm-up of 2 epochs: all of its trainings had no warm-up"),
        ({"decay": DecaySpec(name="cosine")}, "decay", "decay cosine: all of its trainings had decay constant"),
        ({"epochs": 6}, "epochs", "epochs 6: all of its trainings had epochs 5"),
        (
            {"optimizer": OptimizerSpec(name="date")},
            "optimizer",
            "optimizer date: all of its trainings had optimizer adam",
        ),
        ({"optimizer": OptimizerSpec(name="adam")}, "weight_decay", "all of its trainings had weight_decay 0.0001"),
        ({"recipe": Recipe(clip_norm=1.0)}, "clip_norm", "clip_norm 1: all of its trainings had no clip_norm"),
        ({"recipe": Recipe(precision="bfloat16")}, "precision", "all of its trainings had precision float32"),
    ],
)
def test_what_no_training_had_is_refused_in_a_sentence(changes: dict[str, object], part: str, sentence: str) -> None:
    with pytest.raises(NotTabulated, match="small") as caught:
        small_table().look_up(asked(**changes))
    assert sentence in str(caught.value)
    assert caught.value.part == part


def test_a_training_without_a_finite_score_diverged_and_has_the_score_of_chance() -> None:
    result = small_table().look_up(asked(lr=0.1, seed=2))
    assert (result.status, result.validation_score, result.test_score) == ("diverged", 0.1, 0.1)
    assert result.divergence == "the table has no finite score of it"


def test_all_seeds_are_the_look_ups_of_each() -> None:
    table = small_table()
    found = table.look_up_seeds(asked(lr=0.004))
    assert [*found] == [table.look_up(asked(lr=0.004, seed=seed)).test_score for seed in (1, 2)]


def test_of_all_seeds_those_that_diverged_are_infinite() -> None:
    assert [*small_table().look_up_seeds(asked(lr=0.1))] == [0.6, np.inf]


def test_all_seeds_are_refused_where_one_is_missing() -> None:
    scores = small_table().scores.copy()
    scores[1, 1] = np.nan
    with pytest.raises(NotTabulated, match=r"lacks the training with learning rate 0\.01, batch size 16, seed 2"):
        small_table(scores=scores).look_up_seeds(asked(lr=0.01))
