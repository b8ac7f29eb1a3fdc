"""Sums, means, bounds and directions of losses and scores, and the result of `measure`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.trainers.sanity_applications import (
    CLASSES,
    CLASSIFICATION,
    COLUMN,
    CONTRASTIVE,
    NUM_FEATURES,
    NUM_SAMPLES,
    RANKING,
    REGRESSION,
    SIGNS,
    TRANSLATION,
    Net,
    dataset,
    flat,
    mean_of_tokens,
    normalised,
    num_correct,
    refused,
    remarks,
    texts,
)
from zerotune.trainers import sanity_functions
from zerotune.trainers.applications import Application
from zerotune.trainers.applications.checks import field_problems
from zerotune.trainers.data import Dataset, Split, as_split
from zerotune.trainers.sanity_measure import check_measure
from zerotune.trainers.spec import Recipe

# Sums, means and what is neither


@pytest.mark.parametrize(
    ("score", "sentence"),
    [
        (lambda o, t: num_correct(o, t) / len(t), "score_sum: does not grow with the number of samples"),
        (lambda o, t: 1e9 * num_correct(o, t) / len(t), "score_sum: does not grow with the number of samples"),
        (lambda o, t: num_correct(o, t) * len(t), "score_sum: must double if every sample occurs twice"),
        (lambda o, t: num_correct(o, t) ** 0.5, "but it grows 1.41 times: a metric that is no such sum is computed by"),
        (lambda o, t: num_correct(o, t) * float("nan"), "score_sum: is nan on train before any training"),
    ],
)
def test_a_score_that_is_no_sum_is_refused(score: Callable[[Tensor, Tensor], Any], sentence: str) -> None:
    assert sentence in refused(replace(CLASSIFICATION, score_sum=score), CLASSES)


def test_a_mean_is_found_even_if_an_untrained_model_gets_nothing_right() -> None:
    data = dataset(torch.full((NUM_SAMPLES,), 2))
    never = replace(CLASSIFICATION, build_model=lambda: Net(3, lambda model, y: y - torch.tensor([0, 0, 99.0])))
    assert remarks(never, data) == ()
    mean = replace(never, score_sum=lambda o, t: num_correct(o, t) / len(t))
    assert "score_sum: does not grow with the number of samples" in refused(mean, data)


def test_a_score_that_depends_on_how_a_split_is_divided_is_remarked_on() -> None:
    def shared(outputs: Tensor, targets: Tensor) -> Tensor:  # right tokens of all tokens, times the samples
        is_token = targets != 0
        return ((outputs.argmax(dim=2) == targets) & is_token).sum() / is_token.sum() * len(targets)

    (said,) = remarks(replace(TRANSLATION, score_sum=shared), texts())
    assert said.startswith("score_sum: is no sum over the samples: it depends on how a split is divided into batches.")


BATCH_STATISTICS = replace(REGRESSION, loss=lambda o, t: F.mse_loss((o - o.mean()) / (o.std(correction=0) + 1e-3), t))
CLASS_WEIGHTS = replace(CLASSIFICATION, loss=lambda o, t: F.cross_entropy(o, t, weight=torch.tensor([1.0, 2.0, 5.0])))
CENTRED = replace(REGRESSION, build_model=lambda: Net(change=lambda model, y: y - y.mean() if model.training else y))
SIMILARITIES = replace(
    CONTRASTIVE,
    build_model=lambda: Net(8, lambda model, y: y @ y.T),
    loss=lambda o, t: F.cross_entropy(o, torch.arange(len(o))),
    score_sum=lambda o, t: o.diagonal().sum(),
)


@pytest.mark.parametrize(
    ("application", "data"),
    [
        (CONTRASTIVE, COLUMN),
        (BATCH_STATISTICS, COLUMN),
        (CLASS_WEIGHTS, CLASSES),
        (CENTRED, COLUMN),
        (SIMILARITIES, COLUMN),
        (replace(TRANSLATION, loss=mean_of_tokens), texts()),
    ],
    ids=["contrastive", "batch statistics", "class weights", "model", "similarities", "tokens"],
)
def test_an_objective_of_whole_batches_is_remarked_on_and_may_not_be_divided(
    application: Application, data: Dataset
) -> None:
    said = remarks(application, data)
    assert "so the objective itself depends on the batch size" in said[-1]
    for key, options in {
        "resources.workers_per_trial (2)": {"num_workers": 2},
        "recipe.micro_batch_size (16)": {"recipe": Recipe(micro_batch_size=16)},
        "recipe.micro_batch_size (auto)": {"recipe": Recipe(micro_batch_size="auto")},
    }.items():
        said_of_pair = refused(application, data, **options)
        assert said_of_pair.startswith("loss: is no mean over the samples")
        assert f"so that {key}, which divides batches, would train another objective" in said_of_pair


def test_batch_normalisation_needs_ghost_batches_among_workers() -> None:
    application = replace(CLASSIFICATION, build_model=normalised)
    assert "recipe.ghost_batch_size: is required if several workers" in refused(application, CLASSES, num_workers=2)
    auto = Recipe(micro_batch_size="auto")
    assert "recipe.micro_batch_size: 'auto' needs ghost_batch_size" in refused(application, CLASSES, recipe=auto)
    assert remarks(application, CLASSES, recipe=Recipe(ghost_batch_size=8), num_workers=2) == ()


def test_a_loss_that_refuses_a_last_update_of_one_sample_is_refused() -> None:
    def of_batch(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.mse_loss(F.batch_norm(outputs, None, None, training=True), targets)

    application = replace(REGRESSION, loss=of_batch)
    assert len(remarks(application, batch_sizes=(32,))) == 1
    said = refused(application, batch_sizes=(7,))  # 120 = 17 x 7 + 1
    assert said.startswith("loss: it refuses a batch of one sample (ValueError: Expected more than 1 value per channel")
    assert said.endswith("the last update at batch size 7 has one: choose another batch size")
    spread = replace(REGRESSION, loss=lambda o, t: F.mse_loss(o, t) / t.sub(t.mean()).square().mean())
    assert refused(spread, batch_sizes=(7,)).startswith("loss: is not finite on a batch of one sample, but with 120")


def test_large_outputs_are_compared_for_few_samples_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        seen.append(len(targets))
        return F.cross_entropy(outputs, targets)

    monkeypatch.setattr(sanity_functions, "MOST_NUMBERS", 3 * 12)
    assert remarks(replace(CLASSIFICATION, loss=loss), CLASSES) == ()
    assert set(seen) == {
        64,
        40,
        12,
        24,
        3,
        9,
        2,
    }  # the batches; a few, twice, and in two parts; the counting of operations
    weighted = replace(CLASS_WEIGHTS, loss=lambda o, t: F.cross_entropy(o, t, weight=torch.tensor([1.0, 2.0, 5.0])))
    assert len(remarks(weighted, CLASSES)) == 1


@pytest.mark.parametrize("field", ["score_sum", "loss", "other_scores"])
def test_an_integer_too_large_for_a_float_is_refused_with_a_sentence(field: str) -> None:
    """Found by fuzzing: it ended in a traceback."""
    given: Any = {"top": lambda o, t: 10**400} if field == "other_scores" else lambda o, t: 10**400
    said = refused(replace(CLASSIFICATION, **{field: given}), CLASSES)
    assert said.startswith(field)
    assert "must return a scalar" in said if field == "loss" else "is inf on train before any training" in said


# Bounds and directions


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"score_sum": lambda o, t: 100 * num_correct(o, t)}, "but 'accuracy' is at most 1: give a share, not percent"),
        ({"score_sum": lambda o, t: -num_correct(o, t)}, "but 'accuracy' is at least 0"),
        ({"finish_score": lambda mean: 100 * mean}, "score_sum: on train, the mean is "),
        (
            {"other_scores": {"val accuracy": lambda o, t: 100.0 * num_correct(o, t)}},
            "other_scores['val accuracy']: on",
        ),
        ({"metric": "F1", "score_sum": lambda o, t: 100 * num_correct(o, t)}, "but 'F1' is at most 1: give a share"),
        ({"score_sum": None, "measure": lambda model, split: 37.5}, "measure: is 37.5, but 'accuracy' is at most 1"),
    ],
)
def test_a_score_outside_the_bounds_of_its_name_is_refused(changes: dict[str, Any], sentence: str) -> None:
    assert sentence in refused(replace(CLASSIFICATION, **changes), CLASSES)


def test_other_scores_may_be_counts_whatever_their_name() -> None:
    counts = replace(CLASSIFICATION, other_scores={"recall_hits": lambda o, t: 500 * num_correct(o, t)})
    assert remarks(counts, CLASSES) == ()


def test_right_answers_counted_by_token_exceed_the_bound_although_an_untrained_model_has_few() -> None:
    wrong = replace(TRANSLATION, score_sum=lambda o, t: ((o.argmax(dim=2) == t) & (t != 0)).sum())
    assert "'accuracy' is at most 1" in refused(wrong, texts())


def test_a_share_in_percent_is_fine_where_the_chance_score_is_too() -> None:
    percent = replace(
        CLASSIFICATION, metric="recall", chance_score=33.0, score_sum=lambda o, t: 100 * num_correct(o, t)
    )
    assert remarks(percent, CLASSES) == ()
    assert list(field_problems(percent)) == []


def test_a_chance_score_or_target_outside_the_bounds_of_the_metric_is_refused() -> None:
    percent = replace(CLASSIFICATION, chance_score=33.0, target=95.0)
    assert list(field_problems(percent)) == [
        "chance_score: must be from 0 to 1 for the metric 'accuracy', got 33",
        "target: must be from 0 to 1 for the metric 'accuracy', got 95",
    ]


@pytest.mark.parametrize(
    ("metric", "higher"),
    [
        ("rmse", True),
        ("validation loss", True),
        ("perplexity", True),
        ("Top-1 error", True),
        ("R2", False),
        ("F1", False),
    ],
)
def test_a_direction_that_contradicts_the_metrics_name_is_remarked_on(metric: str, higher: bool) -> None:
    flagged = replace(REGRESSION, metric=metric, higher_is_better=higher, finish_score=lambda mean: 1 / (1 + mean))
    (said,) = [said for said in remarks(replace(flagged, finish_score=lambda mean: 1.0)) if said.startswith("metric: ")]
    assert said.startswith(f"metric: {metric!r} is usually better where it is {'lower' if higher else 'higher'}")


@pytest.mark.parametrize(
    ("metric", "higher"),
    [("neg_rmse", True), ("-loss", True), ("1 - error", True), ("score", True), ("score", False), ("gap", True)],
)
def test_a_direction_of_a_turned_or_unknown_metric_is_the_users(metric: str, higher: bool) -> None:
    assert remarks(replace(REGRESSION, metric=metric, higher_is_better=higher)) == ()


# measure


@pytest.mark.parametrize(
    ("measure", "sentence"),
    [
        (
            lambda model, split: torch.tensor(0.5),
            "measure: must return a number, got float32 (): .item() makes a number",
        ),
        (lambda model, split: None, "measure: must return a number, got a value of type NoneType"),
        (lambda model, split: float("nan"), "measure: is nan before any training"),
        (lambda model, split: 10**400, "measure: is inf before any training"),
        (lambda model, split: split.nothing, "measure: it raised AttributeError"),
        (lambda model, split: split.nothing, "it was called with the untrained model and 40 samples of validation"),
        (lambda model, split: float(len(split)), "measure: doubles if every sample occurs twice"),
    ],
)
def test_measure_is_called_once_and_its_result_checked(measure: Callable[..., Any], sentence: str) -> None:
    assert sentence in refused(replace(RANKING, measure=measure, metric="rank"), SIGNS)


def test_measure_sees_part_of_a_large_split_and_what_only_the_part_lacks_is_no_mistake() -> None:
    seen: list[int] = []

    def measure(model: nn.Module, split: Split) -> float:
        seen.append(len(split))
        raise ValueError("only one class present")

    size = 10**9  # operations a sample
    large = replace(RANKING, measure=measure, build_model=lambda: Net(change=lambda model, y: y.squeeze(1)))
    many = as_split((torch.zeros(1000, NUM_FEATURES), torch.zeros(1000)))
    check_measure(large, flat(), many, flops=size)
    assert seen == [90]
    loaded = as_split([(torch.zeros(NUM_FEATURES), 0.0)] * 1000)
    check_measure(large, flat(), loaded, flops=1)
    assert seen == [90, 500]
