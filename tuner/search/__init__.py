"""Tuning methods, which propose hyperparameters.

`METHODS` is the table of search methods. Zero-tuning rules are also methods of an arm, but propose nothing: the table
`trainers.scaling.RULES` turns the baseline into a configuration for any batch size, without trials.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from ..study import DEFAULT, DEFAULTS, SearchDefinition
from ..study.comprehensive import TRIALS
from ..study.search_space import Space, grid_points, grid_size
from .comprehensive import Comprehensive
from .enumerated import EnumeratedMethod, random_search, sobol_search
from .method import Method


@dataclass(frozen=True, kw_only=True)
class SearchContext:
    """What a method knows of the search besides its definition.

    Attributes:
        seed: of the proposals.
        epochs: of a trial.
        spaces: space of every solver, for a method that searches the solver too.
        rules: arms of the study that are rules, as (arm, solver), for a method that tries them.
    """

    seed: int
    epochs: int
    spaces: Mapping[str, Space] = field(default_factory=dict)
    rules: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class MethodEntry:
    """A search method's constructor and description.

    Attributes:
        build: (search definition, context) -> method.
        num_trials: search definition -> number of proposals.
        description: one line.
    """

    build: Callable[[SearchDefinition, SearchContext], Method]
    num_trials: Callable[[SearchDefinition], int]
    description: str


def _optuna(definition: SearchDefinition, context: SearchContext, sampler: Literal["tpe", "gp"] = "tpe") -> Method:
    from .optuna_search import OptunaSearch  # 0.15 s to import

    return OptunaSearch(
        definition.space,
        sampler=sampler,
        trials=_stated(definition),
        seed=context.seed,
        epochs=context.epochs,
        pruner=definition.pruner,
        parallel=definition.parallel,
    )


def _stated(definition: SearchDefinition) -> int:
    assert definition.trials is not None  # the schema requires it
    return definition.trials


METHODS: dict[str, MethodEntry] = {
    "grid": MethodEntry(
        build=lambda definition, context: EnumeratedMethod(grid_points(definition.space)),
        num_trials=lambda definition: grid_size(definition.space),
        description="every point of a grid: the papers' comprehensive tuning",
    ),
    "random": MethodEntry(
        build=lambda definition, context: random_search(
            definition.space, trials=_stated(definition), seed=context.seed
        ),
        num_trials=_stated,
        description="independent draws from the space",
    ),
    "sobol": MethodEntry(
        build=lambda definition, context: sobol_search(definition.space, trials=_stated(definition), seed=context.seed),
        num_trials=_stated,
        description="a scrambled Sobol sequence, which covers the space more evenly than random draws",
    ),
    "optuna": MethodEntry(
        build=_optuna,
        num_trials=_stated,
        description="Optuna's TPE in reproducible rounds; pruner asha, hyperband or median on per-epoch validation",
    ),
    "gp": MethodEntry(
        build=partial(_optuna, sampler="gp"),
        num_trials=_stated,
        description="Optuna's Gaussian process, begun with Sobol points, in the same rounds and with the same pruners",
    ),
    "comprehensive": MethodEntry(
        build=lambda definition, context: Comprehensive(
            context.spaces, context.rules, trials=definition.trials or TRIALS, seed=context.seed
        ),
        num_trials=lambda definition: definition.trials or TRIALS,
        description="the rules' proposals, Sobol points of several solvers, and a race of the best over seeds",
    ),
    "defaults": MethodEntry(
        build=lambda definition, context: EnumeratedMethod(
            [{DEFAULT: name} for name in list(DEFAULTS)[: definition.trials]]
        ),
        num_trials=lambda definition: len(DEFAULTS) if definition.trials is None else definition.trials,
        description=f"the best of k published default configurations: {', '.join(DEFAULTS)}",
    ),
}
