from typing import Any

import pytest
import torch
from torch import nn

from zerotune.trainers.optimizers import OPTIMIZERS, build_optimizer, layerwise_groups
from zerotune.trainers.optimizers.layer_values import norms
from zerotune.trainers.spec import OptimizerSpec

ADAPTIVE = [name for name, entry in OPTIMIZERS.items() if "adapt_vectors" in entry.defaults]


def test_norms_of_half_precision_are_taken_in_float32() -> None:
    """Adding 1 + 300 * 2^-10 in bfloat16 would lose the small terms; 256^2 * 4 overflows float16."""
    small = torch.tensor([1.0] + [2.0**-5] * 300, dtype=torch.bfloat16)
    large = torch.full((4,), 256.0, dtype=torch.float16)
    assert norms([small], at_once=True).tolist() == pytest.approx([(1 + 300 * 2.0**-10) ** 0.5], rel=1e-6)  # type: ignore[union-attr]
    assert norms([large], at_once=False) == 512.0
    dtypes = [norms([tensor], at_once=True).dtype for tensor in (small, large.double())]  # type: ignore[union-attr]
    assert dtypes == [torch.float32, torch.float64]


def test_the_usual_groups_put_vectors_apart_unadapted_and_undecayed() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    matrices, vectors = layerwise_groups(model.named_parameters(), adapt_vectors=False)
    assert [tuple(p.shape) for p in matrices["params"]] == [(2, 3)]
    assert [tuple(p.shape) for p in vectors["params"]] == [(2,), (2,), (2,)]
    assert (vectors["layerwise"], vectors["weight_decay"]) == (False, 0.0)


def test_the_usual_groups_are_one_where_vectors_are_adapted_or_absent() -> None:
    model = nn.Linear(3, 2, bias=False)
    expected: list[dict[str, Any]] = [{"params": [model.weight]}]
    for adapt_vectors in (True, False):
        assert layerwise_groups(model.named_parameters(), adapt_vectors=adapt_vectors) == expected


@pytest.mark.parametrize("name", ADAPTIVE)
def test_unadapted_vectors_take_the_plain_step_of_the_solver(name: str) -> None:
    """A bias of norm 20 and a gradient of norm 2: the ratio would be 10; the plain step ignores the norms."""
    moved = []
    for size in (20.0, 40.0):
        bias = nn.Parameter(torch.tensor([size], dtype=torch.float64))
        spec = OptimizerSpec(name=name, options={"adapt_vectors": False, "weight_decay": 0.1})
        optimizer = build_optimizer(spec, [("bias", bias)], lr=0.5)
        bias.grad = torch.tensor([2.0], dtype=torch.float64)
        optimizer.step()
        moved.append(size - bias.item())
    assert moved[0] == pytest.approx(moved[1])
    assert moved[0] > 0
