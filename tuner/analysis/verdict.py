"""Judge the arms of a study against the reference: must the model be tuned again?

An arm is judged in parts, each true by its own simulation (benchmarks/verdicts.py):

1. *Can it be judged?* The baseline's and the reference's typical seed must be better than guessing.
2. *Lost seeds.* An arm that lost a seed is unreliable.
3. *Sound seeds* against the reference, paired by seed; where a search was repeated, the luck of searching counts too
   (`tuner.analysis.repeated_searches`).
4. *Both too low?* Neither the arm nor the reference keeps the margin of the baseline's score.

**Levels.** "yes" and "no: worse" count all comparisons of the study: Holm's procedure over the arms and batch sizes, at
half of `LEVEL` for either, so that at most one study in twenty has a false one. "yes, but" and "batch too large" are of
one comparison at `LIKELY_LEVEL`. From five seeds on, an exact test must agree with Student's t.

Source: Piaggio et al., Reporting of noninferiority and equivalence randomized trials (JAMA 2012); Holm, A simple
sequentially rejective multiple test procedure (1979).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from .evidence import Interval, sign_test, spread
from .lost_seeds import Guessing, Seeds
from .repeated_searches import Sample, sample_of, sample_of_gains

LEVEL = 0.05
"""Share of studies that may have a false "yes" or "no: worse"."""

LIKELY_LEVEL = 0.125
"""One-sided level of "yes, but" and "batch too large": what three seeds that agree can show."""

EXACT_SEEDS = 5
"""Fewest pairs that an exact test must confirm: fewer cannot reach `LEVEL`."""

MAX_SEEDS = 1_000
"""Most seeds that are suggested."""

Kind = Literal["yes", "yes, but", "worse", "unreliable", "not shown", "cannot be judged", "batch too large"]
"""What a verdict says. All but the first two mean that the arm does not spare tuning."""

Finding = Literal["better", "as good", "likely as good", "likely worse", "worse", "worse by more", "open"]
"""What sound seeds say against the reference: better than it; not worse than the margin; the same, less certain; worse,
by the interval of this comparison alone; worse, by more than the margin or not; worse by more than it; nothing."""

Reason = Literal["unconfirmed", "reference unconfirmed", "baseline guesses", "reference guesses"]
"""Why an arm cannot be judged."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Verdict on an arm at a batch size.

    Attributes:
        kind: what it says.
        reason: why the arm cannot be judged; None if it can.
        finding: what the seeds that are sound in both arms say.
        difference: mean improvement over the reference on these seeds with its own 95% interval, in the metric's unit,
            positive if the arm is better; None without such a seed.
        tolerance: loss that the margin tolerates, in the metric's unit, >= 0.
        num_pairs: seeds that are sound in both arms.
        num_searches: searches that the difference rests on: those of the arm that made more of them.
        num_kept: the arm's sound seeds that keep the margin of the baseline's score; None without that score.
        reference_kept: the same of the reference.
        seeds_needed: seeds that would show whether the arm is as good or worse if its difference stays as it is, for
            "not shown" and "yes, but"; None where more seeds than `MAX_SEEDS` are needed, or for other kinds.
    """

    kind: Kind
    reason: Reason | None = None
    finding: Finding = "open"
    difference: Interval | None = None
    tolerance: float
    num_pairs: int = 0
    num_searches: int = 1
    num_kept: int | None = None
    reference_kept: int | None = None
    seeds_needed: int | None = None

    @property
    def spares_tuning(self) -> bool:
        """Whether the arm is shown to do as well as the reference, so that its lower cost is a saving."""
        return self.kind in ("yes", "yes, but")


@dataclass(frozen=True, kw_only=True)
class Contest:
    """An arm and the reference at a batch size, as they are judged.

    Attributes:
        arm: the arm's seeds, of all its searches.
        reference: the reference's.
        same_training: whether both trained the same configuration, so that equal scores are no coincidence.
    """

    arm: Seeds
    reference: Seeds
    same_training: bool = False


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """What all verdicts of a study are measured by.

    Attributes:
        guessing: the score of guessing.
        margin: share of the baseline's score that still counts as kept, in (0, 1].
        baseline: the baseline's seeds at B0; empty if it was not confirmed.
        test_samples: samples of the test split; None if it is not known or the metric is no share.
    """

    guessing: Guessing
    margin: float
    baseline: Seeds
    test_samples: int | None = None

    @property
    def limit(self) -> float | None:
        """The worst score that keeps the margin of the baseline's mean; None if it was not confirmed."""
        if not self.baseline.scores:
            return None
        level = fmean(self.baseline.scores.values())
        return level - self.sign * tolerated_loss(self.margin, level)

    @property
    def sign(self) -> float:
        """1 if higher scores are better, otherwise -1."""
        return 1.0 if self.guessing.higher_is_better else -1.0

    def num_kept(self, seeds: Seeds) -> int | None:
        """Return how many sound seeds keep the margin of the baseline's mean score; None if it was not confirmed."""
        limit = self.limit
        return None if limit is None else sum(self.sign * (score - limit) >= 0 for score in seeds.scores.values())

    def noise(self, *seeds: Seeds) -> float:
        """Return the standard deviation that drawing the test split alone gives the share that is right; 0 if unknown.

        It is the least that is believed of the spread of scores, since equal ones may be a coincidence.
        """
        scores = [score for one in seeds for score in one.scores.values()]
        if self.test_samples is None or not scores:
            return 0.0
        share = (fmean(scores) * self.test_samples + 1) / (self.test_samples + 2)
        return math.sqrt(max(share * (1 - share), 0.0) / self.test_samples)


