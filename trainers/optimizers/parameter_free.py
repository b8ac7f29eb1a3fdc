"""Optimizers that claim to need no tuning, from their authors' packages (the extra `rivals`).

A package is imported when one of its optimizers is built, so everything else works without it. The learning rate is a
factor of the one that the optimizer estimates. The authors recommend 1: without a schedule for DoG and Prodigy, with
the usual one for D-Adaptation. Schedule-Free estimates no learning rate. It replaces the decay, and its authors
recommend a warm-up, which is the schedule's. All but Schedule-Free start with very small steps, which are rounded away
in bfloat16 parameters. This module must not know studies.
"""

import contextlib
import importlib
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.optim import Optimizer

from ..options import Range
from ..spec import OptionValue
from .group_options import pair_betas
from .packaged import AveragedOptimizer, DAdaptedSGD, PackagedOptimizer, SwitchedOptimizer

EXTRA = "rivals"
"""The extra that installs the packages."""

ANY_GROWTH = 1e30
"""A growth rate without effect; the packages' default is infinity, which JSON has no number for."""


def _averaged(inner: Optimizer) -> AveragedOptimizer:
    return AveragedOptimizer(inner, importlib.import_module("dog").PolynomialDecayAverager)


@dataclass(frozen=True, kw_only=True)
class ParameterFree:
    """An optimizer of another package.

    Attributes:
        package: module to import.
        optimizer: class name in the package.
        adapt: the package's optimizer -> one that satisfies the contract.
        defaults: options with the package's defaults; `beta1` and `beta2` are its `betas`.
        special_ranges: allowed values of options whose range differs from that of the same name elsewhere.
        description: one line, with the recommended learning rate.
        source: paper and package.
    """

    package: str
    optimizer: str
    adapt: Callable[[Optimizer], PackagedOptimizer] = PackagedOptimizer
    defaults: Mapping[str, OptionValue]
    special_ranges: Mapping[str, Range] = field(default_factory=dict)
    description: str
    source: str

    def build(
        self, named_parameters: Iterable[tuple[str, nn.Parameter]], lr: float, options: Mapping[str, Any]
    ) -> PackagedOptimizer:
        """Build and adapt the optimizer; raise ValueError if its package is not installed."""
        try:
            module = importlib.import_module(self.package)
        except ImportError as error:
            raise ValueError(
                f"needs the package {self.package!r} ({error}): pip install 'zerotune[{EXTRA}]'."
            ) from error
        arguments = pair_betas(options)
        with contextlib.redirect_stdout(io.StringIO()):  # two of the packages print their type of weight decay
            inner = getattr(module, self.optimizer)([parameter for _, parameter in named_parameters], **arguments)
        adapted = self.adapt(inner)
        for group in adapted.param_groups:
            group["lr"] = lr  # not as an argument: some reject 0, with which a schedule may start or end
        return adapted


_INSIDE_ONE = (1e-6, 1.0 - 1e-6)
_ADAM: Mapping[str, OptionValue] = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}
_DOG: Mapping[str, OptionValue] = {"reps_rel": 1e-6, "eps": 1e-8, "weight_decay": 0.0}

PARAMETER_FREE: dict[str, ParameterFree] = {
    "schedule-free-sgd": ParameterFree(
        package="schedulefree",
        optimizer="SGDScheduleFree",
        adapt=SwitchedOptimizer,
        defaults={"momentum": 0.9, "weight_decay": 0.0},
        special_ranges={"momentum": _INSIDE_ONE},
        description="momentum by averaging, without decay; learning rate 1 with a warm-up, or 10 to 50 times SGD's",
        source="Defazio et al., arXiv 2405.15682; package schedulefree",
    ),
    "schedule-free-adamw": ParameterFree(
        package="schedulefree",
        optimizer="AdamWScheduleFree",
        adapt=SwitchedOptimizer,
        defaults=_ADAM,
        special_ranges={"beta1": _INSIDE_ONE},
        description="AdamW by averaging, without decay; learning rate 0.0025 with a warm-up, or 1 to 10 times AdamW's",
        source="Defazio et al., arXiv 2405.15682; package schedulefree",
    ),
    "prodigy": ParameterFree(
        package="prodigyopt",
        optimizer="Prodigy",
        defaults={**_ADAM, "d0": 1e-6, "d_coef": 1.0, "growth_rate": ANY_GROWTH, "safeguard_warmup": False},
        description="AdamW that finds its learning rate; learning rate 1; after a warm-up, safeguard_warmup",
        source="Mishchenko and Defazio, arXiv 2306.06101; package prodigyopt",
    ),
    "dadapt-adam": ParameterFree(
        package="dadaptation",
        optimizer="DAdaptAdam",
        defaults={**_ADAM, "decouple": False, "d0": 1e-6, "growth_rate": ANY_GROWTH},
        description="Adam that finds its learning rate; learning rate 1, usual schedule; growth_rate 1.02 if unstable",
        source="Defazio and Mishchenko, arXiv 2301.07733; package dadaptation",
    ),
    "dadapt-sgd": ParameterFree(
        package="dadaptation",
        optimizer="DAdaptSGD",
        adapt=DAdaptedSGD,
        defaults={"momentum": 0.0, "weight_decay": 0.0, "d0": 1e-6, "growth_rate": ANY_GROWTH},
        description="SGD that finds its learning rate; learning rate 1, usual schedule; growth_rate 1.02 if unstable",
        source="Defazio and Mishchenko, arXiv 2301.07733; package dadaptation",
    ),
    "dog": ParameterFree(
        package="dog",
        optimizer="DoG",
        adapt=_averaged,
        defaults=_DOG,
        description="distance over gradients, evaluated at an average; learning rate 1; reps_rel 1e-4 with batch norm",
        source="Ivgi et al., arXiv 2302.12022; package dog-optimizer",
    ),
    "ldog": ParameterFree(
        package="dog",
        optimizer="LDoG",
        adapt=_averaged,
        defaults=_DOG,
        description="dog in each layer separately",
        source="Ivgi et al., arXiv 2302.12022; package dog-optimizer",
    ),
}
"""The parameter-free optimizers by name; all are entries of `trainers.optimizers.OPTIMIZERS`."""
