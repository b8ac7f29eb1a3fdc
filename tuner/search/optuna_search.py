"""Optuna's samplers that learn from earlier trials, TPE and a Gaussian process, with optional pruning.

Proposals are made in rounds of fixed size. A proposal uses only the outcomes
of earlier rounds, which are told to Optuna in the order of their proposals. The proposals are therefore a function of
the seed and the outcomes alone, independent of the number of workers and the order in which trials end, and a resumed
study asks for the same trials. Optuna keeps its study in memory; the platform's journal is the source of truth.
"""

import math
from collections.abc import Callable
from typing import Any, Final, Literal, cast

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from ...trainers.process_state import one_thread
from ..study.fields import Pruner
from ..study.search_space import Choice, Int, Param, Space
from .enumerated import sobol_points
from .method import Outcome, Proposal

optuna.logging.set_verbosity(optuna.logging.ERROR)

STUDY_NAME: Final = "search"
"""Name of the study in Optuna's memory: a name of its own each time would change what Hyperband prunes."""


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
    hyperband: successive halving in brackets, which start trials at epochs/9, epochs/3 and epochs (Li et al., 2017):
        robust where early scores mislead. It compares with running trials, as asha does.
    median: prune below the median of the finished trials at the same epoch (Vizier, 2017). Reproducible.
    """
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(
            min_resource=max(1, epochs // 9), max_resource=epochs, reduction_factor=3, bootstrap_count=0
        )
    if name == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(
            min_resource=max(1, epochs // 9), reduction_factor=3, min_early_stopping_rate=0, bootstrap_count=0
        )
    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=max(1, epochs // 4), interval_steps=1)
    return optuna.pruners.NopPruner()


def _tpe(seed: int, num_startup: int) -> optuna.samplers.BaseSampler:
    """Tree-structured Parzen estimator (Bergstra et al., 2011), multivariate (Falkner et al., 2018)."""
    return optuna.samplers.TPESampler(
        n_startup_trials=num_startup,
        n_ei_candidates=24,
        multivariate=True,
        group=False,
        constant_liar=True,
        seed=seed,
    )


def _gp(seed: int, num_startup: int) -> optuna.samplers.BaseSampler:
    """Gaussian process with a Matern 5/2 kernel and log expected improvement (Ament et al., 2023); scores are noisy."""
    return optuna.samplers.GPSampler(n_startup_trials=num_startup, deterministic_objective=False, seed=seed)


Sampler = Literal["tpe", "gp"]
SAMPLERS: Final[dict[Sampler, Callable[[int, int], optuna.samplers.BaseSampler]]] = {"tpe": _tpe, "gp": _gp}
"""Sampler by name: (seed, number of proposals before it learns) -> Optuna's sampler."""


class OptunaSearch:
    """A sampler over a space, in rounds.

    The first proposals are not learned: min(10, max(4, trials / 3)) draws for TPE, as many points of a scrambled Sobol
    sequence for the Gaussian process.

    Args:
        sampler: a name in `SAMPLERS`.
        trials: total number of proposals, >= 1.
        epochs: epochs of a full trial, for the pruner's rungs.
        parallel: proposals per round, >= 1.
    """

    def __init__(
        self,
        space: Space,
        *,
        sampler: Sampler = "tpe",
        trials: int,
        seed: int,
        epochs: int,
        pruner: Pruner = "none",
        parallel: int = 4,
    ) -> None:
        self._distributions = {name: distribution(param) for name, param in space.items()}
        self._trials = trials
        self._parallel = parallel
        self._prunes = pruner != "none"
        self._asked: list[optuna.Trial] = []
        self._reported: set[tuple[int, int]] = set()
        self._held_outcomes: dict[int, Outcome] = {}
        self._told = 0
        num_startup = min(10, max(4, trials // 3))
        self._study = optuna.create_study(
            direction="maximize",
            sampler=SAMPLERS[sampler](seed, num_startup),
            pruner=build_pruner(pruner, epochs=epochs),
            study_name=STUDY_NAME,  # Hyperband assigns brackets by it
        )
        if sampler == "gp":
            for point in sobol_points(space, trials=min(num_startup, trials), seed=seed):
                self._study.enqueue_trial(cast(dict[str, Any], point))

    def ask(self) -> Proposal | Literal["wait", "done"]:
        """Return the next proposal, or "wait" at the end of a round until all its outcomes are told."""
        index = len(self._asked)
        if index == self._trials:
            return "done"
        if index % self._parallel == 0 and self._told < index:
            return "wait"
        with one_thread():  # with more, the Gaussian process's sums, and so its proposals, would differ
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
