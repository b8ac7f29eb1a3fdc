"""Optuna's samplers, which may learn from earlier trials: TPE, a Gaussian process and others, with optional pruning.

Proposals are made in rounds of fixed size. A proposal uses only the outcomes
of earlier rounds, which are told to Optuna in the order of their proposals. The proposals are therefore a function of
the seed and the outcomes alone, independent of the number of workers and the order in which trials end, and a resumed
study asks for the same trials. Optuna keeps its study in memory; the platform's journal is the source of truth.

With a cost as second objective the sampler searches the front of score and cost. Optuna prunes no trial of two
objectives, so a second study, of the score alone, watches the epochs and prunes.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal, cast

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState

from ...trainers.process_state import one_thread
from ...trainers.spec import OptionValue
from ..study.comprehensive import OPTIMIZER
from ..study.fields import Pruner, Sampler
from ..study.search_space import Choice, Int, Param, Space
from .enumerated import sobol_points
from .method import Outcome, Proposal
from .solver_union import SolverUnion, shared_params

optuna.logging.set_verbosity(optuna.logging.ERROR)

STUDY_NAME: Final = "search"
"""Name of the study in Optuna's memory: a name of its own each time would change what Hyperband prunes."""


def distribution(param: Param) -> BaseDistribution:
    """Convert a search range to an Optuna distribution."""
    if isinstance(param, Choice):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sequences of numbers are no choices for Optuna's databases
            return CategoricalDistribution(param.choices)  # type: ignore[arg-type]
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


def _tpe(seed: int, num_startup: int, group: bool) -> optuna.samplers.BaseSampler:
    """Tree-structured Parzen estimator (Bergstra et al., 2011), multivariate (Falkner et al., 2018)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of group
        return optuna.samplers.TPESampler(
            n_startup_trials=num_startup,
            n_ei_candidates=24,
            multivariate=True,
            group=group,
            constant_liar=True,
            seed=seed,
        )


def _gp(seed: int, num_startup: int, group: bool) -> optuna.samplers.BaseSampler:
    """Gaussian process with a Matern 5/2 kernel and log expected improvement (Ament et al., 2023); scores are noisy."""
    return optuna.samplers.GPSampler(n_startup_trials=num_startup, deterministic_objective=False, seed=seed)


def _random(seed: int, num_startup: int, group: bool) -> optuna.samplers.BaseSampler:
    """Independent draws; also stands for a Sobol sequence, whose points are given beforehand."""
    return optuna.samplers.RandomSampler(seed=seed)


SAMPLERS: Final[dict[Sampler, Callable[[int, int, bool], optuna.samplers.BaseSampler]]] = {
    "tpe": _tpe,
    "gp": _gp,
    "sobol": _random,
    "random": _random,
}
"""Sampler by name: (seed, number of proposals before it learns, whether to learn of every solver's own hyperparameters
by themselves) -> Optuna's sampler.

Left out: CMA-ES and NSGA-II, whose populations take more trials than a study of trainings has, and which draw choices
at random or learn nothing in the first 50."""


def num_startup_trials(trials: int) -> int:
    """Return how many proposals of TPE and the Gaussian process are not learned: a third, from 4 to 10.

    Optuna's own default, 10 of any number, would leave 2 of 12 trials to learn with.

    >>> [num_startup_trials(trials) for trials in (8, 12, 24, 50)]
    [4, 4, 8, 10]
    """
    return min(10, max(4, trials // 3))


class _Flat:
    """Ask for all hyperparameters at once."""

    def __init__(self, space: Space, params: Callable[[Mapping[str, OptionValue]], dict[str, OptionValue]]) -> None:
        self._distributions = {name: distribution(param) for name, param in space.items()}
        self.params = params

    def ask(self, study: optuna.Study) -> optuna.Trial:
        """Return a trial with a value of every hyperparameter."""
        return study.ask(self._distributions)

    def given(self, point: Mapping[str, OptionValue]) -> dict[str, Any]:
        """Return the values of a point as Optuna's study names them."""
        return dict(point)


