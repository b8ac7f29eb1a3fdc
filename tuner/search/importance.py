"""Hyperparameter importance by Optuna's PED-ANOVA.

A pure function of hyperparameters and scores. This module must not know trials, arms or figures.
"""

import random
import warnings
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import quantiles

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from ...trainers.spec import OptionValue
from ..study.comprehensive import OPTIMIZER
from ..study.search_space import Choice, Param, Space, is_number
from .optuna_search import distribution

NUM_BEST = 5
"""Minimum number of best trials for PED-ANOVA (Optuna's documentation of its evaluator)."""
BEST_SHARE = 0.25
"""Share of the trials that count as best, if that is more than `NUM_BEST` (PED-ANOVA's gamma').

With a tenth, Optuna's default, the hyperparameter that decides is found less often (benchmarks/importances.py).
"""
MIN_TRIALS = 2 * NUM_BEST
"""Minimum number of trials. With fewer, the best are more than half of all, which leaves little to compare with."""
NUM_RESAMPLES = 40
"""Number of resamples and shuffles: enough to resolve a chance of 5%. PED-ANOVA takes about 10 ms for each."""
LOG_SPAN = 20.0
"""Positive values of a hyperparameter without a stated range are taken on a log scale if their ratio is larger."""
_SEED = 0

Params = Mapping[str, OptionValue]


@dataclass(frozen=True, kw_only=True)
class Importance:
    """Importance of a hyperparameter for being among the best trials.

    Attributes:
        share: share of the total importance, in [0, 1]. The shares sum to 1 even if no hyperparameter has an effect.
        low: lower end of the share's 95% percentile interval over resampled trials.
        high: upper end of that interval.
        chance: permutation test's p-value, in (0, 1]: how often shuffled scores give at least as large a divergence.
    """

    share: float
    low: float
    high: float
    chance: float


def importances(
    space: Space, params: Sequence[Params], scores: Sequence[float | None], *, higher_is_better: bool
) -> dict[str, Importance]:
    """Return the importance of each hyperparameter, by comparing its values in the best trials and in all trials.

    PED-ANOVA is the Pearson divergence between two densities of a hyperparameter's values: one over the best trials and
    one over all trials, so that a searcher's preference for good values does not count as an effect. Each
    hyperparameter is considered separately, so interactions are not detected. Of a search over solvers, a
    hyperparameter is compared within each solver that has it, and the solver is a hyperparameter itself. Trials are
    resampled with replacement for the interval, and scores are shuffled for the test. Both are the same on every call.

    Args:
        space: the searched ranges. Of a search over solvers, what they have in common: the rest is what they tried.
        params: the hyperparameters of each trial; at least `MIN_TRIALS` trials and two hyperparameters. Without
            solvers each trial has a value for every range.
        scores: validation scores in the same order; None for a pruned trial, which then is none of the best. At least
            `NUM_BEST` are finite numbers; a diverged trial counts with its score.
        higher_is_better: direction of the score.

    Raises:
        ValueError: there are too few hyperparameters, trials or scores, or their numbers differ.

    Source: Watanabe, Bansal and Hutter, PED-ANOVA (arXiv 2304.10255); its extension to hyperparameters that not all
    trials have (arXiv 2601.20800); `evaluate_on_local` of Optuna's evaluator.
    """
    trials, losses = _frozen(space, params, scores, higher_is_better=higher_is_better)
    generator = random.Random(_SEED)
    found = _of_names(_divergences(trials, losses), space, params)
    resampled = [_shares(_divergences(generator.choices(trials, k=len(trials)), losses)) for _ in range(NUM_RESAMPLES)]
    shuffled = [_divergences(trials, generator.sample(losses, len(losses))) for _ in range(NUM_RESAMPLES)]
    shares = _shares(found)
    importance = {}
    for name in shares:
        ends = quantiles([resample.get(name, 0.0) for resample in resampled], n=40, method="inclusive")
        as_large = sum(shuffle.get(name, 0.0) >= found[name] for shuffle in shuffled)
        importance[name] = Importance(
            share=shares[name], low=ends[0], high=ends[-1], chance=(1 + as_large) / (1 + NUM_RESAMPLES)
        )
    return importance


def by_importance(
    space: Space, params: Sequence[Params], scores: Sequence[float | None], *, higher_is_better: bool
) -> list[str]:
    """Return the hyperparameters, the most important first; of equals, in the order of the space.

    It takes what `importances` takes, and a hundredth of its time.
    """
    trials, losses = _frozen(space, params, scores, higher_is_better=higher_is_better)
    found = _of_names(_divergences(trials, losses), space, params)
    return sorted(found, key=lambda name: -found[name])


def searched_names(space: Space, params: Sequence[Params]) -> list[str]:
    """Return the hyperparameters that importances are of: those of the space, or all that several solvers tried."""
    if not _has_solvers(params):
        return list(space)
    names = dict.fromkeys([*space, *(name for one in params for name in one)])
    return [name for name in names if len({one[name] for one in params if name in one}) > 1]


