"""Small applications for tests of the sanity check, and what it says of them."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zerotune.trainers.applications import Application
from zerotune.trainers.applications.failure import ApplicationError
from zerotune.trainers.data import Dataset, DataSource, Split, divide
from zerotune.trainers.sanity_check import run_sanity_check

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