def tolerated_loss(margin: float, score: float) -> float:
    """Return the tolerated loss against a score, in the metric's unit: (1 - margin) |score|.

    >>> round(tolerated_loss(0.995, 0.952), 6)
    0.00476
    """
    return (1.0 - margin) * abs(score)


def judge(contests: Mapping[tuple[str, int], Contest], yardstick: Yardstick) -> dict[tuple[str, int], Verdict]:
    """Return the verdict on every arm of a study but the reference, by arm and batch size."""
    pairs = {place: _Pairs.of(contest, yardstick) for place, contest in contests.items()}
    judged = [place for place in contests if pairs[place].gains.by_seed]
    as_good = holm({place: pairs[place].p_as_good for place in judged}, LEVEL / 2)
    worse = holm({place: pairs[place].p_worse for place in judged}, LEVEL / 2)
    verdicts = {}
    for place, contest in contests.items():
        finding = pairs[place].finding(is_as_good=place in as_good, is_worse=place in worse)
        verdicts[place] = _verdict(contest, pairs[place], finding, yardstick, len(judged))
    return verdicts


def holm(p_values: Mapping[tuple[str, int], float], level: float) -> set[tuple[str, int]]:
    """Return the hypotheses that Holm's procedure rejects: the chance that one of them is true is at most `level`.

    >>> sorted(holm({("a", 1): 0.01, ("b", 1): 0.03, ("c", 1): 0.02}, 0.05))
    [('a', 1), ('b', 1), ('c', 1)]
    >>> holm({("a", 1): 0.02, ("b", 1): 0.03, ("c", 1): 0.04}, 0.05)
    set()
    """
    rejected = set()
    for rank, place in enumerate(sorted(p_values, key=lambda place: (p_values[place], place))):
        if p_values[place] > level / (len(p_values) - rank):
            break
        rejected.add(place)
    return rejected


def seeds_to_show(gains: Sample, tolerance: float, num_comparisons: int) -> int | None:
    """Return how many seeds would show that an arm is as good, or worse, if its gains stay as they are.

    Args:
        gains: improvements over the reference on at least two seeds.
        tolerance: loss that counts as as good, >= 0.
        num_comparisons: comparisons that share `LEVEL`, at least one.

    Returns:
        The number, more than there are; None if `MAX_SEEDS` are not enough, or the gains do not differ.
    """
    mean = fmean(gains.by_seed)
    distance = mean + tolerance if mean > -tolerance else -mean
    if spread(gains.by_seed, gains.noise) == 0.0 or distance <= 0.0:
        return None
    numbers = range(len(gains.by_seed) + 1, MAX_SEEDS + 1)
    return gains.seeds_to_show(distance, LEVEL / 2 / num_comparisons, numbers)


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """Gains over the reference on the seeds that are sound in both arms, and what they show of the arm."""

    gains: Sample
    tolerance: float
    same_training: bool

    @classmethod
    def of(cls, contest: Contest, yardstick: Yardstick) -> "_Pairs":
        arm, reference = contest.arm, contest.reference
        level = yardstick.baseline.scores or reference.scores
        return cls(
            gains=sample_of_gains(arm, reference, yardstick.sign, yardstick.noise(arm, reference)),
            tolerance=tolerated_loss(yardstick.margin, fmean(level.values())) if level else 0.0,
            same_training=contest.same_training,
        )

    @property
    def p_as_good(self) -> float:
        """p-value of being worse by the tolerance or more; 1 if the exact test does not agree."""
        return _confirmed(self.gains, -self.tolerance)

    @property
    def p_worse(self) -> float:
        """p-value of being equal or better; 1 if the exact test does not agree."""
        return _confirmed(self.gains.negated(), 0.0)

    def finding(self, *, is_as_good: bool, is_worse: bool) -> Finding:
        """Return what is shown, given what Holm's procedure shows."""
        if self.same_training and self.gains.by_seed and not any(self.gains.by_seed):
            return "as good"
        if is_as_good:
            return "better" if self.gains.p_above(0.0) <= LEVEL / 2 else "as good"
        losses = self.gains.negated()
        if is_worse:
            return "worse by more" if losses.p_above(self.tolerance) <= LEVEL / 2 else "worse"
        if self.gains.p_likely(-self.tolerance) <= LIKELY_LEVEL:
            return "likely as good"
        return "likely worse" if losses.p_above(0.0) <= LEVEL / 2 else "open"


