"""The optimizers that a study can name. Each is a `torch.optim.Optimizer` that works in any torch code.

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

from ..compiler import bypass_compiler, bypass_compiler_in_step
from ..options import Range, complete_options
from ..spec import OptimizerSpec, OptionValue
from ..tables import lookup
from .base_solvers import BASE_SOLVERS
from .date import DATE
from .group_options import pair_betas
from .groups import layerwise_groups
from .lamb import LAMB, LARGEST_NORM
from .lars import LARS
from .layerwise import BOUNDS_OPTIONS, Layerwise
from .parameter_free import PARAMETER_FREE, ParameterFree

__all__ = [
    "DATE",
    "LAMB",
    "LARS",
    "OPTIMIZERS",
    "Layerwise",
    "OptimizerEntry",
    "build_optimizer",
    "check_optimizer",
    "has_layerwise_ratio",
    "layerwise_groups",
]

NamedParameters = Iterable[tuple[str, nn.Parameter]]

_BELOW_ONE = (0.0, 1.0 - 1e-6)
_POSITIVE = (1e-30, math.inf)
_NOT_NEGATIVE = (0.0, math.inf)
_RANGES: Mapping[str, Range] = {
    "momentum": _BELOW_ONE,
    "beta1": _BELOW_ONE,
    "beta2": _BELOW_ONE,
    "alpha": _BELOW_ONE,
    "rho": _BELOW_ONE,
    "eps": _POSITIVE,
    "weight_decay": _NOT_NEGATIVE,
    "trust_coefficient": _POSITIVE,
    "phi_low": _NOT_NEGATIVE,
    "phi_high": _NOT_NEGATIVE,
    "ratio_low": _NOT_NEGATIVE,
    "ratio_high": _POSITIVE,
    "ratio_final": _POSITIVE,
    "ratio_gamma": _POSITIVE,
    "d0": _POSITIVE,
    "d_coef": _POSITIVE,
    "growth_rate": (1.0, math.inf),
    "reps_rel": _POSITIVE,
}
"""Allowed values by option name; a name means the same in every optimizer."""


@dataclass(frozen=True, kw_only=True)
class OptimizerEntry:
    """An optimizer that a study can name.

    Attributes:
        build: (named parameters, learning rate, all options) -> optimizer.
        defaults: every option with its default, which also sets its type.
        description: one line.
        source: paper and section.
        special_ranges: allowed values of options whose range differs from that of the same name elsewhere.
    """

    build: Callable[[NamedParameters, float, Mapping[str, Any]], Optimizer]
    defaults: Mapping[str, OptionValue]
    description: str
    source: str
    special_ranges: Mapping[str, Range] = field(default_factory=dict)

    @property
    def ranges(self) -> dict[str, Range]:
        """Allowed values by option, as (lowest, highest), both inclusive."""
        return {name: _RANGES[name] for name in self.defaults if name in _RANGES} | dict(self.special_ranges)


def _build_torch(
    solver: Callable[..., Optimizer], named_parameters: NamedParameters, lr: float, options: Mapping[str, Any]
) -> Optimizer:
    return solver([parameter for _, parameter in named_parameters], lr=lr, **pair_betas(options))


def _build_grouped(
    optimizer: Callable[..., Optimizer], named_parameters: NamedParameters, lr: float, options: Mapping[str, Any]
) -> Optimizer:
    """Build `optimizer` over `layerwise_groups`; `adapt_vectors` selects the groups, other options are passed on."""
    solver_options = {name: value for name, value in options.items() if name != "adapt_vectors"}
    return optimizer(layerwise_groups(named_parameters, adapt_vectors=options["adapt_vectors"]), lr, **solver_options)


def _build_date(base: str, params: list[dict[str, Any]], lr: float, **options: Any) -> Optimizer:
    base_options = {name: options.pop(name) for name in BASE_SOLVERS[base].defaults}
    return DATE(params, lr, base=base, base_options=base_options, **options)


def _build_layerwise(base: str, params: list[dict[str, Any]], lr: float, **options: Any) -> Optimizer:
    """Build `Layerwise` without the options of other bounds that are at their defaults."""
    base_options = {name: options.pop(name) for name in BASE_SOLVERS[base].defaults}
    for kind, defaults in BOUNDS_OPTIONS.items():
        for name, default in defaults.items():
            if kind != options["bounds"] and options[name] == default:
                del options[name]
    return Layerwise(params, lr, base=base, base_options=base_options, **options)


def _torch_entry(base: str, optimizer: type[Optimizer], description: str) -> OptimizerEntry:
    """Return the entry of torch's own implementation of a base solver, with the same options."""
    solver = BASE_SOLVERS[base]
    build = partial(_build_torch, bypass_compiler_in_step(optimizer))
    return OptimizerEntry(build=build, defaults=solver.defaults, description=description, source=solver.source)


