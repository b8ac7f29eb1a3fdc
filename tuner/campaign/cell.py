"""A cell of a study, that is, an arm at a batch size: its search, its results and its choice.

This module must not know the order in which cells are asked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...trainers.spec import Configuration, OptionValue
from ..analysis.selection import best_trial
from ..search.method import Method
from ..trial import Role, TrialResult

Params = Mapping[str, OptionValue]


@dataclass(kw_only=True)
class Cell:
    """An arm at a batch size.

    Attributes:
        arm: name of the arm, "baseline", or "ARM baseline".
        role: role of its search trials.
        method: the tuning method that proposes hyperparameters; None if there is nothing to search.
        num_search: number of proposals the method will make; 0 without a method.
        seeds: seeds of the confirmation runs; empty if the choice is used but not confirmed.
        first_index: index of the first search trial.
        configure: hyperparameters -> configuration to train.
        needs: the cells whose choices `configure` depends on.
    """

    arm: str
    batch_size: int
    role: Role
    method: Method | None
    num_search: int
    seeds: tuple[int, ...]
    epochs: int
    search_seed: int
    first_index: int
    may_prune: bool
    configure: Callable[[Params], Configuration]
    needs: "tuple[Cell, ...]" = ()
    is_searching: bool = True
    confirmations_asked: int = 0
    searches_running: set[str] = field(default_factory=set)
    results: list[TrialResult] = field(default_factory=list)
    _choice: tuple[Params | None] | None = field(default=None, init=False)

    @property
    def num_planned(self) -> int:
        """Number of trials it will ask for, if none fails and the budget suffices."""
        return self.num_search + len(self.seeds)

    @property
    def is_searched(self) -> bool:
        """Whether the choice can be made."""
        return not self.is_searching and not self.searches_running

    def choice(self, sign: float) -> Params | None:
        """Return the chosen hyperparameters, once `is_searched`; empty if there is nothing to choose.

        None if no trial of the search has a score. The choice is cached, because it is needed before every further
        trial and a search may have thousands. `sign` is 1 if higher scores are better, else -1.
        """
        if self.method is None:
            return {}
        if self._choice is None or not self.is_searched:
            best = best_trial((r for r in self.results if r.trial.role != "confirmation"), higher_is_better=sign > 0)
            self._choice = (None if best is None else best.trial.params,)
        return self._choice[0]
