"""Optuna's stopping rule for a search. It sees what an Optuna study holds, and no other arm.

Optuna 5 deprecates its terminators and removes them in version 6, which this package does not admit.
"""

import warnings

import optuna
from optuna import terminator

NUM_LEAST = 20
"""Finished trials before which the rule does not look, Optuna's default."""


def is_within_regret_bound(study: optuna.Study, *, margin: float, seed: int) -> bool:
    """Return whether more trials can hardly improve on the best one by more than the margin tolerates of it.

    By a Gaussian process, the best of the space then lies above the best trial by less, with high probability.

    Args:
        study: its scores are maximized.
        margin: share of a score that still counts as kept, in (0, 1].
        seed: of the points at which the Gaussian process is looked at.

    Source: Makarova et al., Automatic termination for hyperparameter optimization (2022).
    """
    scores = [trial.value for trial in study.get_trials(deepcopy=False) if trial.value is not None]
    if not scores:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # terminators are experimental and deprecated
        rule = terminator.Terminator(
            terminator.RegretBoundEvaluator(seed=seed),
            terminator.StaticErrorEvaluator((1.0 - margin) * abs(max(scores))),
            min_n_trials=NUM_LEAST,
        )
        return bool(rule.should_terminate(study))