def _date_entry(base: str) -> OptimizerEntry:
    return OptimizerEntry(
        build=partial(_build_grouped, partial(_build_date, base)),
        defaults={**BASE_SOLVERS[base].defaults, **BOUNDS_OPTIONS["fixed"], "adapt_vectors": True},
        description=f"bounded layer-wise ratio |w|/|g| over {base}",
        source="DATE Algorithm 1, lines 10 to 17",
    )


def _layerwise_entry(base: str) -> OptimizerEntry:
    bounds = {name: value for options in BOUNDS_OPTIONS.values() for name, value in options.items()}
    own: dict[str, OptionValue] = {"ratio": "gradient", "bounds": "fixed", **bounds, "adapt_vectors": True}
    return OptimizerEntry(
        build=partial(_build_grouped, partial(_build_layerwise, base)),
        defaults={**BASE_SOLVERS[base].defaults, **own},
        description=f"layer-wise ratio, |w|/|g| or |w|/|u|, bounded or not, over {base}",
        source="LIMIT, arXiv 2006.08517, Table 3",
    )


def _packaged_entry(entry: ParameterFree) -> OptimizerEntry:
    return OptimizerEntry(
        build=entry.build,
        defaults=entry.defaults,
        description=entry.description,
        source=entry.source,
        special_ranges=entry.special_ranges,
    )


OPTIMIZERS: dict[str, OptimizerEntry] = {
    "sgd": _torch_entry("sgd", torch.optim.SGD, "stochastic gradient descent (torch.optim.SGD)"),
    "momentum": OptimizerEntry(
        build=partial(_build_torch, bypass_compiler_in_step(torch.optim.SGD)),
        defaults={**BASE_SOLVERS["momentum"].defaults, "nesterov": False},
        description="stochastic gradient descent with momentum (torch.optim.SGD)",
        source=BASE_SOLVERS["momentum"].source,
    ),
    "adagrad": _torch_entry("adagrad", torch.optim.Adagrad, "sums of squared gradients (torch.optim.Adagrad)"),
    "rmsprop": _torch_entry("rmsprop", torch.optim.RMSprop, "averages of squared gradients (torch.optim.RMSprop)"),
    "adam": _torch_entry("adam", torch.optim.Adam, "adaptive moments (torch.optim.Adam)"),
    "adamw": _torch_entry("adamw", torch.optim.AdamW, "adaptive moments, decoupled decay (torch.optim.AdamW)"),
    "adadelta": _torch_entry("adadelta", torch.optim.Adadelta, "adaptive learning rates (torch.optim.Adadelta)"),
    "lars": OptimizerEntry(
        build=partial(_build_grouped, LARS),
        defaults={
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
    "lamb": OptimizerEntry(
        build=partial(_build_grouped, LAMB),
        defaults={
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
    **{f"layerwise-{base}": _layerwise_entry(base) for base in BASE_SOLVERS},
    **{name: _packaged_entry(entry) for name, entry in PARAMETER_FREE.items()},
}
"""The optimizers by name. Each combination of a ratio and a base solver is one entry, with its own options."""


_GUARDED = (Optimizer.add_param_group, Optimizer.zero_grad, Optimizer.state_dict, Optimizer.load_state_dict)
"""Methods that torch excludes from its compiler."""


def build_optimizer(spec: OptimizerSpec, named_parameters: NamedParameters, lr: float) -> Optimizer:
    """Build the optimizer that a spec names.

    Args:
        spec: a name in `OPTIMIZERS` and options; those left out take the entry's defaults.
        named_parameters: the parameters, as from `nn.Module.named_parameters`.
        lr: learning rate, >= 0; a schedule overwrites it in every iteration.

    Raises:
        UnknownName: the optimizer or an option is unknown.
        ValueError: an option has the wrong type or is out of range, or two options contradict each other.

    >>> model = nn.Linear(2, 1)
    >>> spec = OptimizerSpec(name="lars", options={"weight_decay": 1e-4})
    >>> build_optimizer(spec, model.named_parameters(), lr=1.0).defaults["weight_decay"]
    0.0001
    """
    bypass_compiler(*_GUARDED)
    entry = lookup("optimizer", OPTIMIZERS, spec.name)
    options = complete_options(
        f"optimizer {spec.name!r}", spec.options, defaults=entry.defaults, required={}, ranges=entry.ranges
    )
    try:
        return entry.build(named_parameters, lr, options)
    except ValueError as error:
        raise ValueError(f"optimizer {spec.name!r}: {error}") from error


def has_layerwise_ratio(name: str) -> bool:
    """Whether an optimizer of the table multiplies the step of each layer by a ratio of norms.

    >>> has_layerwise_ratio("date"), has_layerwise_ratio("momentum")
    (True, False)
    """
    return "adapt_vectors" in lookup("optimizer", OPTIMIZERS, name).defaults


def check_optimizer(spec: OptimizerSpec) -> None:
    """Raise before any training what `build_optimizer` would raise.

    Raises:
        UnknownName: the optimizer or an option is unknown.
        ValueError: an option has the wrong type or is out of range, or two options contradict each other.
    """
    build_optimizer(spec, [("weight", nn.Parameter(torch.zeros(1, 1)))], lr=0.0)
