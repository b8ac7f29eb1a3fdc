"""The winner's curse in the best of k trials and in K*, and how much of it `tuner.analysis.luck` takes away.

    python -m benchmarks.luck [--repeats 400] [--seed 0]

Simulated searches have known true scores; a trial's score adds the noise of one seed. The truth is the true score of
the trial that is best by its score, on average over 20,000 searches. K* is asked for the level that the best of 6
trials reaches in truth. The arm that sets the level has a noise of its own: the mean of 5 seeds. Beside K* as it is
observed and as it is corrected stands the one that the true scores of the same trials give.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np

from zerotune.tuner.analysis.evidence import best_of_k, best_of_k_in_order, trials_to_reach
from zerotune.tuner.analysis.luck import true_best_of_k

Draw = Callable[[np.ndarray], np.ndarray]

SEARCHES: dict[str, Draw] = {
    "hill": lambda shares: 0.97 - 0.08 * (2 * shares - 1) ** 2,
    "plain": lambda shares: 0.97 - 0.03 * shares,
    "long tail": lambda shares: 0.97 + 0.02 * np.log(1 - shares),
    "a third lost": lambda shares: np.where(shares < 1 / 3, 0.1, 0.97 - 0.03 * (2 * shares - 1) ** 2),
    "all the same": lambda shares: np.full_like(shares, 0.97),
}
"""True scores of trials that are drawn at random, from numbers between 0 and 1."""

NOISE = 0.006
NUM_TRIALS = (12, 24)
LEVEL_K = 6
NUM_SEEDS = 5
NUM_TRUE = 20_000


@dataclass(frozen=True, kw_only=True)
class Bias:
    """Errors over simulated searches.

    Attributes:
        observed: mean error of the expected best of N trials without a correction.
        corrected: the same with it.
        trials: median K* without a correction; one that is not reached counts as N + 1.
        corrected_trials: the same with it.
        known_trials: the same by the true scores of the trials.
    """

    observed: float
    corrected: float
    trials: float
    corrected_trials: float
    known_trials: float


def bias(draw: Draw, num_trials: int, noise: np.random.Generator, repeats: int) -> Bias:
    """Return how far the best of all trials and K* are from the truth, which is `LEVEL_K` for K*."""
    true = draw(noise.uniform(size=(NUM_TRUE, num_trials)))
    scores = true + NOISE * noise.normal(size=true.shape)
    best = [np.take_along_axis(true, scores[:, :k].argmax(1)[:, None], 1).mean() for k in (LEVEL_K, num_trials)]
    errors, found = [], []
    for scored, known in zip(scores[:repeats], true, strict=False):
        level = best[0] + NOISE / NUM_SEEDS**0.5 * noise.normal()
        observed = best_of_k(scored, higher_is_better=True)
        corrected = true_best_of_k(scored, NOISE, higher_is_better=True)
        curves = (observed, corrected, _known_best_of_k(known, noise))
        errors.append((observed[-1] - best[1], corrected[-1] - best[1]))
        found.append([trials_to_reach(curve, level, higher_is_better=True) or num_trials + 1 for curve in curves])
    mean_errors = [fmean(values) for values in zip(*errors, strict=True)]
    medians = [median(values) for values in zip(*found, strict=True)]
    return Bias(
        observed=mean_errors[0],
        corrected=mean_errors[1],
        trials=medians[0],
        corrected_trials=medians[1],
        known_trials=medians[2],
    )


def _known_best_of_k(true: np.ndarray, noise: np.random.Generator) -> tuple[float, ...]:
    """Return the expected true score of the best of k trials whose true scores are known."""
    order = np.argsort(true + NOISE * noise.normal(size=(1_000, len(true))), axis=1)
    return best_of_k_in_order(true[order].mean(axis=0).tolist())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    noise = np.random.default_rng(arguments.seed)
    headings = ("search", "trials N", "best of N too high by", "corrected", "K* (true: 6)", "corrected", "scores known")
    print(f"| {' | '.join(headings)} |\n{'|---' * len(headings)}|")
    for name, draw in SEARCHES.items():
        for num_trials in NUM_TRIALS:
            one = bias(draw, num_trials, noise, arguments.repeats)
            points = f"{100 * one.observed:.2f} | {100 * one.corrected:.2f}"
            medians = " | ".join(f"{value:g}" for value in (one.trials, one.corrected_trials, one.known_trials))
            print(f"| {name} | {num_trials} | {points} | {medians} |")


if __name__ == "__main__":
    main()
