"""A cell of a study, that is, an arm at a batch size, or one of its repeats: its search, its results and its choice.

This module must not know the order in which cells are asked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...trainers.spec import Configuration, OptionValue
from ..analysis.economy import Economy
from ..analysis.selection import chosen_trial
from ..search.guard import Guard
from ..search.method import Method
from ..study.lr_factor import LR_FACTOR
from ..study.search_space import Space
from ..trial import Role, TrialResult

Params = Mapping[str, OptionValue]


@dataclass(kw_only=True)
class Cell:
    """An arm at a batch size. Where its search is repeated, every repeat is a cell.

    Attributes:
        arm: name of the arm, "baseline", or "ARM baseline".
        role: role of its search trials.
        method: the tuning method that proposes hyperparameters; None if there is nothing to search.
        num_search: number of proposals the method will make; 0 without a method.
        seeds: seeds of the confirmation runs; empty if the choice is used but not confirmed.
        repeat: which search of the arm at the batch size it is, from 0.
        configure: hyperparameters -> configuration to train.
        needs: the cells whose choices `configure` depends on.
        economy: how it chooses by score and cost; None for the score alone.
        neighbour: the cell whose choice its search starts from; None if there is none.
        start_space: the ranges that the start is moved into; empty if it may lie anywhere.
        smallest_ties: whether ties go to the smallest learning rate.
    """

    arm: str
    batch_size: int
    role: Role
    method: Method | None
    num_search: int
    seeds: tuple[int, ...]
    epochs: int
    search_seed: int
    repeat: int
    may_prune: bool
    configure: Callable[[Params], Configuration]
    needs: "tuple[Cell, ...]" = ()
    economy: Economy | None = None
    neighbour: "Cell | None" = None
    start_space: Space = field(default_factory=dict)
    smallest_ties: bool = False
    is_searching: bool = True
    is_started: bool = False
    confirmations_asked: int = 0
    searches_running: set[str] = field(default_factory=set)
    results: list[TrialResult] = field(default_factory=list)
    _choice: tuple[Params | None] | None = field(default=None, init=False)

    @property
    def num_planned(self) -> int:
        """Number of trials it will ask for, if none fails and the budget suffices."""
        return self.num_search + len(self.seeds)

    @property
    def awaited(self) -> "tuple[Cell, ...]":
        """The cells that must be searched before anything is asked of this one."""
        return self.needs if self.neighbour is None else (*self.needs, self.neighbour)

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
        if isinstance(self.method, Guard):
            return {LR_FACTOR: self.method.factor}
        if self._choice is None or not self.is_searched:
            searched = [result for result in self.results if result.trial.role != "confirmation"]
            best = chosen_trial(searched, higher_is_better=sign > 0, smallest=self.smallest_ties, economy=self.economy)
            self._choice = (None if best is None else best.trial.params,)
        return self._choice[0]
