"""Every solver and its slow reference, with options that exercise all of its terms."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import pytest
from torch.optim import Optimizer

from tests.oracles import reference
from tests.oracles.layers import OptimizerSteps, assert_equal_to, expected, parameters, trained, training
from tests.oracles.reference import BASE_SOLVERS, Array, LayerSolver
from zerotune.trainers.optimizers import DATE, LAMB, LARS, Layerwise


@dataclass(frozen=True, kw_only=True)
class Solver:
    """Factories of the optimizer, (params, lr=..., ...) -> optimizer, and of one layer's reference, (...) -> solver."""

    build: Callable[..., Optimizer]
    reference: Callable[..., LayerSolver]


def lars(**options: Any) -> Solver:
    options = {"weight_decay": 0.05, "trust_coefficient": 0.1, **options}
    return Solver(build=partial(LARS, **options), reference=partial(reference.Lars, **options))


def lamb(**options: Any) -> Solver:
    options = {"weight_decay": 0.05, **options}
    return Solver(build=partial(LAMB, **options), reference=partial(reference.Lamb, **options))


def layerwise(base: str, base_options: dict[str, float] | None = None, **options: Any) -> Solver:
    base_options = {"weight_decay": 0.05} if base_options is None else base_options
    names = {field.name for field in fields(BASE_SOLVERS[base])}

    def build_reference(**more: Any) -> LayerSolver:
        of_base = {name: value for name, value in more.items() if name in names}
        own = {name: value for name, value in more.items() if name not in names}
        return reference.LayerwiseReference(BASE_SOLVERS[base](**{**base_options, **of_base}), **{**options, **own})

    return Solver(build=partial(Layerwise, base=base, base_options=base_options, **options), reference=build_reference)


def date(base: str = "momentum", base_options: dict[str, float] | None = None, **bounds: float) -> Solver:
    bounds = bounds or {"ratio_low": 0.01, "ratio_high": 10.0}
    return Solver(
        build=partial(DATE, base=base, base_options=base_options, **bounds),
        reference=layerwise(base, base_options or {}, **bounds).reference,
    )


FORMS: dict[str, bool | None] = {"fused": None, "loop": False, "foreach": True}
"""The values of `foreach` by the form of a step that they choose."""


def assert_every_form_equals(wanted: Sequence[Array], steps: OptimizerSteps, build: Callable[..., Optimizer]) -> None:
    """Assert that the fused, the looped and the multi-tensor form give the wanted weights.

    Args:
        wanted: values of the oracle, which is slow and therefore run once for all forms.
        steps: the training.
        build: (parameters, foreach=...) -> optimizer.
    """
    for name, foreach in FORMS.items():
        ours = parameters(layers=steps.layers)
        assert_equal_to(trained(build(ours, foreach=foreach), ours, steps), wanted, name=name)


def assert_equals_reference(solver: Solver, steps: OptimizerSteps | None = None, **options: Any) -> None:
    """Assert that trainings in every form equal the slow reference's; `options` are those of the parameter group."""
    steps = steps or training()
    assert_every_form_equals(
        expected([solver.reference(**options) for _ in steps.layers], steps),
        steps,
        lambda ours, foreach: solver.build([{"params": ours, **options}], lr=0.0, foreach=foreach),
    )


FIXED = {"bounds": "fixed", "ratio_low": 0.3, "ratio_high": 1.7}
ABOVE_ONE = {"bounds": "fixed", "ratio_low": 2.0, "ratio_high": 3.0}
BELOW_ONE = {"bounds": "fixed", "ratio_low": 0.2, "ratio_high": 0.5}
DYNAMIC = {"bounds": "dynamic", "ratio_final": 0.8, "ratio_gamma": 0.5}

SOLVERS: dict[str, Solver] = {
    "lars": lars(nesterov=True),
    "lars, rate outside": lars(lr_in_buffer=False),
    "larc": lars(larc_clip=True),
    "lamb": lamb(),
    "lamb, decay outside, phi bounded": lamb(decay_in_ratio=False, phi_low=0.5, phi_high=2.0),
    "date": date(),
    "sgd, ratio at least 2": layerwise("sgd", **ABOVE_ONE),
    "sgd without decay or bounds": layerwise("sgd", {}, bounds="none"),
    "momentum, ratio at most 0.5": layerwise("momentum", ratio="update", **BELOW_ONE),
    "nesterov, limits that move": layerwise("nesterov", **DYNAMIC),
    "adagrad": layerwise("adagrad", **FIXED),
    "rmsprop": layerwise("rmsprop", **FIXED),
    "adam": layerwise("adam", ratio="update", bounds="none"),
    "adamw": layerwise("adamw", ratio="update", **FIXED),
    "adamw, limits that move": layerwise("adamw", **DYNAMIC),
    "adadelta": layerwise("adadelta", ratio="update", **FIXED),
}


EVERY_SOLVER = pytest.mark.parametrize("solver", SOLVERS.values(), ids=list(SOLVERS))
FOREACH = pytest.mark.parametrize("foreach", FORMS.values(), ids=FORMS.keys())
