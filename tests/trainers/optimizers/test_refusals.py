"""Arguments of LARS, LAMB and DATE that are refused; their steps are tested in tests/oracles."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from zerotune.trainers.optimizers import DATE, LAMB, LARS
from zerotune.trainers.tables import UnknownName

BOUNDS = "ratio_low must be at least 0 and at most ratio_high, got"


@pytest.mark.parametrize(
    ("optimizer", "options", "sentence"),
    [
        (LARS, {"lr": -1.0}, "LARS: lr must be at least 0, got -1.0"),
        (LARS, {"momentum": 1.0}, "LARS: momentum must be at least 0 and below 1, got 1.0"),
        (LARS, {"weight_decay": -0.1}, "LARS: weight_decay must be at least 0, got -0.1"),
        (LARS, {"trust_coefficient": 0.0}, "LARS: trust_coefficient must be above 0, got 0.0"),
        (LAMB, {"beta1": 1.0}, "LAMB: beta1 must be at least 0 and below 1, got 1.0"),
        (LAMB, {"beta2": -0.1}, "LAMB: beta2 must be at least 0 and below 1, got -0.1"),
        (LAMB, {"eps": 0.0}, "LAMB: eps must be above 0, got 0.0"),
        (LAMB, {"phi_low": -1.0}, "LAMB: phi_low must be at least 0 and at most phi_high"),
        (DATE, {"lr": -1.0}, "lr must be at least 0, got -1"),
        (DATE, {"ratio_low": -1.0, "ratio_high": 1.0}, BOUNDS),
        (DATE, {"ratio_low": 2.0, "ratio_high": 1.0}, BOUNDS),
        (DATE, {"ratio_low": math.nan, "ratio_high": 1.0}, BOUNDS),
    ],
)
def test_numbers_out_of_range_are_refused(
    optimizer: Callable[..., Optimizer], options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        optimizer([nn.Parameter(torch.ones(1))], **{"lr": 1.0, **options})


def test_an_unknown_base_or_base_option_of_date_is_refused() -> None:
    weight = nn.Parameter(torch.ones(1))
    with pytest.raises(UnknownName, match="unknown base solver of DATE 'rmsprob': did you mean 'rmsprop'"):
        DATE([weight], lr=0.1, base="rmsprob")
    with pytest.raises(UnknownName, match="unknown option of base solver 'sgd' 'momentum'"):
        DATE([weight], lr=0.1, base="sgd", base_options={"momentum": 0.9})


@pytest.mark.parametrize("optimizer", [DATE, LAMB, LARS])
def test_a_sparse_gradient_is_refused_in_a_sentence(optimizer: Callable[..., Optimizer]) -> None:
    embedding = nn.Embedding(5, 2, sparse=True)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(
        RuntimeError, match=r"does not support the sparse gradient of a parameter of shape \(5, 2\): make it"
    ):
        optimizer(embedding.parameters(), lr=0.1).step()
