"""The luck in the best of k trials: each is trained once, and the best of them is partly the luckiest.

Every trial's score is taken for its true one, which it would have on average over seeds, plus normal noise that is
independent of the others'. The best of k by score is then truly worse than its score (the winner's curse). The true
scores are estimated as those that, with noise added, give the observed scores on average. Pure functions of numbers.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from statistics import median, variance
from typing import TYPE_CHECKING

from .evidence import best_of_k, best_of_k_in_order

if TYPE_CHECKING:
    import numpy as np

NUM_DRAWS = 500
"""Draws of the noise, fewer for searches of more than 400 trials; four times as many change a curve by 0.05 noises at
most."""
NUM_STEPS = 25
"""Steps of the estimate of the true scores; more change nothing."""
CONVERGED = 1e-6
"""Largest change of a step, in units of the noise, after which no other follows."""
_LARGEST_DRAW = 200_000


def seed_noise(configurations: Iterable[Sequence[float]]) -> float | None:
    """Return the standard deviation between seeds of the same configuration.

    It is the median over configurations, so that one that is unstable does not set it for all. A variance over n seeds
    is divided by the median of chi-square with n - 1 degrees of freedom over its mean, n - 1.

    Args:
        configurations: the scores over seeds of each.

    Returns:
        The standard deviation; None if no configuration has two scores.

    >>> round(seed_noise([[0.90, 0.92, 0.91], [0.95]]), 4)
    0.012
    """
    groups = [scores for scores in configurations if len(scores) > 1]
    if not groups:
        return None
    from scipy import special  # takes a while to import, and is needed only at the end

    medians = {len(scores): float(special.chdtri(len(scores) - 1, 0.5)) / (len(scores) - 1) for scores in groups}
    return float(median(variance(scores) / medians[len(scores)] for scores in groups) ** 0.5)


def true_best_of_k(scores: Iterable[float], noise: float, *, higher_is_better: bool) -> tuple[float, ...]:
    """Return the expected true score of the best of k = 1..N trials by their scores, drawn from the N that were run.

    Without noise it is `tuner.analysis.evidence.best_of_k`. It assumes exchangeable trials, as that does.

    Args:
        scores: validation scores, finite.
        noise: standard deviation of a score between seeds, >= 0.
        higher_is_better: direction of the metric.

    Returns:
        N expected values.

    Three trials that differ by noise alone are all the same:

    >>> [round(score, 2) for score in true_best_of_k([0.89, 0.90, 0.91], 0.1, higher_is_better=True)]
    [0.9, 0.9, 0.9]
    """
    sign = 1.0 if higher_is_better else -1.0
    values = tuple(sorted(sign * score for score in scores))
    if noise == 0.0 or len(values) < 2:
        return tuple(sign * best for best in best_of_k(values, higher_is_better=True))
    return tuple(sign * best for best in _true_best_of_k(values, noise))


@lru_cache(maxsize=256)
def _true_best_of_k(values: tuple[float, ...], noise: float) -> tuple[float, ...]:
    """Return the curve for values from worst to best; arms at one batch size ask for the same."""
    import numpy as np
    from scipy.optimize import isotonic_regression

    errors = noise * _draws(len(values))
    observed = np.array(values)
    true, weights = observed, np.full(len(errors), 1 / len(errors))
    for _ in range(NUM_STEPS):  # until the trained scores, from worst to best, are on average the observed ones
        trained = weights @ np.sort(true + errors, axis=1)
        last, true = true, isotonic_regression(true + (observed - trained)).x
        if np.abs(true - last).max() <= CONVERGED * noise:
            break
    order = np.argsort(true + errors, axis=1)
    return best_of_k_in_order((weights @ true[order]).tolist())


@lru_cache(maxsize=8)
def _draws(number: int) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """Return draws of standard normal noise for a number of trials, on average exactly zero."""
    import numpy as np

    draws = np.random.default_rng(0).normal(size=(min(NUM_DRAWS, 1 + _LARGEST_DRAW // number), number))
    return np.concatenate([draws, -draws])
