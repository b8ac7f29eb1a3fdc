"""Tuning methods: what proposes hyperparameters.

`METHODS` holds the searching methods. The zero-tuning rules are methods of an arm too, but they propose nothing: the
table `trainers.scaling.RULES` turns the baseline into the configuration of any batch size, and no trial is spent.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tuner.methods.enumerated import grid, random_search
from tuner.methods.method import Method
from tuner.study import SearchDefinition


@dataclass(frozen=True, kw_only=True)
class MethodEntry:
    """A searching method: how to make it, and one line of what it is.

    `build` takes the search's definition, the seed of its proposals and the epochs of a trial.
    """

    build: Callable[[SearchDefinition, int, int], Method]
    description: str


def _grid(definition: SearchDefinition, seed: int, epochs: int) -> Method:
    return grid(definition.space)


def _random(definition: SearchDefinition, seed: int, epochs: int) -> Method:
    assert definition.trials is not None  # the schema requires it
    return random_search(definition.space, trials=definition.trials, seed=seed)


def _optuna(definition: SearchDefinition, seed: int, epochs: int) -> Method:
    from tuner.methods.optuna_tpe import OptunaTPE  # 0.15 s to import

    assert definition.trials is not None  # the schema requires it
    return OptunaTPE(
        definition.space,
        trials=definition.trials,
        seed=seed,
        epochs=epochs,
        pruner=definition.pruner,
        parallel=definition.parallel,
    )


METHODS: dict[str, MethodEntry] = {
    "grid": MethodEntry(build=_grid, description="every point of a grid: the papers' comprehensive tuning"),
    "random": MethodEntry(build=_random, description="independent draws from the space"),
    "optuna": MethodEntry(
        build=_optuna, description="Optuna's TPE in reproducible rounds; pruner asha or median on per-epoch validation"
    ),
}
