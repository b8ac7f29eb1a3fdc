"""Tuning methods, which propose hyperparameters.

`METHODS` is the table of search methods. Zero-tuning rules are also methods of an arm, but propose nothing: the table
`trainers.scaling.RULES` turns the baseline into a configuration for any batch size, without trials.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..study import DEFAULT, DEFAULTS, SearchDefinition
from ..study.search_space import grid_points, grid_size
from .enumerated import EnumeratedMethod, random_search
from .method import Method


@dataclass(frozen=True, kw_only=True)
class MethodEntry:
    """A search method's constructor and description.

    Attributes:
        build: (search definition, seed of the proposals, epochs of a trial) -> method.
        num_trials: search definition -> number of proposals.
        description: one line.
    """

    build: Callable[[SearchDefinition, int, int], Method]
    num_trials: Callable[[SearchDefinition], int]
    description: str


def _optuna(definition: SearchDefinition, seed: int, epochs: int) -> Method:
    from .optuna_tpe import OptunaTPE  # 0.15 s to import

    return OptunaTPE(
        definition.space,
        trials=_stated(definition),
        seed=seed,
        epochs=epochs,
        pruner=definition.pruner,
        parallel=definition.parallel,
    )


def _stated(definition: SearchDefinition) -> int:
    assert definition.trials is not None  # the schema requires it
    return definition.trials


METHODS: dict[str, MethodEntry] = {
    "grid": MethodEntry(
        build=lambda definition, seed, epochs: EnumeratedMethod(grid_points(definition.space)),
        num_trials=lambda definition: grid_size(definition.space),
        description="every point of a grid: the papers' comprehensive tuning",
    ),
    "random": MethodEntry(
        build=lambda definition, seed, epochs: random_search(definition.space, trials=_stated(definition), seed=seed),
        num_trials=_stated,
        description="independent draws from the space",
    ),
    "optuna": MethodEntry(
        build=_optuna,
        num_trials=_stated,
        description="Optuna's TPE in reproducible rounds; pruner asha or median on per-epoch validation",
    ),
    "defaults": MethodEntry(
        build=lambda definition, seed, epochs: EnumeratedMethod(
            [{DEFAULT: name} for name in list(DEFAULTS)[: definition.trials]]
        ),
        num_trials=lambda definition: len(DEFAULTS) if definition.trials is None else definition.trials,
        description=f"the best of k published default configurations: {', '.join(DEFAULTS)}",
    ),
}
