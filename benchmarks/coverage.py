"""Coverage of intervals, bias of the best-of-k estimators, and frequency of false verdicts.

    python -m benchmarks.coverage [--repeats 2000] [--seed 0]

Each number stands beside its nominal value. Clopper and Pearson's coverage and the expectations of the best-of-k
estimators are exact sums. The rest is simulated with a seed; its standard error is below 0.017 at 2,000 repeats. The
measured functions are our own (`tuner.analysis.evidence`, `tuner.analysis.search_statistics`), except for the t
interval's coverage and the median best of k: these use scipy's vectorised functions, which tests show to be equal.
"""

import argparse
import math
from collections.abc import Callable
from statistics import fmean

import numpy as np
from scipy import stats

from zerotune.tuner.analysis.evidence import CONFIDENCE, best_of_k, paired_verdict
from zerotune.tuner.analysis.search_statistics import median_best_of_k, median_interval_range, success_rate

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

DIFFERENCES: dict[str, Draw] = {
    "normal": lambda noise, shape: noise.normal(size=shape),
    "uniform": lambda noise, shape: noise.uniform(-1.0, 1.0, size=shape),
    "skewed": lambda noise, shape: noise.exponential(size=shape) - 1.0,
    "skewed, other side": lambda noise, shape: 1.0 - noise.exponential(size=shape),
}
"""Differences of scores between two arms around a true mean of 0; the skewed ones have a long tail on one side."""

NUM_SEEDS = (3, 5, 10)
NUM_RESAMPLES = 1_000
TAIL = 100 * (1 - CONFIDENCE) / 2


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    noise = np.random.default_rng(arguments.seed)
    intervals_of_a_mean(noise, arguments.repeats)
    false_verdicts(noise, arguments.repeats)
    success_rates()
    best_of_k_bias()
    best_of_k_intervals(noise, arguments.repeats)


def table(title: str, headings: list[str], rows: list[list[str]]) -> None:
    """Print a table in Markdown."""
    print(f"\n{title}\n")
    for row in [headings, ["---"] * len(headings), *rows]:
        print(f"| {' | '.join(row)} |")


