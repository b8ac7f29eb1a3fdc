"""Means over seeds and over repeated searches: intervals and p-values that hold the luck of both.

A search that is repeated gives several choices, each trained with the same seeds. A mean over choices and seeds is
uncertain for two reasons, each of which is estimated on its own:

- *seeds*: the spread of the differences to the other arm, paired by seed, each the mean over the choices there;
- *searches*: the spread of the choices' means over the seeds, with one degree of freedom fewer than there are searches.

Their half-widths add as the sides of a right triangle: a half-width squared is the sum of t_i^2 s_i^2 / n_i, with the
Student quantile of each part's own degrees of freedom. Its coverage is at least the nominal one, however unlike the
parts are (Banerjee, Sankhya 22, 1960), and it is never narrower than that of seeds alone. The means of choices vary
with the seeds too, so part of that is counted twice. Without a repeated search it is Student's t on the seeds.

Pure functions of numbers. This module must not know what is compared.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from .evidence import CONFIDENCE, Interval, p_above, sign_test, spread, t_interval
from .lost_seeds import Seeds

_STEPS = 60
"""Halvings of a p-value's interval: none is wrong by more than 1e-18."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Scores, or differences of scores, by seed, and the means of repeated searches that they are made of.

    Attributes:
        by_seed: a value for each seed: the mean over the choices of all searches.
        by_search: for every arm whose search was repeated, the mean of each choice over the seeds.
        noise: least standard deviation that is believed of a value by seed, >= 0.
    """

    by_seed: Sequence[float]
    by_search: tuple[Sequence[float], ...] = ()
    noise: float = 0.0

    def negated(self) -> "Sample":
        """Return the sample with the opposite sign; the spread of searches has none."""
        return Sample(by_seed=[-value for value in self.by_seed], by_search=self.by_search, noise=self.noise)

    def minus(self, level: float) -> "Sample":
        """Return the sample as distances from a level."""
        return Sample(by_seed=[value - level for value in self.by_seed], by_search=self.by_search, noise=self.noise)

    def interval(self) -> Interval:
        """Return the mean and its interval at `CONFIDENCE`; without ends where seeds alone give none."""
        of_seeds = t_interval(self.by_seed, self.noise)
        if not self.by_search or of_seeds.low is None:
            return of_seeds
        width = self._half_width((1.0 - CONFIDENCE) / 2.0)
        return Interval(mean=of_seeds.mean, low=of_seeds.mean - width, high=of_seeds.mean + width)

    def p_above(self, level: float) -> float:
        """Return the one-sided p-value that the mean is not above a level; 1 with fewer than two seeds.

        >>> searches = ([0.0, 0.0, 0.0],)
        >>> round(Sample(by_seed=[1.0, 2.0, 3.0], by_search=searches).p_above(0.0), 4)
        0.0371
        >>> round(Sample(by_seed=[1.0, 2.0, 3.0], by_search=([-1.0, 0.0, 1.0],)).p_above(0.0), 4)
        0.067
        """
        of_seeds = p_above(self.by_seed, level, self.noise)
        if not self.by_search or len(self.by_seed) < 2:
            return of_seeds
        distance = fmean(self.by_seed) - level
        low, high = 0.0, 0.5
        for _ in range(_STEPS):
            middle = (low + high) / 2.0
            low, high = (middle, high) if self._half_width(middle) > abs(distance) else (low, middle)
        return max(of_seeds, high) if distance > 0 else 1.0 - high

    def p_likely(self, level: float) -> float:
        """Return the smaller of `p_above` and of the exact sign test, which says nothing of repeated searches."""
        p = self.p_above(level)
        return p if self.by_search else min(p, sign_test(self.by_seed, level))

    def seeds_to_show(self, distance: float, p: float, numbers: range) -> int | None:
        """Return the first of these numbers of seeds with which a mean at a distance has a p-value below `p`.

        The spreads stay as they are. None if the last of them is too few.
        """
        deviation = spread(self.by_seed, self.noise)

        def is_shown(number: int) -> bool:
            return math.sqrt(_squared(p, number, deviation) + self._of_searches(p)) < distance

        place = bisect_left(numbers, True, key=is_shown)
        return numbers[place] if place < len(numbers) else None

    def _half_width(self, p: float) -> float:
        """Return the half-width of the interval that leaves out `p` on either side."""
        of_seeds = _squared(p, len(self.by_seed), spread(self.by_seed, self.noise))
        return math.sqrt(of_seeds + self._of_searches(p))

    def _of_searches(self, p: float) -> float:
        return sum(_squared(p, len(means), spread(means)) for means in self.by_search)


def sample_of(seeds: Seeds, noise: float) -> Sample:
    """Return the scores of an arm's sound seeds."""
    by_seed = mean_by_seed(seeds)
    return Sample(by_seed=list(by_seed.values()), by_search=_search_means([(seeds, by_seed)]), noise=noise)


def sample_of_gains(arm: Seeds, reference: Seeds, sign: float, noise: float) -> Sample:
    """Return an arm's gains over the reference on the seeds that are sound in both, positive if the arm is better.

    Args:
        arm: the arm's seeds.
        reference: the reference's.
        sign: 1 if higher scores are better, else -1.
        noise: least standard deviation that is believed of a gain.
    """
    own, other = mean_by_seed(arm), mean_by_seed(reference)
    paired = sorted(own.keys() & other.keys())
    gains = [sign * (own[seed] - other[seed]) for seed in paired]
    return Sample(by_seed=gains, by_search=_search_means([(arm, paired), (reference, paired)]), noise=noise)


def mean_by_seed(seeds: Seeds) -> Mapping[int, float]:
    """Return the mean score over the searches of every seed that is sound in one of them at least.

    >>> dict(mean_by_seed(Seeds(scores={0: 1.0, 1: 2.0, 2**31: 3.0})))
    {0: 2.0, 1: 2.0}
    """
    found: dict[int, list[float]] = {}
    for search in seeds.of_searches:
        for seed, score in search.scores.items():
            found.setdefault(seed, []).append(score)
    return {seed: fmean(scores) for seed, scores in sorted(found.items())}


def _search_means(arms: Iterable[tuple[Seeds, Iterable[int]]]) -> tuple[Sequence[float], ...]:
    """Return the mean of every search over these seeds, for the arms with two searches or more that have one sound."""
    found = []
    for seeds, paired in arms:
        scores = [[search.scores[seed] for seed in paired if seed in search.scores] for search in seeds.of_searches]
        means = [fmean(values) for values in scores if values]
        found += [means] if len(means) > 1 else []
    return tuple(found)


def _squared(p: float, number: int, deviation: float) -> float:
    """Return the squared half-width of the mean of `number` values that leaves out `p` on either side."""
    from scipy import special  # takes a while to import, and is needed only at the end

    return (float(special.stdtrit(number - 1, 1.0 - p)) * deviation) ** 2 / number if deviation else 0.0
