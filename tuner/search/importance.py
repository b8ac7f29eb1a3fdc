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
from optuna.trial import FrozenTrial, TrialState

from ...trainers.spec import OptionValue
from ..study.search_space import Space
from .optuna_search import distribution

NUM_BEST = 5
"""Minimum number of best trials for PED-ANOVA (Optuna's documentation of its evaluator)."""
BEST_SHARE = 0.1
"""Share of the trials that count as best, if that is more than `NUM_BEST` (PED-ANOVA's gamma')."""
MIN_TRIALS = 2 * NUM_BEST
"""Minimum number of trials. With fewer, the best are more than half of all, which leaves little to compare with."""
NUM_RESAMPLES = 40
"""Number of resamples and shuffles: enough to resolve a chance of 5%. PED-ANOVA takes about 10 ms for each."""
_SEED = 0


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
    space: Space, params: Sequence[Mapping[str, OptionValue]], scores: Sequence[float], *, higher_is_better: bool
) -> dict[str, Importance]:
    """Return the importance of each hyperparameter, by comparing its values in the best trials and in all trials.

    PED-ANOVA is the Pearson divergence between two densities of a hyperparameter's values: one over the best trials and
    one over all trials, so that a searcher's preference for good values does not count as an effect. Each
    hyperparameter is considered separately, so interactions are not detected. Trials are resampled with replacement for
    the interval, and scores are shuffled for the test. Both are the same on every call.

    Args:
        space: the searched ranges, at least two.
        params: the hyperparameters of each trial, with a value for every range; at least `MIN_TRIALS` trials.
        scores: finite validation scores in the same order; a diverged trial counts with its score.
        higher_is_better: direction of the score.

    Raises:
        ValueError: there are too few ranges or trials, or the numbers of scores and trials differ.

    Source: Watanabe, Bansal and Hutter, PED-ANOVA (arXiv 2304.10255); `evaluate_on_local` of Optuna's evaluator.
    """
    if len(space) < 2 or len(params) < MIN_TRIALS or len(scores) != len(params):
        raise ValueError(
            f"importances need two ranges, {MIN_TRIALS} trials and a score of each, "
            f"got {len(space)}, {len(params)} and {len(scores)}"
        )
    sign = -1.0 if higher_is_better else 1.0
    losses = [sign * score for score in scores]
    distributions = {name: distribution(param) for name, param in space.items()}
    now = datetime.now()
    trials = [
        FrozenTrial(
            number=number,
            trial_id=number,
            state=TrialState.COMPLETE,
            value=loss,
            params={name: values[name] for name in space},
            distributions=distributions,
            datetime_start=now,
            datetime_complete=now,
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )
        for number, (values, loss) in enumerate(zip(params, losses, strict=True))
    ]
    generator = random.Random(_SEED)
    found = _divergences(trials, losses)
    resampled = [_shares(_divergences(generator.choices(trials, k=len(trials)), losses)) for _ in range(NUM_RESAMPLES)]
    shuffled = [_divergences(trials, generator.sample(losses, len(losses))) for _ in range(NUM_RESAMPLES)]
    shares = _shares(found)
    importance = {}
    for name in space:
        ends = quantiles([resample[name] for resample in resampled], n=40, method="inclusive")
        as_large = sum(shuffle[name] >= found[name] for shuffle in shuffled)
        importance[name] = Importance(
            share=shares[name], low=ends[0], high=ends[-1], chance=(1 + as_large) / (1 + NUM_RESAMPLES)
        )
    return importance


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
    """Return PED-ANOVA's unnormalised importances.

    Args:
        trials: complete trials, which may be repeated.
        losses: losses of all trials, by trial number.
    """
    share = max(BEST_SHARE, NUM_BEST / len(losses))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=share, evaluate_on_local=True)
    with warnings.catch_warnings():
        # Optuna warns that low targets count as good, which is intended here, and that ties cannot be distinguished.
        warnings.simplefilter("ignore")
        return optuna.importance.get_param_importances(
            _Resampled(trials), evaluator=evaluator, target=lambda trial: losses[trial.number], normalize=False
        )


def _shares(divergences: Mapping[str, float]) -> dict[str, float]:
    """Return the divergences divided by their sum, or equal shares if the sum is 0."""
    whole = sum(divergences.values())
    return {name: value / whole if whole else 1 / len(divergences) for name, value in divergences.items()}
