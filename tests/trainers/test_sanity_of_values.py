"""Assumptions that only values show: means and sums, broadcasting, states, bounds; and models that break none."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import random_split

from zerotune.trainers import sanity_functions
from zerotune.trainers.applications import Application
from zerotune.trainers.applications.checks import field_problems
from zerotune.trainers.applications.failure import MOST_CHARACTERS, ApplicationError, describe_error
from zerotune.trainers.data import DataError, Dataset, DataSource, Split, as_split, divide
from zerotune.trainers.sanity_check import load_data, run_sanity_check
from zerotune.trainers.sanity_measure import check_measure
from zerotune.trainers.spec import Recipe

NUM_SAMPLES, NUM_FEATURES, LENGTH, NUM_TOKENS = 200, 6, 7, 11


def drawn(*shape: int) -> Tensor:
    return torch.randn(NUM_SAMPLES, *shape, generator=torch.Generator().manual_seed(0))


def dataset(targets: Tensor, inputs: Any = None) -> Dataset:
    train, validation, test = divide((drawn(NUM_FEATURES) if inputs is None else inputs, targets), (0.6, 0.2, 0.2))
    return Dataset(train=train, validation=validation, test=test)


COLUMN = dataset(drawn(NUM_FEATURES).sum(dim=1, keepdim=True))
FLAT = dataset(drawn(NUM_FEATURES).sum(dim=1))
SIGNS = dataset((drawn(NUM_FEATURES).sum(dim=1) > 0).float())
CLASSES = dataset(drawn(NUM_FEATURES).argmax(dim=1) % 3)


class Net(nn.Module):
    """A linear model whose outputs (N, K) a function changes; `squeeze` makes (N, 1) to (N,)."""

    def __init__(self, num_outputs: int = 1, change: Callable[[nn.Module, Tensor], Any] = lambda model, y: y) -> None:
        super().__init__()
        self.layer = nn.Linear(NUM_FEATURES, num_outputs)
        self.change = change

    def forward(self, inputs: Tensor) -> Any:
        return self.change(self, self.layer(inputs))


def flat() -> nn.Module:
    return Net(change=lambda model, y: y.squeeze(1))


def classes() -> nn.Module:
    return Net(3)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().sum()


def num_correct(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.argmax(dim=1) == targets).sum()


REGRESSION = Application(
    build_model=Net,
    data_sources={"drawn": DataSource(load=lambda folder: COLUMN)},
    loss=F.mse_loss,
    score_sum=squared_error,
    finish_score=math.sqrt,
    metric="rmse",
    higher_is_better=False,
    chance_score=3.0,
)
CLASSIFICATION = replace(
    REGRESSION,
    build_model=classes,
    loss=F.cross_entropy,
    score_sum=num_correct,
    finish_score=float,
    metric="accuracy",
    higher_is_better=True,
    chance_score=0.33,
)


def remarks(application: Application, data: Dataset = COLUMN, **options: Any) -> tuple[str, ...]:
    return run_sanity_check(application, data, {}, **options)


def refused(application: Application, data: Dataset = COLUMN, **options: Any) -> str:
    with pytest.raises(ApplicationError) as error:
        remarks(application, data, **options)
    return str(error.value)


# Models of ordinary users, which raise no alarm


class Text(nn.Module):
    """A padded transformer that masks its padding, token 0; (N, LENGTH) -> (N, LENGTH, NUM_TOKENS)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(NUM_TOKENS, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, NUM_TOKENS)

    def forward(self, tokens: Tensor) -> Tensor:
        found: Tensor = self.head(self.layer(self.embedding(tokens), src_key_padding_mask=tokens == 0))
        return found


def texts() -> Dataset:
    lengths = drawn(1).abs().mul(3).long().clamp(1, LENGTH)
    tokens = drawn(LENGTH).mul(3).long().abs().clamp(1, NUM_TOKENS - 1)
    tokens[torch.arange(LENGTH) >= lengths] = 0
    return dataset(tokens, tokens)


def mean_of_texts(outputs: Tensor, targets: Tensor) -> Tensor:
    losses = F.cross_entropy(outputs.transpose(1, 2), targets, ignore_index=0, reduction="none")
    return (losses.sum(dim=1) / (targets != 0).sum(dim=1)).mean()


def mean_of_tokens(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs.transpose(1, 2), targets, ignore_index=0)


def right_tokens(outputs: Tensor, targets: Tensor) -> Tensor:
    is_token = targets != 0
    return (((outputs.argmax(dim=2) == targets) & is_token).sum(dim=1) / is_token.sum(dim=1)).sum()


def auroc(model: nn.Module, split: Split) -> float:
    pairs = [(model(inputs).flatten(), targets.flatten()) for inputs, targets in split.batches(split.evaluation_keys())]
    scores, labels = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    above = scores[labels == 1][:, None] - scores[labels == 0]
    return ((above > 0).float() + (above == 0).float() / 2).mean().item()


def contrastive(outputs: Tensor, targets: Tensor) -> Tensor:
    outputs, views = (F.normalize(part, dim=1) for part in outputs.chunk(2, dim=1))
    return F.cross_entropy(outputs @ views.T / 0.1, torch.arange(len(outputs)))


def with_auxiliary(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs[:, :3], targets) + 0.3 * F.cross_entropy(outputs[:, 3:], targets)


def normalised() -> nn.Module:
    layers = (nn.Linear(NUM_FEATURES, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True), nn.Dropout(0.3), nn.Linear(8, 3))
    return nn.Sequential(*layers)


TRANSLATION = replace(CLASSIFICATION, build_model=Text, loss=mean_of_texts, score_sum=right_tokens)
CONTRASTIVE = replace(
    REGRESSION,
    build_model=lambda: Net(8),
    loss=contrastive,
    score_sum=lambda o, t: F.cosine_similarity(*o.chunk(2, dim=1)).sum(),
    finish_score=float,
    metric="alignment",
    higher_is_better=True,
    chance_score=0.0,
)
RANKING = replace(
    CLASSIFICATION,
    build_model=flat,
    loss=F.binary_cross_entropy_with_logits,
    score_sum=None,
    measure=auroc,
    metric="AUROC",
    chance_score=0.5,
)


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
def test_samples_that_are_no_pairs_are_told_what_to_do(sample: Any, sentence: str) -> None:
    data = replace(COLUMN, train=as_split(Rows(lambda position: sample), num_workers=0))
    with pytest.raises(DataError) as error:
        remarks(REGRESSION, data)
    assert sentence in str(error.value)


def test_several_inputs_and_outputs_are_told_what_to_do() -> None:
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
    assert f"(at test_sanity_of_values.py:{line})" in said
    assert len(describe_error(ValueError("long " * 200))) < MOST_CHARACTERS + 20


def test_a_model_that_ends_the_program_is_refused() -> None:
    def build() -> nn.Module:
        raise SystemExit(3)

    assert "build_model: it raised SystemExit: 3 (at test_sanity_of_values.py:" in refused(
        replace(REGRESSION, build_model=build)
    )
