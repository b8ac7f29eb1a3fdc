"""Tuning methods, which propose hyperparameters.

`METHODS` is the table of search methods. Zero-tuning rules are also methods of an arm, but propose nothing: the table
`trainers.scaling.RULES` turns the baseline into a configuration for any batch size, without trials.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from ..study import DEFAULT, DEFAULTS, ArmDefinition, SearchDefinition
from ..study.amendments import Beginning
from ..study.comprehensive import TRIALS
from ..study.fields import Sampler, Terminator
from ..study.search_space import Space, grid_size
from .comprehensive import Comprehensive
from .enumerated import EnumeratedMethod, grid_search, random_search, sobol_search
from .method import Method
from .solver_union import SolverUnion, grid_of_solvers


@dataclass(frozen=True, kw_only=True)
class SearchContext:
    """What a method knows of the search besides its definition.

    Attributes:
        seed: of the proposals.
        epochs: of a trial.
        spaces: space of every solver where the solver is searched too; empty where it is not.
        rules: arms of the study that are rules, as (arm, solver), for a method that tries them.
        begun: how the search began, if it is of an amended study: its first proposals must stay the same.
        terminator: Optuna's stopping rule that ends the search; None for none.
        margin: of the study, for that rule.
    """

    seed: int
    epochs: int
    spaces: Mapping[str, Space] = field(default_factory=dict)
    rules: tuple[tuple[str, str], ...] = ()
    begun: Beginning | None = None
    terminator: Terminator | None = None
    margin: float = 1.0


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


def _optuna(definition: SearchDefinition, context: SearchContext, sampler: Sampler | None = None) -> Method:
    from .optuna_search import OptunaSearch  # 0.15 s to import
    from .terminator import is_within_regret_bound

    ends = None
    if context.terminator is not None:
        ends = partial(is_within_regret_bound, margin=context.margin, seed=context.seed)
    return OptunaSearch(
        definition.space,
        solvers=context.spaces,
        sampler=sampler or definition.sampler,
        trials=_stated(definition),
        begun_trials=None if context.begun is None else context.begun.trials,
        seed=context.seed,
        epochs=context.epochs,
        pruner=definition.pruner,
        parallel=definition.parallel,
        cost=definition.objectives[-1] if isinstance(definition, ArmDefinition) and definition.objectives else None,
        ends=ends,
    )


def _grid(definition: SearchDefinition, context: SearchContext) -> Method:
    if context.spaces:
        return EnumeratedMethod(grid_of_solvers(context.spaces))
    return grid_search(definition.space, earlier=() if context.begun is None else context.begun.spaces)


def _grid_size(definition: SearchDefinition) -> int:
    solvers = definition.solvers if isinstance(definition, ArmDefinition) else None
    if solvers is None:
        return grid_size(definition.space)
    return sum(grid_size({**ranges, **definition.space}) for ranges in solvers.values())


def _enumerated(
    search: Callable[..., EnumeratedMethod], definition: SearchDefinition, context: SearchContext
) -> Method:
    """Return random or Sobol search over the space, or over the union of the solvers' spaces."""
    trials, seed = _stated(definition), context.seed
    if not context.spaces:
        return search(definition.space, trials=trials, seed=seed)
    union = SolverUnion(context.spaces)
    return search(union.space, trials=trials, seed=seed).mapped(union.params)


def _stated(definition: SearchDefinition) -> int:
    assert definition.trials is not None  # the schema requires it
    return definition.trials


METHODS: dict[str, MethodEntry] = {
    "grid": MethodEntry(
        build=_grid,
        num_trials=_grid_size,
        description="every point of a grid: the papers' comprehensive tuning",
    ),
    "random": MethodEntry(
        build=partial(_enumerated, random_search),
        num_trials=_stated,
        description="independent draws from the space",
    ),
    "sobol": MethodEntry(
        build=partial(_enumerated, sobol_search),
        num_trials=_stated,
        description="a scrambled Sobol sequence, which covers the space more evenly than random draws",
    ),
    "optuna": MethodEntry(
        build=_optuna,
        num_trials=_stated,
        description="Optuna's TPE, or with sampler gp, sobol or random, in reproducible rounds; pruner asha, "
        "hyperband or median on per-epoch validation",
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
        description="the rules' proposals, Sobol points of several solvers, TPE of the best, and a race over seeds",
    ),
    "defaults": MethodEntry(
        build=lambda definition, context: EnumeratedMethod(
            [{DEFAULT: name} for name in list(DEFAULTS)[: definition.trials]]
        ),
        num_trials=lambda definition: len(DEFAULTS) if definition.trials is None else definition.trials,
        description=f"the best of k published default configurations: {', '.join(DEFAULTS)}",
    ),
}
