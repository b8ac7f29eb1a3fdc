"""How much each hyperparameter of a search mattered, by Optuna's PED-ANOVA.

A pure function of what was tried and how it scored. This module must not know trials, arms or figures.
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
from .optuna_tpe import distribution

NUM_BEST = 5
"""Trials among the best that PED-ANOVA should have at least (Optuna's documentation of its evaluator)."""
BEST_SHARE = 0.1
"""Share of the trials that count as the best where that is more than `NUM_BEST` (PED-ANOVA's gamma')."""
MIN_TRIALS = 2 * NUM_BEST
"""Below this the best trials are more than half of all, and there is little to tell them from."""
NUM_RESAMPLES = 40
"""Enough for two digits of a chance of 5%; each takes PED-ANOVA some 10 ms."""
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Importance:
    """What a hyperparameter had to do with being among the best trials.

    Attributes:
        share: its part of the whole, in [0, 1]; the shares of a search add up to 1 whether or not any had an effect.
        low: lower end of a 95% percentile interval of the share over resampled trials.
        high: upper end of it.
        chance: how often shuffled scores give a divergence at least as large, in (0, 1]: a permutation test's p-value.
    """

    share: float
    low: float
    high: float
    chance: float


def importances(
    space: Space, params: Sequence[Mapping[str, OptionValue]], scores: Sequence[float], *, higher_is_better: bool
) -> dict[str, Importance]:
    """Return how far the values of the best trials are from those of all trials, by hyperparameter.

    PED-ANOVA is the Pearson divergence between two densities of a hyperparameter's values: over the best trials, and
    over all that were run, so that a searcher that dwells on good values is not taken for an effect. Each
    hyperparameter is looked at by itself: what only a combination does is not seen. Trials are resampled with
    replacement for the interval and scores shuffled for the test, the same way on every call.

    Args:
        space: the ranges that were searched, two or more.
        params: what was tried, one a trial, each with a value of every range; at least `MIN_TRIALS`.
        scores: validation scores in the same order, finite; a diverged trial counts with its score.
        higher_is_better: direction of the score.

    Raises:
        ValueError: fewer ranges or trials than that, or another number of scores than of trials.

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
    """A study of trials as they are: adding them to one copies each, most of the time that a resample would take."""

    def __init__(self, trials: Sequence[FrozenTrial]) -> None:
        storage = optuna.storages.InMemoryStorage()
        storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], "drawn")
        super().__init__("drawn", storage)
        self._drawn = list(trials)

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        return self._drawn


def _divergences(trials: Sequence[FrozenTrial], losses: Sequence[float]) -> dict[str, float]:
    """Return PED-ANOVA's importances of the trials, some of them more than once, not divided by their sum.

    Args:
        trials: complete.
        losses: of all trials, by their numbers.
    """
    share = max(BEST_SHARE, NUM_BEST / len(losses))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=share, evaluate_on_local=True)
    with warnings.catch_warnings():
        # Optuna warns that low targets count as good, as they do here, and that ties leave nothing to tell apart.
        warnings.simplefilter("ignore")
        return optuna.importance.get_param_importances(
            _Resampled(trials), evaluator=evaluator, target=lambda trial: losses[trial.number], normalize=False
        )


def _shares(divergences: Mapping[str, float]) -> dict[str, float]:
    """Divided by their sum; equal where nothing diverges."""
    whole = sum(divergences.values())
    return {name: value / whole if whole else 1 / len(divergences) for name, value in divergences.items()}