def _has_solvers(params: Sequence[Params]) -> bool:
    return any(OPTIMIZER in one for one in params)


def _frozen(
    space: Space, params: Sequence[Params], scores: Sequence[float | None], *, higher_is_better: bool
) -> tuple[list[FrozenTrial], list[float]]:
    """Return Optuna's trials and their losses, by trial number."""
    names = searched_names(space, params)
    known = [score for score in scores if score is not None]
    if len(names) < 2 or len(params) < MIN_TRIALS or len(scores) != len(params) or len(known) < NUM_BEST:
        raise ValueError(
            f"importances need two hyperparameters, {MIN_TRIALS} trials and {NUM_BEST} scores, "
            f"got {len(names)}, {len(params)} and {len(known)}"
        )
    sign = -1.0 if higher_is_better else 1.0
    worst = max(sign * score for score in known)
    losses = [worst + abs(worst) + 1.0 if score is None else sign * score for score in scores]
    spaces = _distributions(space, params)
    now = datetime.now()
    trials = []
    for number, (values, loss) in enumerate(zip(params, losses, strict=True)):
        own = spaces[values.get(OPTIMIZER)]
        trial = FrozenTrial(
            number=number,
            trial_id=number,
            state=TrialState.COMPLETE,
            value=loss,
            params={name: values[name] for name in own},
            distributions=own,
            datetime_start=now,
            datetime_complete=now,
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )
        trials.append(trial)
    return trials, losses


def _distributions(space: Space, params: Sequence[Params]) -> dict[OptionValue | None, dict[str, BaseDistribution]]:
    """Return what every solver ranged over, by solver; with the key None if the solver was not searched.

    Each solver has ranges of its own, which may have been extended: they are taken from what it tried.
    """
    if not _has_solvers(params):
        return {None: {name: distribution(param) for name, param in space.items()}}
    names = searched_names(space, params)
    found: dict[OptionValue | None, dict[str, BaseDistribution]] = {}
    for solver in dict.fromkeys(one.get(OPTIMIZER) for one in params):
        own = [one for one in params if one.get(OPTIMIZER) == solver]
        shared = [name for name in names if all(name in one for one in own)]
        found[solver] = {
            name: _tried(space.get(name), [one[name] for one in own], [one[name] for one in params if name in one])
            for name in shared
        }
    return found


def _tried(param: Param | None, own: Sequence[OptionValue], all_values: Sequence[OptionValue]) -> BaseDistribution:
    """Return the distribution of values that a solver tried: a range of numbers, or a choice of what all tried."""
    if isinstance(param, Choice) or not all(is_number(value) for value in all_values):
        choices = param.choices if isinstance(param, Choice) else ()
        return CategoricalDistribution(tuple(dict.fromkeys((*choices, *all_values))))  # type: ignore[arg-type]
    numbers = [float(value) for value in own if is_number(value)]
    low, high = min(numbers), max(numbers)
    stated_log = param is not None and param.scale == "log"
    return FloatDistribution(low, high, log=low > 0 and (stated_log or high / low > LOG_SPAN))


class _Resampled(optuna.Study):
    """An Optuna study that shares its trials. Adding them to a study copies each, which would dominate a resample."""

    def __init__(self, trials: Sequence[FrozenTrial]) -> None:
        storage = optuna.storages.InMemoryStorage()
        storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], "drawn")
        super().__init__("drawn", storage)
        self._drawn = list(trials)

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        return self._drawn


def _divergences(trials: Sequence[FrozenTrial], losses: Sequence[float]) -> dict[str, float]:
    """Return PED-ANOVA's unnormalised importances of the hyperparameters that these trials have.

    Args:
        trials: complete trials, which may be repeated.
        losses: losses of all trials, by trial number.
    """
    share = max(BEST_SHARE, NUM_BEST / len(losses))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=share, evaluate_on_local=True)
    with warnings.catch_warnings():
        # Optuna warns that low targets count as good, which is intended here, that ties cannot be distinguished, and
        # that a solver has few trials, which the interval shows.
        warnings.simplefilter("ignore")
        return optuna.importance.get_param_importances(
            _Resampled(trials), evaluator=evaluator, target=lambda trial: losses[trial.number], normalize=False
        )


def _of_names(divergences: Mapping[str, float], space: Space, params: Sequence[Params]) -> dict[str, float]:
    """Return the divergences in the order of the hyperparameters."""
    return {name: divergences.get(name, 0.0) for name in searched_names(space, params)}


def _shares(divergences: Mapping[str, float]) -> dict[str, float]:
    """Return the divergences divided by their sum, or equal shares if the sum is 0."""
    whole = sum(divergences.values())
    return {name: value / whole if whole else 1 / len(divergences) for name, value in divergences.items()}
