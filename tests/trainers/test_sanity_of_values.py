"""Assumptions that only values show: sound models raise no alarm, and broadcasting is found."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.trainers.sanity_applications import (
    CLASSES,
    CLASSIFICATION,
    COLUMN,
    FLAT,
    NUM_FEATURES,
    NUM_SAMPLES,
    RANKING,
    REGRESSION,
    SIGNS,
    TRANSLATION,
    Net,
    dataset,
    drawn,
    flat,
    normalised,
    num_correct,
    refused,
    remarks,
    texts,
    with_auxiliary,
)
from zerotune.trainers.applications import Application
from zerotune.trainers.data import Dataset, as_split
from zerotune.trainers.spec import Recipe

# Models of ordinary users, which raise no alarm


@pytest.mark.parametrize(
    ("application", "data"),
    [
        (REGRESSION, COLUMN),
        (replace(REGRESSION, build_model=flat), FLAT),
        (replace(REGRESSION, loss=F.l1_loss, score_sum=lambda o, t: (o - t).abs().sum(), metric="mae"), COLUMN),
        (RANKING, SIGNS),
        (TRANSLATION, texts()),
        (replace(CLASSIFICATION, build_model=lambda: Net(6), loss=with_auxiliary), CLASSES),
        (replace(CLASSIFICATION, build_model=normalised), CLASSES),
        (replace(CLASSIFICATION, smoothed_loss=F.cross_entropy, other_scores={"top": num_correct}), CLASSES),
    ],
    ids=["mse", "flat mse", "l1", "AUROC", "padded", "auxiliary loss", "batch normalisation", "smoothed"],
)
def test_a_sound_application_is_not_remarked_on(application: Application, data: Dataset) -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    assert remarks(application, data, batch_sizes=(7, 32), epochs=2) == ()
    assert torch.equal(torch.get_rng_state(), state)


def test_sound_losses_may_be_divided_among_workers_and_micro_batches() -> None:
    assert remarks(REGRESSION, recipe=Recipe(micro_batch_size=4), num_workers=4) == ()
    assert remarks(TRANSLATION, texts(), recipe=Recipe(micro_batch_size="auto")) == ()


# Broadcasting


def weighted_bce(outputs: Tensor, targets: Tensor) -> Tensor:
    return -(targets * F.logsigmoid(outputs) + (1 - targets) * F.logsigmoid(-outputs)).mean()


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize(
    "loss", [F.mse_loss, F.l1_loss, F.huber_loss, F.smooth_l1_loss, lambda o, t: ((o - t) ** 2).mean(), weighted_bce]
)
@pytest.mark.parametrize("build", [Net, flat])
def test_a_loss_that_pairs_every_output_with_every_target_is_refused(
    loss: Callable[[Tensor, Tensor], Tensor], build: Callable[[], nn.Module]
) -> None:
    shapes = ("(64, 1)", "(64,)") if build is Net else ("(64,)", "(64, 1)")
    data = FLAT if build is Net else COLUMN
    score = replace(REGRESSION, build_model=build, score_sum=lambda o, t: (o.flatten() - t.flatten()).square().sum())
    assert refused(replace(score, loss=loss), data) == (
        f"loss: pairs every output with every target: float32 {shapes[0]} against float32 {shapes[1]} is broadcast: "
        "use outputs.reshape(targets.shape) in it"
    )
    fixed = replace(score, loss=lambda o, t: loss(o.reshape(t.shape), t))
    assert remarks(fixed, data) == ()


def test_broadcasting_is_found_where_all_targets_of_the_batch_are_equal() -> None:
    data = replace(SIGNS, train=as_split((drawn(NUM_FEATURES), torch.ones(NUM_SAMPLES))))
    said = refused(replace(REGRESSION, loss=weighted_bce, score_sum=lambda o, t: (o[:, 0] - t).abs().sum()), data)
    assert said.startswith("loss: pairs every output with every target")


@pytest.mark.parametrize(
    ("application", "data", "advice"),
    [
        (replace(REGRESSION, loss=lambda o, t: F.mse_loss(o[:, 0], t)), FLAT, "outputs.reshape(targets.shape)"),
        (replace(REGRESSION, build_model=flat, loss=lambda o, t: F.mse_loss(o, t[:, 0])), COLUMN, "outputs.reshape"),
        (
            replace(CLASSIFICATION, loss=lambda o, t: F.cross_entropy(o, t[:, 0])),
            dataset((drawn(NUM_FEATURES).argmax(dim=1) % 3)[:, None]),
            "targets.flatten()",
        ),
    ],
)
def test_a_score_that_pairs_every_output_with_every_target_is_refused(
    application: Application, data: Dataset, advice: str
) -> None:
    said = refused(application, data)
    assert said.startswith("score_sum: pairs every output with every target: ")
    assert advice in said
