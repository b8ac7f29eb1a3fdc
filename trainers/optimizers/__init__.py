"""The optimizers a study can name, each a `torch.optim.Optimizer` that also works in anyone's own torch code.

`OPTIMIZERS` is the single source for the study schema, the contract tests and `zerotune list`. This package must not
know schedules, scaling rules or models.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from trainers.optimizers.base_solvers import BASE_SOLVERS
from trainers.optimizers.date import DATE, RATIO_HIGH, RATIO_LOW
from trainers.optimizers.lamb import LAMB, LARGEST_NORM
from trainers.optimizers.lars import LARS
from trainers.optimizers.layerwise import Layerwise
from trainers.optimizers.multi_tensor import layerwise_groups
from trainers.options import Range, complete_options
from trainers.spec import OptimizerSpec, OptionValue
from trainers.tables import lookup

__all__ = [
    "DATE",
    "LAMB",
    "LARS",
    "OPTIMIZERS",
    "Layerwise",
    "OptimizerEntry",
    "build_optimizer",
    "check_optimizer",
    "layerwise_groups",
]

NamedParameters = Iterable[tuple[str, nn.Parameter]]


@dataclass(frozen=True, kw_only=True)
class OptimizerEntry:
    """An optimizer that a study can name.

    Attributes:
        build: (named parameters, learning rate, all options) -> optimizer.
        defaults: every option with its default; the kind of a default is the option's kind.
        description: one line.
        source: paper and section.
        ranges: lowest and highest value allowed of an option, both included.
    """

    build: Callable[[NamedParameters, float, Mapping[str, Any]], Optimizer]
    defaults: Mapping[str, OptionValue]
    description: str
    source: str
    ranges: Mapping[str, Range] = field(default_factory=dict)


def _momentum(named_parameters: NamedParameters, lr: float, options: Mapping[str, Any]) -> Optimizer:
    return torch.optim.SGD([parameter for _, parameter in named_parameters], lr=lr, **options)


def _adam(named_parameters: NamedParameters, lr: float, options: Mapping[str, Any]) -> Optimizer:
    parameters = [parameter for _, parameter in named_parameters]
    betas = (options["beta1"], options["beta2"])
    return torch.optim.Adam(parameters, lr=lr, betas=betas, eps=options["eps"], weight_decay=options["weight_decay"])


def _layerwise(
    optimizer: Callable[..., Optimizer], named_parameters: NamedParameters, lr: float, options: Mapping[str, Any]
) -> Optimizer:
    """`optimizer` over the usual groups; the option `adapt_vectors` is about the groups, the others are its own."""
    own = {name: value for name, value in options.items() if name != "adapt_vectors"}
    return optimizer(layerwise_groups(named_parameters, adapt_vectors=options["adapt_vectors"]), lr, **own)


def _date(base: str, params: list[dict[str, Any]], lr: float, **options: Any) -> Optimizer:
    base_options = {name: options.pop(name) for name in BASE_SOLVERS[base].defaults}
    return DATE(params, lr, base=base, base_options=base_options, **options)


_BELOW_ONE = (0.0, 1.0 - 1e-6)
_POSITIVE = (1e-30, math.inf)
_NOT_NEGATIVE = (0.0, math.inf)
_RANGES: Mapping[str, Range] = {
    "momentum": _BELOW_ONE,
    "beta1": _BELOW_ONE,
    "beta2": _BELOW_ONE,
    "alpha": _BELOW_ONE,
    "eps": _POSITIVE,
    "weight_decay": _NOT_NEGATIVE,
    "trust_coefficient": _POSITIVE,
    "phi_low": _NOT_NEGATIVE,
    "phi_high": _NOT_NEGATIVE,
    "ratio_low": _NOT_NEGATIVE,
    "ratio_high": _POSITIVE,
}
"""Allowed values by option name: a name means the same in every optimizer."""


def _entry(
    build: Callable[[NamedParameters, float, Mapping[str, Any]], Optimizer],
    defaults: Mapping[str, OptionValue],
    *,
    description: str,
    source: str,
) -> OptimizerEntry:
    ranges = {name: _RANGES[name] for name in defaults if name in _RANGES}
    return OptimizerEntry(build=build, defaults=defaults, description=description, source=source, ranges=ranges)


def _date_entry(base: str) -> OptimizerEntry:
    bounds = {"ratio_low": RATIO_LOW, "ratio_high": RATIO_HIGH}
    return _entry(
        partial(_layerwise, partial(_date, base)),
        {**BASE_SOLVERS[base].defaults, **bounds, "adapt_vectors": True},
        description=f"bounded layer-wise ratio |w|/|g| over {base}",
        source="DATE Algorithm 1, lines 10 to 17",
    )


OPTIMIZERS: dict[str, OptimizerEntry] = {
    "momentum": _entry(
        _momentum,
        {"momentum": 0.9, "weight_decay": 0.0, "nesterov": False},
        description="stochastic gradient descent with momentum (torch.optim.SGD)",
        source="Sutskever et al., ICML 2013",
    ),
    "adam": _entry(
        _adam,
        {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0},
        description="adaptive moments (torch.optim.Adam)",
        source="Kingma and Ba, arXiv 1412.6980",
    ),
    "lars": _entry(
        partial(_layerwise, LARS),
        {
            "momentum": 0.9,
            "weight_decay": 0.0,
            "trust_coefficient": 0.001,
            "nesterov": False,
            "lr_in_buffer": True,
            "larc_clip": False,
            "adapt_vectors": True,
        },
        description="layer-wise adaptive rate scaling over momentum",
        source="LARS, arXiv 1708.03888, Algorithm 1",
    ),
    "lamb": _entry(
        partial(_layerwise, LAMB),
        {
            "beta1": 0.9,
            "beta2": 0.999,
            "eps": 1e-6,
            "weight_decay": 0.0,
            "bias_correction": True,
            "decay_in_ratio": True,
            "phi_low": 0.0,
            "phi_high": LARGEST_NORM,
            "adapt_vectors": True,
        },
        description="layer-wise adaptive moments",
        source="LAMB, arXiv 1904.00962, Algorithm 2",
    ),
    "date": _date_entry("momentum"),
    "date-sgd": _date_entry("sgd"),
    "date-adagrad": _date_entry("adagrad"),
    "date-rmsprop": _date_entry("rmsprop"),
}
"""The optimizers by name. Each base solver of DATE is an entry of its own, so that no option is without effect."""


def build_optimizer(spec: OptimizerSpec, named_parameters: NamedParameters, lr: float) -> Optimizer:
    """The optimizer a spec names, over the given parameters.

    Args:
        spec: a name in `OPTIMIZERS` and options; those left out have the entry's defaults.
        named_parameters: as `nn.Module.named_parameters` gives them.
        lr: learning rate, >= 0; a schedule sets it anew every iteration.

    Raises:
        UnknownName: there is no such optimizer, or it has no such option.
        ValueError: an option is of the wrong kind or out of its range, or two options contradict each other.

    >>> model = nn.Linear(2, 1)
    >>> spec = OptimizerSpec(name="lars", options={"weight_decay": 1e-4})
    >>> build_optimizer(spec, model.named_parameters(), lr=1.0).defaults["weight_decay"]
    0.0001
    """
    entry = lookup("optimizer", OPTIMIZERS, spec.name)
    options = complete_options(
        f"optimizer {spec.name!r}", spec.options, defaults=entry.defaults, required={}, ranges=entry.ranges
    )
    try:
        return entry.build(named_parameters, lr, options)
    except ValueError as error:
        raise ValueError(f"optimizer {spec.name!r}: {error}") from error


def check_optimizer(spec: OptimizerSpec) -> None:
    """Refuses, before any training, what `build_optimizer` would refuse.

    Raises:
        UnknownName: there is no such optimizer, or it has no such option.
        ValueError: an option is of the wrong kind or out of its range, or two options contradict each other.
    """
    build_optimizer(spec, [("weight", nn.Parameter(torch.zeros(1, 1)))], lr=0.0)
