"""Spaces of arms that search the solver: the solvers that they try, and what they search of each at a batch size.

Learning rates that are not stated are anchored on the sqrt rule: of the baseline's own solver, on the baseline's; of
another one, on its published default. This module must not know who searches.
"""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from ...trainers.optimizers import OPTIMIZERS
from .methods import COMPREHENSIVE
from .search_space import Choice, Float, Param, Space, numeric_range

if TYPE_CHECKING:
    from .definition import ArmDefinition, BaselineDefinition, Study

OPTIMIZER: Final = "optimizer"
"""Name of the hyperparameter that holds the solver."""

RULE: Final = "rule"
"""Name of the hyperparameter that holds the arm whose rule proposed the configuration."""

TRIALS: Final = 24
"""Trials at a batch size if the study states none."""

PUBLISHED_LR: Final[Mapping[str, tuple[float, int]]] = {
    "adam": (1e-3, 128),
    "momentum": (0.1, 256),
    "lamb": (1e-3, 128),
    "adamw": (1e-3, 128),
    "lars": (10.0, 256),
    "rmsprop": (1e-3, 128),
}
"""Learning rate of a solver, and the batch size that it is for, where its range is anchored.

Adam: Kingma and Ba (arXiv 1412.6980, Algorithm 1); momentum: Goyal et al. (arXiv 1706.02677); LARS: a step of a
hundredth of a layer's norm with the trust coefficient of 0.001; LAMB and RMSprop: as Adam, whose steps are as large.
"""

SOLVERS: Final = ("adam", "momentum", "lamb")
"""Solvers that are searched beside the baseline's, if the study states none."""

OWN_RANGE: Final = (1 / 4, 4.0)
"""Ends of the range of the baseline's own solver, as multiples of the sqrt rule's learning rate."""

OTHER_RANGE: Final = (1 / 4, 8.0)
"""The same for the other solvers, whose default knows neither model nor data."""

INERTIA: Final = Float(low=0.8, high=0.98)
"""Range of momentum and beta1."""


def searches_solver(arm: "ArmDefinition") -> bool:
    """Return whether every trial of an arm has a solver of its own, as the hyperparameter `OPTIMIZER`."""
    return arm.solvers is not None or arm.method == COMPREHENSIVE


def solvers_of(study: "Study", arm: "ArmDefinition") -> tuple[str, ...]:
    """Return the solvers that an arm searches, the baseline's own first."""
    stated = (study.baseline.optimizer.name, *SOLVERS) if arm.solvers is None else arm.solvers
    return tuple(dict.fromkeys(stated))


def proposing_rules(study: "Study", arm: "ArmDefinition") -> list["ArmDefinition"]:
    """Return the arms whose rules a comprehensive search tries: those without a guard that train as many epochs."""
    rules = [each for each in study.arms if not each.is_search and not each.guard]
    return [each for each in rules if study.epochs_of(each) == study.epochs_of(arm)]


def solver_spaces(study: "Study", arm: "ArmDefinition", batch_size: int) -> dict[str, Space]:
    """Return what an arm that searches the solver searches of each at a batch size, `space` of the arm included."""
    return {solver: _space(study, arm, solver, batch_size) for solver in solvers_of(study, arm)}


def stated_ranges(arm: "ArmDefinition", solver: str) -> Space:
    """Return the ranges that an arm states for a solver, and those for every solver."""
    return {**(arm.solvers or {}).get(solver, {}), **arm.space}


def is_anchored(arm: "ArmDefinition", solver: str) -> bool:
    """Return whether the range of a solver's learning rate is anchored, because the arm states none."""
    return "lr" not in stated_ranges(arm, solver) and "lr" not in arm.fixed


def union_space(spaces: Iterable[Space], solvers: Iterable[str]) -> dict[str, Param]:
    """Return the hyperparameters that all solvers have, each with the smallest range that holds all of theirs.

    The solver is one of them if there are several.
    """
    several = tuple(solvers)
    first, *others = spaces
    union: dict[str, Param] = {OPTIMIZER: Choice(choices=several)} if len(several) > 1 else {}
    for name, param in first.items():
        if all(name in other for other in others):
            union[name] = _widest([param, *(other[name] for other in others)])
    return union


def _widest(params: list[Param]) -> Param:
    ends = [each for param in params if (each := numeric_range(param)) is not None]
    if not ends or isinstance(params[0], Choice):
        return params[0]
    return Float(low=min(low for low, _ in ends), high=max(high for _, high in ends), scale=params[0].scale)


def _space(study: "Study", arm: "ArmDefinition", solver: str, batch_size: int) -> Space:
    space: dict[str, Param] = {}
    if is_anchored(arm, solver):
        low, high = _learning_rates(study.baseline, solver, batch_size)
        space["lr"] = Float(low=low, high=high, scale="log")
    if arm.method == COMPREHENSIVE:
        space["warmup_epochs"] = Float(low=0.0, high=study.epochs_of(arm) / 2)
        space["decay"] = Choice(choices=("constant", "poly", "cosine"))
        options = OPTIMIZERS[solver].defaults
        space |= {name: INERTIA for name in ("momentum", "beta1") if name in options}
    return space | dict(stated_ranges(arm, solver))


def has_anchor(baseline: "BaselineDefinition", solver: str) -> bool:
    """Return whether there is a learning rate on which the range of a solver's can be anchored."""
    return solver in PUBLISHED_LR or (solver == baseline.optimizer.name and baseline_lr(baseline) is not None)


def _learning_rates(baseline: "BaselineDefinition", solver: str, batch_size: int) -> tuple[float, float]:
    """Return both ends of the range of a solver's learning rate."""
    if solver != baseline.optimizer.name or (own := baseline_lr(baseline)) is None:
        lr, reference = PUBLISHED_LR[solver]
        anchor = lr * math.sqrt(batch_size / reference)
        return anchor * OTHER_RANGE[0], anchor * OTHER_RANGE[1]
    scale = math.sqrt(batch_size / baseline.batch_size)
    return own[0] * scale * OWN_RANGE[0], own[1] * scale * OWN_RANGE[1]


def baseline_lr(baseline: "BaselineDefinition") -> tuple[float, float] | None:
    """Return the range of the baseline's learning rate, of no width if it is stated; None if it has no range."""
    if baseline.lr is not None:
        return baseline.lr, baseline.lr
    searched = baseline.tune.space.get("lr") if baseline.tune is not None else None
    if searched is None:
        return None
    if isinstance(searched, Choice):
        numbers = [float(choice) for choice in searched.choices if isinstance(choice, int | float)]
        return (min(numbers), max(numbers)) if numbers else None
    return searched.low, searched.high
