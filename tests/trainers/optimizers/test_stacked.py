"""Stacked models step as each of them does alone, with every stackable solver."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from zerotune.trainers.optimizers import OPTIMIZERS, build_optimizer
from zerotune.trainers.optimizers.parameter_free import PARAMETER_FREE
from zerotune.trainers.optimizers.stacked import can_be_stacked, keep_models, set_learning_rates, stacked_optimizer
from zerotune.trainers.spec import OptimizerSpec, OptionValue

PEAKS = (0.1, 0.2, 0.3)
OPTIONS: list[tuple[str, dict[str, OptionValue]]] = [
    ("momentum", {"nesterov": True, "weight_decay": 1e-2}),
    ("adam", {"weight_decay": 0.1}),
    ("adamw", {"weight_decay": 0.1}),
    ("lars", {"nesterov": True, "weight_decay": 1e-2, "adapt_vectors": False, "trust_coefficient": 1.0}),
    ("lars", {"larc_clip": True, "lr_in_buffer": False, "trust_coefficient": 0.1}),
    ("lamb", {"weight_decay": 0.1, "decay_in_ratio": False}),
    ("lamb", {"weight_decay": 0.1, "bias_correction": False}),
    ("date", {"ratio_low": 0.5, "ratio_high": 2.0, "weight_decay": 1e-2}),
    ("layerwise-adam", {"ratio": "update", "bounds": "none"}),
    ("layerwise-adamw", {"ratio": "gradient", "bounds": "dynamic"}),
]
SPECS = [OptimizerSpec(name=name) for name in OPTIMIZERS if name not in PARAMETER_FREE]
SPECS += [OptimizerSpec(name=name, options=options) for name, options in OPTIONS]


def models() -> list[nn.Module]:
    found: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        for seed in range(len(PEAKS)):
            torch.manual_seed(seed)
            found.append(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)).double())
    return found


def stack(of: list[nn.Module]) -> dict[str, nn.Parameter]:
    values = [dict(model.named_parameters()) for model in of]
    return {name: nn.Parameter(torch.stack([value[name].detach() for value in values])) for name in values[0]}


def gradients(stacked: dict[str, nn.Parameter], step: int) -> Iterator[tuple[str, Tensor]]:
    """Yield every model's gradients, the same for any selection of stacked models."""
    generator = torch.Generator().manual_seed(step)
    for name, parameter in stacked.items():
        gradient = torch.randn((len(PEAKS), *parameter.shape[1:]), generator=generator, dtype=torch.float64)
        yield name, gradient


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.name} {dict(spec.options)}")
def test_stacked_models_step_as_each_does_alone(spec: OptimizerSpec) -> None:
    alone, together = models(), models()
    optimizers = [build_optimizer(spec, model.named_parameters(), lr=0.0) for model in alone]
    stacked = stack(together)
    optimizer = stacked_optimizer(spec, together[0], stacked)
    kept = [0, 1, 2]
    for step in range(1, 7):
        if step == 4:  # the middle model leaves
            kept = [0, 2]
            keep_models(optimizer, torch.tensor(kept))
        rates = [peak * step for peak in PEAKS]
        set_learning_rates(optimizer, torch.tensor([[rates[model] for model in kept]], dtype=torch.float64))
        for name, gradient in gradients(stacked, step):
            stacked[name].grad = gradient[kept]
            for position, model in enumerate(alone):
                model.get_parameter(name).grad = gradient[position].clone()
        optimizer.step()
        for single, rate in zip(optimizers, rates, strict=True):
            for group in single.param_groups:
                group["lr"] = rate
            single.step()
    for row, position in enumerate(kept):
        for name, parameter in stacked.items():
            torch.testing.assert_close(
                parameter[row].detach(), alone[position].get_parameter(name).detach(), rtol=1e-11, atol=1e-12
            )


def test_a_solver_that_sets_its_own_learning_rate_is_refused_with_a_sentence() -> None:
    spec = OptimizerSpec(name="prodigy")
    assert not can_be_stacked(spec)
    with pytest.raises(ValueError, match="'prodigy' sets its own learning rate: it cannot step stacked models"):
        stacked_optimizer(spec, models()[0], stack(models()))