def _confirmed(sample: Sample, level: float) -> float:
    """Return the p-value of not being above a level; 1 if the exact test does not agree."""
    is_denied = len(sample.by_seed) >= EXACT_SEEDS and sign_test(sample.by_seed, level) > LEVEL
    return 1.0 if is_denied else sample.p_above(level)


def _verdict(contest: Contest, pairs: _Pairs, finding: Finding, yardstick: Yardstick, num_comparisons: int) -> Verdict:
    kind, reason = _kind(contest, finding, yardstick)
    return Verdict(
        kind=kind,
        reason=reason,
        finding=finding,
        difference=pairs.gains.interval() if pairs.gains.by_seed else None,
        tolerance=pairs.tolerance,
        num_pairs=len(pairs.gains.by_seed),
        num_searches=max([1, *map(len, pairs.gains.by_search)]),
        num_kept=yardstick.num_kept(contest.arm),
        reference_kept=yardstick.num_kept(contest.reference),
        seeds_needed=_seeds_needed(contest, pairs, kind, num_comparisons),
    )


def _seeds_needed(contest: Contest, pairs: _Pairs, kind: Kind, num_comparisons: int) -> int | None:
    """Return `Verdict.seeds_needed`; a reference that loses seeds loses the same share of more of them."""
    can_change = kind == "not shown" or (kind == "yes, but" and not contest.reference.lost)
    if not can_change or len(pairs.gains.by_seed) < 2:
        return None
    shown = seeds_to_show(pairs.gains, pairs.tolerance, num_comparisons)
    needed = math.inf if shown is None else shown * contest.reference.num_seeds / len(pairs.gains.by_seed)
    return None if needed > MAX_SEEDS else math.ceil(needed)


def _kind(contest: Contest, finding: Finding, yardstick: Yardstick) -> tuple[Kind, Reason | None]:
    arm, reference, baseline = contest.arm, contest.reference, yardstick.baseline
    if not len(arm):
        return "cannot be judged", "unconfirmed"
    if len(baseline) and not _has_learned(baseline, yardstick.guessing):
        return "cannot be judged", "baseline guesses"
    if not len(reference):
        return "cannot be judged", "reference unconfirmed"
    if arm.lost:
        return "unreliable", None
    if not _has_learned(reference, yardstick.guessing):
        return "cannot be judged", "reference guesses"
    if all(_falls_below(seeds, yardstick) for seeds in (arm, reference)):
        return "batch too large", None
    if finding in ("better", "as good"):
        return ("yes, but" if reference.lost else "yes"), None
    if finding == "likely as good":
        return "yes, but", None
    if finding in ("worse", "worse by more"):
        return "worse", None
    # An unreliable reference is no measure; that of the small batch is left.
    return ("yes, but" if reference.lost and _keeps(arm, yardstick) else "not shown"), None


def _has_learned(seeds: Seeds, guessing: Guessing) -> bool:
    """Return whether at least half of the seeds are sound, and their median is better than guessing."""
    return seeds.median is not None and len(seeds.lost) <= len(seeds.scores) and guessing.is_better(seeds.median)


def _keeps(seeds: Seeds, yardstick: Yardstick) -> bool:
    """Return whether the sound seeds keep the margin of the baseline's score, at `LIKELY_LEVEL`."""
    return _is_beyond(seeds, yardstick, yardstick.sign)


def _falls_below(seeds: Seeds, yardstick: Yardstick) -> bool:
    """Return whether the sound seeds do not keep the margin of the baseline's score, at `LIKELY_LEVEL`."""
    return _is_beyond(seeds, yardstick, -yardstick.sign)


def _is_beyond(seeds: Seeds, yardstick: Yardstick, sign: float) -> bool:
    if (limit := yardstick.limit) is None:
        return False
    scores = sample_of(seeds, yardstick.noise(seeds))
    beyond = scores.minus(limit) if sign > 0 else scores.minus(limit).negated()
    return beyond.p_likely(0.0) <= LIKELY_LEVEL