def percentile_ends(statistics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile interval of resampled statistics over the last axis."""
    low, high = np.percentile(statistics, [TAIL, 100 - TAIL], axis=-1)
    return low, high


def intervals_of_a_mean(noise: np.random.Generator, repeats: int) -> None:
    """Print the coverage of the t interval and the percentile bootstrap for the mean difference over a few seeds."""
    rows = []
    for name, draw in DIFFERENCES.items():
        if name == "skewed, other side":
            continue  # two-sided coverage equals that of its mirror image
        for num_seeds in NUM_SEEDS:
            samples = draw(noise, (repeats, num_seeds))
            ends = stats.ttest_1samp(samples, 0.0, axis=1).confidence_interval(CONFIDENCE)
            student = np.mean((ends.low <= 0) & (ends.high >= 0))
            covered = 0
            for sample in samples:
                picks = noise.integers(0, num_seeds, size=(NUM_RESAMPLES, num_seeds))
                low, high = percentile_ends(sample[picks].mean(axis=1))
                covered += int(low <= 0 <= high)
            rows.append([name, str(num_seeds), f"{student:.3f}", f"{covered / repeats:.3f}"])
    table(
        "Coverage of a nominal 0.95 interval of the mean difference over seeds",
        ["differences", "seeds", "Student's t", "percentile bootstrap"],
        rows,
    )


def false_verdicts(noise: np.random.Generator, repeats: int) -> None:
    """Print how often the interval's verdict errs to either side at its borders, and how often it decides at all.

    Its words are those of `zerotune regime`; `benchmarks.verdicts` measures the verdicts of `run` and `compare`.
    An interval moves with its differences. The same sample therefore shows "beats" where the arms are truly equal and
    "matches" where the truth lies at the margin: in both cases the interval's lower end is above the truth.
    """
    rows = []
    for name, draw in DIFFERENCES.items():
        spread = float(np.std(draw(noise, (100_000,))))
        for num_seeds in NUM_SEEDS:
            found = [
                paired_verdict(list(sample), [0.0] * num_seeds, tolerance=2 * spread, higher_is_better=True)
                for sample in draw(noise, (repeats, num_seeds))
            ]
            highs = [verdict.difference.high for verdict in found if verdict.difference is not None]
            shares = (
                fmean(verdict.finding == "beats" for verdict in found),
                fmean(high is not None and high < 0 for high in highs),
                fmean(verdict.finding in ("beats", "matches") for verdict in found),
            )
            rows.append([name, str(num_seeds), *(f"{share:.3f}" for share in shares)])
    table(
        "False verdicts, nominal 0.025 a side, and power: truly equal arms shown to match or beat where the margin is "
        "two standard deviations of a seed's difference",
        ["differences", "seeds", "better than true", "worse than true", "power"],
        rows,
    )
    rows = []
    for num_seeds in (2, *NUM_SEEDS):
        for num_images in (1_000, 10_000):
            pairs = noise.binomial(num_images, 0.98, size=(repeats, 2, num_seeds)) / num_images
            found = [paired_verdict(list(a), list(b), tolerance=0.0049, higher_is_better=True) for a, b in pairs]
            beats = fmean(verdict.finding == "beats" for verdict in found)
            rows.append([str(num_seeds), f"{num_images:,}", f"{beats:.3f}"])
    table(
        'False "beats", nominal 0.025: equal arms of 98% accuracy, in steps of one test image',
        ["seeds", "test images", "beats, truly equal"],
        rows,
    )


def success_rates() -> None:
    """Print the exact coverage of Clopper and Pearson's interval over true success rates from 0.01 to 0.99."""
    rows = []
    for num_trials in (6, 16, 30, 64):
        found = [
            success_rate([1.0] * count + [0.0] * (num_trials - count), 1.0, higher_is_better=True)
            for count in range(num_trials + 1)
        ]
        coverages = [
            math.fsum(
                stats.binom.pmf(one.num_successes, num_trials, rate) for one in found if one.low <= rate <= one.high
            )
            for rate in np.linspace(0.01, 0.99, 99)
        ]
        bound = found[0].upper_bound or 0.0
        rows.append([str(num_trials), f"{min(coverages):.3f}", f"{fmean(coverages):.3f}", f"{bound:.3f}"])
        rows[-1].append(f"{3 / num_trials:.3f}")
    table(
        "Exact coverage of Clopper and Pearson's nominal 0.95 interval of a success rate; no success in N",
        ["trials N", "lowest", "mean", "bound on p, no success", "3/N"],
        rows,
    )


def plug_in_weights(num_trials: int, k: int) -> np.ndarray:
    """Return Dodge et al.'s weights of the trials, worst to best, for the best of k drawn with replacement
    (1909.03004).
    """
    shares = np.arange(num_trials + 1) / num_trials
    return np.diff(shares**k)


def unbiased_weights(num_trials: int, k: int) -> np.ndarray:
    """Return the weights that `best_of_k` gives the trials, worst to best: its value for each of them alone."""
    units = np.tri(num_trials)  # row i: trial i and all better ones score 1
    steps = [best_of_k(list(unit), higher_is_better=True)[k - 1] for unit in units[:, ::-1]]
    return np.diff([0.0, *steps])[::-1]


def best_of_k_bias() -> None:
    """Print exact expectations of both best-of-k estimators for uniform scores, whose true value is k / (k + 1)."""
    rows = []
    for num_trials, k in ((16, 8), (30, 5), (30, 15), (30, 30), (64, 32)):
        order_means = np.arange(1, num_trials + 1) / (num_trials + 1)  # of uniform scores, from worst to best
        unbiased = unbiased_weights(num_trials, k) @ order_means
        plug_in = plug_in_weights(num_trials, k) @ order_means
        rows.append([f"{k} of {num_trials}", f"{k / (k + 1):.4f}", f"{unbiased:.4f}", f"{plug_in:.4f}"])
    table(
        "Expected value of the estimators of the best of k, uniform scores",
        ["k of N", "true", "U-statistic", "plug-in"],
        rows,
    )


def best_of_k_intervals(noise: np.random.Generator, repeats: int, num_trials: int = 30) -> None:
    """Print the coverage, by k, of the bootstrap for the mean best of k and of the order statistics for its median."""
    sizes = (1, 2, 3, 5, 6, 8, 10, 15, 20, 30)
    weights = np.stack([unbiased_weights(num_trials, k) for k in sizes], axis=1)
    plug_ins = np.stack([plug_in_weights(num_trials, k) for k in sizes], axis=1)
    covered = np.zeros((2, len(sizes)))
    truths = np.array([k / (k + 1) for k in sizes])
    samples = noise.uniform(size=(repeats // 2, num_trials))
    for sample in samples:
        picks = np.sort(sample[noise.integers(0, num_trials, size=(NUM_RESAMPLES, num_trials))], axis=1)
        for place, estimator in enumerate((weights, plug_ins)):
            low, high = percentile_ends((picks @ estimator).T)
            covered[place] += (low <= truths) & (truths <= high)
    rows = []
    for place, k in enumerate(sizes):
        bootstrap = [f"{value:.3f}" for value in covered[:, place] / len(samples)]
        rows.append([str(k), *bootstrap, *_median_coverage(noise, repeats, num_trials, k)])
    table(
        f"Coverage of nominal 0.95 intervals of the best of k of N={num_trials} trials, by k; both ends of the exact "
        f"one exist up to k={median_interval_range(num_trials)[-1]}, then only the worse end, to hold 0.975",
        ["k", "bootstrap, U-statistic", "bootstrap, plug-in", "exact median, uniform", "exact median, skewed"],
        rows,
    )


def _median_coverage(noise: np.random.Generator, repeats: int, num_trials: int, k: int) -> list[str]:
    """Return the coverage of `median_best_of_k` for uniform and for exponential scores, with its ends as ranks."""
    ranks = median_best_of_k(range(1, num_trials + 1), k, higher_is_better=True)
    quantile = 2.0 ** (-1.0 / k)
    coverages = []
    for draw, truth in ((noise.uniform, quantile), (noise.exponential, -math.log1p(-quantile))):
        samples = np.sort(draw(size=(10 * repeats, num_trials)), axis=1)
        held = np.ones(len(samples), dtype=bool)
        if ranks.worse is not None:
            held &= samples[:, int(ranks.worse) - 1] <= truth
        if ranks.better is not None:
            held &= samples[:, int(ranks.better) - 1] >= truth
        coverages.append(f"{held.mean():.3f}" + ("" if ranks.better is not None else " (worse end)"))
    return coverages


if __name__ == "__main__":
    main()