class _BySolver:
    """Ask for the solver first, then for its own hyperparameters, which Optuna's study knows by "SOLVER NAME"."""

    def __init__(self, spaces: Mapping[str, Space]) -> None:
        shared = shared_params(spaces)
        self._union = SolverUnion(spaces)
        self._solvers: dict[str, BaseDistribution] = {OPTIMIZER: CategoricalDistribution(tuple(spaces))}
        self._names = {
            solver: {name: name if name in shared else f"{solver} {name}" for name in space}
            for solver, space in spaces.items()
        }
        self._spaces = spaces

    def ask(self, study: optuna.Study) -> optuna.Trial:
        """Return a trial with a solver and a value of every hyperparameter of it."""
        trial = study.ask(self._solvers)
        solver = trial.params[OPTIMIZER]
        for name, param in self._spaces[solver].items():
            _suggest(trial, self._names[solver][name], param)
        return trial

    def params(self, values: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
        """Return the solver and its hyperparameters by their own names."""
        solver = str(values[OPTIMIZER])
        return {OPTIMIZER: solver, **{name: values[own] for name, own in self._names[solver].items()}}

    def given(self, point: Mapping[str, OptionValue]) -> dict[str, Any]:
        """Return the values of a point of the flat space as Optuna's study names them."""
        params = self._union.params(point)
        names = self._names[str(params[OPTIMIZER])]
        return {names.get(name, name): value for name, value in params.items()}


def _suggest(trial: optuna.Trial, name: str, param: Param) -> None:
    log = not isinstance(param, Choice) and param.scale == "log"
    if isinstance(param, Choice):
        trial.suggest_categorical(name, cast(Any, param.choices))
    elif isinstance(param, Int):
        trial.suggest_int(name, param.low, param.high, log=log)
    else:
        trial.suggest_float(name, param.low, param.high, log=log)


def propose(
    space: Space, tried: Sequence[tuple[Mapping[str, OptionValue], float]], *, num: int, seed: int
) -> list[dict[str, OptionValue]]:
    """Return points that TPE proposes from points of a space and their scores, larger is better.

    A point may hold more hyperparameters than the space. Nothing but the arguments decides what is proposed.
    """
    distributions = {name: distribution(param) for name, param in space.items()}
    study = optuna.create_study(direction="maximize", sampler=_tpe(seed, 1, False), study_name=STUDY_NAME)
    for params, score in tried:
        values = {name: params[name] for name in space}
        study.add_trial(optuna.trial.create_trial(params=values, distributions=distributions, value=score))
    return [study.ask(distributions).params for _ in range(num)]


class OptunaSearch:
    """A sampler over a space, in rounds.

    The first proposals of TPE and the Gaussian process are not learned (`num_startup_trials`): draws for TPE over one
    space, points of a scrambled Sobol sequence otherwise. The sampler "sobol" proposes nothing but such points.
    Otherwise proposals do not depend on the number of trials, so that a search goes on as it began.

    Several spaces, one for each solver, are searched together. TPE asks for a solver first and learns its own
    hyperparameters from its trials alone; the other samplers search their `SolverUnion`.

    Args:
        space: the ranges; without effect if there are `solvers`.
        solvers: the space of every solver by its name; empty if the solver is not searched.
        sampler: a name in `SAMPLERS`.
        trials: total number of proposals, >= 1.
        begun_trials: the number with which the search began, whose first proposals are kept; None for `trials`.
        epochs: epochs of a full trial, for the pruner's rungs.
        parallel: proposals per round, >= 1.
        cost: a field of `tuner.cost.Cost` to lower beside raising the score; None for the score alone.
        ends: whether the search ends after a round, given Optuna's study; None for never.
    """

    def __init__(
        self,
        space: Space,
        *,
        solvers: Mapping[str, Space] = MappingProxyType({}),
        sampler: Sampler = "tpe",
        trials: int,
        seed: int,
        epochs: int,
        pruner: Pruner = "none",
        parallel: int = 4,
        begun_trials: int | None = None,
        cost: str | None = None,
        ends: Callable[[optuna.Study], bool] | None = None,
    ) -> None:
        union = SolverUnion(solvers) if solvers else None
        flat = space if union is None else union.space
        is_conditional = len(solvers) > 1 and sampler == "tpe"
        self._form = _BySolver(solvers) if is_conditional else _Flat(flat, dict if union is None else union.params)
        self._trials = trials
        self._parallel = parallel
        self._ends = ends
        self._looked_at = 0
        self._has_ended = False
        self._prunes = pruner != "none"
        self._cost = cost
        self._highest_cost = 0.0
        self._first: list[Mapping[str, OptionValue]] = []
        self._asked: list[optuna.Trial] = []
        self._watched: list[optuna.Trial] = []
        self._reported: set[tuple[int, int]] = set()
        self._held_outcomes: dict[int, Outcome] = {}
        self._told = 0
        num_startup = num_startup_trials(begun_trials or trials)
        self._study = self._watching = optuna.create_study(
            direction="maximize",
            sampler=SAMPLERS[sampler](seed, num_startup, is_conditional),
            pruner=build_pruner(pruner, epochs=epochs),
            study_name=STUDY_NAME,  # Hyperband assigns brackets by it
        )
        if cost is not None:
            self._study = optuna.create_study(
                directions=["maximize", "minimize"], sampler=SAMPLERS[sampler](seed, num_startup, is_conditional)
            )
        if sampler in ("gp", "sobol") or is_conditional:
            num_points = trials if sampler == "sobol" else min(num_startup, trials)
            self._first += map(self._form.given, sobol_points(flat, trials=num_points, seed=seed))

    def start_from(self, params: Mapping[str, OptionValue]) -> None:
        """Propose these first. They count as a trial, and the sampler learns from them."""
        self._first = [params, *self._first]

    def ask(self) -> Proposal | Literal["wait", "done"]:
        """Return the next proposal, or "wait" at the end of a round until all its outcomes are told."""
        index = len(self._asked)
        if index == self._trials or self._has_ended:
            return "done"
        if index % self._parallel == 0 and self._told < index:
            return "wait"
        if self._ends is not None and index % self._parallel == 0 and self._looked_at < index:
            self._looked_at = index
            with one_thread():
                self._has_ended = self._ends(self._study)
            return self.ask()
        if index == 0:
            for point in self._first[: self._trials]:
                self._study.enqueue_trial(cast(dict[str, Any], point))
        with one_thread():  # with more, the Gaussian process's sums, and so its proposals, would differ
            trial = self._form.ask(self._study)
        self._asked.append(trial)
        self._watched.append(trial if self._cost is None else self._watching.ask())
        return Proposal(index=index, params=self._form.params(trial.params))

    def report(self, index: int, epoch: int, score: float) -> bool:
        """Receive an epoch's score; return False if the pruner ends the trial."""
        self._report(index, epoch, score)
        return not self._should_prune(index)

    def tell(self, index: int, outcome: Outcome) -> None:
        """Receive an outcome. It is passed to Optuna once its round is complete."""
        self._held_outcomes[index] = outcome
        round_end = min(self._told + self._parallel, self._trials)
        if len(self._held_outcomes) == round_end - self._told:
            finished = [
                one for one in self._held_outcomes.values() if not (one.pruned or one.diverged or one.score is None)
            ]
            self._highest_cost = max([self._highest_cost, *map(self._own_cost, finished)])
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
        self._watched[index].report(score, step=epoch)
        return True

    def _should_prune(self, index: int) -> bool:
        """Ask the pruner, which enters the trial in its rungs only when asked."""
        return self._prunes and self._watched[index].should_prune()

    def _tell_optuna(self, index: int, outcome: Outcome) -> None:
        for epoch, score in enumerate(outcome.epoch_scores, start=1):
            if self._report(index, epoch, score):  # a trial replayed from the journal was never reported
                self._should_prune(index)
        state = TrialState.COMPLETE
        if outcome.pruned:
            state = TrialState.PRUNED
        elif outcome.score is None or not math.isfinite(outcome.score):
            state = TrialState.FAIL
        is_complete = state is TrialState.COMPLETE
        self._watching.tell(self._watched[index], outcome.score if is_complete else None, state=state)
        if self._cost is not None:
            values = self._values(outcome) if is_complete else None
            state = TrialState.FAIL if is_complete and values is None else state
            self._study.tell(self._asked[index], values, state=state)

    def _values(self, outcome: Outcome) -> list[float] | None:
        """Return the score and the cost of an outcome. A diverged trial ended early, which is no saving.

        It has the highest cost of the finished trials so far; without any, None.
        """
        assert outcome.score is not None
        if not outcome.diverged:
            return [outcome.score, self._own_cost(outcome)]
        return [outcome.score, self._highest_cost] if self._highest_cost else None

    def _own_cost(self, outcome: Outcome) -> float:
        return 0.0 if self._cost is None else float(getattr(outcome.cost, self._cost))
