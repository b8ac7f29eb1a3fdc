"""Optuna's tree-structured Parzen estimator (TPE), with optional pruning.

This is the only method that uses Optuna. Proposals are made in rounds of fixed size. A proposal uses only the outcomes
of earlier rounds, which are told to Optuna in the order of their proposals. The proposals are therefore a function of
the seed and the outcomes alone, independent of the number of workers and the order in which trials end, and a resumed
study asks for the same trials. Optuna keeps its study in memory; the platform's journal is the source of truth.
"""

import math
from typing import Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from ..study.fields import Pruner
from ..study.search_space import Choice, Int, Param, Space
from .method import Outcome, Proposal

optuna.logging.set_verbosity(optuna.logging.ERROR)


def distribution(param: Param) -> BaseDistribution:
    """Convert a search range to an Optuna distribution."""
    if isinstance(param, Choice):
        return CategoricalDistribution(param.choices)  # type: ignore[arg-type]  # the decays' option tuples are not searched
    log = param.scale == "log"
    if isinstance(param, Int):
        return IntDistribution(param.low, param.high, log=log)
    return FloatDistribution(param.low, param.high, log=log)


def build_pruner(name: Pruner, *, epochs: int) -> optuna.pruners.BasePruner:
    """Return the Optuna pruner with a name.

    asha: asynchronous successive halving (Li et al., 2018) with rungs at epochs/9 and epochs/3, keeping a third. It
        compares with running trials, so with several workers its decisions depend on timing.
    median: prune below the median of the finished trials at the same epoch (Vizier, 2017). Reproducible.
    """
    if name == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(
            min_resource=max(1, epochs // 9), reduction_factor=3, min_early_stopping_rate=0, bootstrap_count=0
        )
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=max(1, epochs // 4), interval_steps=1)
    return optuna.pruners.NopPruner()


class OptunaTPE:
    """TPE over a space, in rounds.

    Args:
        trials: total number of proposals, >= 1.
        epochs: epochs of a full trial, for the pruner's rungs.
        parallel: proposals per round, >= 1.
    """

    def __init__(
        self, space: Space, *, trials: int, seed: int, epochs: int, pruner: Pruner = "none", parallel: int = 4
    ) -> None:
        self._distributions = {name: distribution(param) for name, param in space.items()}
        self._trials = trials
        self._parallel = parallel
        self._prunes = pruner != "none"
        self._asked: list[optuna.Trial] = []
        self._reported: set[tuple[int, int]] = set()
        self._held_outcomes: dict[int, Outcome] = {}
        self._told = 0
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=min(10, max(4, trials // 3)),
            n_ei_candidates=24,
            multivariate=True,
            group=False,
            constant_liar=True,
            seed=seed,
        )
        self._study = optuna.create_study(
            direction="maximize", sampler=sampler, pruner=build_pruner(pruner, epochs=epochs)
        )

    def ask(self) -> Proposal | Literal["wait", "done"]:
        """Return the next proposal, or "wait" at the end of a round until all its outcomes are told."""
        index = len(self._asked)
        if index == self._trials:
            return "done"
        if index % self._parallel == 0 and self._told < index:
            return "wait"
        trial = self._study.ask(self._distributions)
        self._asked.append(trial)
        return Proposal(index=index, params=trial.params)

    def report(self, index: int, epoch: int, score: float) -> bool:
        """Receive an epoch's score; return False if the pruner ends the trial."""
        self._report(index, epoch, score)
        return not self._should_prune(index)

    def tell(self, index: int, outcome: Outcome) -> None:
        """Receive an outcome. It is passed to Optuna once its round is complete."""
        self._held_outcomes[index] = outcome
        round_end = min(self._told + self._parallel, self._trials)
        if len(self._held_outcomes) == round_end - self._told:
            for i in range(self._told, round_end):
                self._tell_optuna(i, self._held_outcomes.pop(i))
            self._told = round_end

    def _report(self, index: int, epoch: int, score: float) -> bool:
        """Report an epoch's score to Optuna once, because lost epochs are repeated; return whether it was new.

        What is not finite is not reported: one infinite score would decide every later pruning.
        """
        if (index, epoch) in self._reported or not math.isfinite(score):
            return False
        self._reported.add((index, epoch))
        self._asked[index].report(score, step=epoch)
        return True

    def _should_prune(self, index: int) -> bool:
        """Ask the pruner, which enters the trial in its rungs only when asked."""
        return self._prunes and self._asked[index].should_prune()

    def _tell_optuna(self, index: int, outcome: Outcome) -> None:
        trial = self._asked[index]
        for epoch, score in enumerate(outcome.epoch_scores, start=1):
            if self._report(index, epoch, score):  # a trial replayed from the journal was never reported
                self._should_prune(index)
        if outcome.pruned:
            self._study.tell(trial, state=TrialState.PRUNED)
        elif outcome.score is None or not math.isfinite(outcome.score):
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, outcome.score)
