"""Judge from results whether a method keeps the baseline's score and loss at a batch size, and derive the regimes.

Means over the study's seeds decide, since the definitions of LIMIT (arXiv 2006.08517, 2.1 and 2.2) are about single
values. The 95% intervals of the differences, paired by seed, say whether more seeds could change a decision. Pure
functions of results: this module must not know how a trial is configured, run or stored.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from ...analysis.evidence import Interval, paired_verdict, t_interval
from ...analysis.ledger import LedgerLine
from ...analysis.lost_seeds import Seeds, sort_seeds
from ...analysis.verdict import tolerated_loss
from ...cost import Cost
from ...trial import TrialResult, is_score
from .bisection import Bracket, find_bracket

LOSS_FACTOR = 1.2
"""Maximum validation loss of linear scaling below B_L, relative to the baseline's (LIMIT, Definition 2.1)."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The results of a method at a batch size, compared with the baseline.

    Attributes:
        seeds: its confirmation runs by seed; lost are those that diverged or have no score.
        score: mean test score of its confirmation runs with the 95% interval; None if none has a score.
        loss: mean validation loss of these runs after their last epoch, in nats; infinite if one diverged.
        keeps_score: whether the mean score is within the margin of the baseline's.
        score_is_certain: whether the 95% interval of the difference, paired by seed, lies on one side of the margin.
        keeps_loss: whether the mean loss is at most 1.2 times the baseline's.
        loss_is_certain: whether the interval of that difference lies on one side.
        num_seeds: number of confirmation runs with a score, including diverged ones.
        num_diverged: how many of these diverged.
        num_failed: number of confirmation runs without a score.
        error: error message of the first of these.
        cost: cost of all its search and confirmation trials at this batch size; reused ones count as trained.
    """

    arm: str
    batch_size: int
    seeds: Seeds
    score: Interval | None
    loss: float
    keeps_score: bool
    score_is_certain: bool
    keeps_loss: bool
    loss_is_certain: bool
    num_seeds: int
    num_diverged: int
    num_failed: int
    error: str | None
    cost: Cost

    @property
    def keeps_both(self) -> bool:
        """Whether it meets the definition of linear scaling below B_L."""
        return self.keeps_score and self.keeps_loss

    @property
    def both_are_certain(self) -> bool:
        """Whether the intervals confirm `keeps_both`: both criteria are kept, or one is not."""
        if self.keeps_both:
            return self.score_is_certain and self.loss_is_certain
        return (not self.keeps_score and self.score_is_certain) or (not self.keeps_loss and self.loss_is_certain)


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Decides whether a method holds, given the confirmation runs of the baseline at B0.

    `margin` is the share of the baseline's score that still counts as kept, in (0, 1].
    """

    baseline: Sequence[TrialResult]
    margin: float
    higher_is_better: bool

    def attempt(self, arm: str, batch_size: int, confirmations: Sequence[TrialResult], cost: Cost) -> Attempt:
        """Judge a method by its confirmation runs at a batch size, one per seed, with the cost of all its trials there.

        Means over the seeds decide; the intervals say how certain that is.

        Raises:
            ValueError: no run of the baseline has a score.
        """
        scores, losses = scores_by_seed(confirmations), losses_by_seed(confirmations)
        keeps_score, score_is_certain = _keeps_margin(
            scores, scores_by_seed(self.baseline), margin=self.margin, higher_is_better=self.higher_is_better
        )
        keeps_loss, loss_is_certain = _keeps_margin(
            losses, losses_by_seed(self.baseline), margin=2.0 - LOSS_FACTOR, higher_is_better=False
        )
        errors = [result.error for result in confirmations if not is_score(result.test_score)]
        return Attempt(
            arm=arm,
            batch_size=batch_size,
            seeds=sort_seeds(confirmations, None, higher_is_better=self.higher_is_better),
            score=t_interval(list(scores.values())) if scores else None,
            loss=fmean(losses.values()) if losses else math.inf,
            keeps_score=keeps_score,
            score_is_certain=score_is_certain,
            keeps_loss=keeps_loss,
            loss_is_certain=loss_is_certain,
            num_seeds=len(scores),
            num_diverged=sum(r.status == "diverged" for r in confirmations if is_score(r.test_score)),
            num_failed=len(errors),
            error=errors[0] if errors else None,
            cost=cost,
        )


def scores_by_seed(results: Sequence[TrialResult]) -> dict[int, float]:
    """Return the test scores by seed of the runs that have one."""
    return {r.trial.config.seed: r.test_score for r in results if is_score(r.test_score)}


def losses_by_seed(results: Sequence[TrialResult]) -> dict[int, float]:
    """Return the last validation losses by seed of the runs with a test score; infinite if a run diverged."""
    return {
        r.trial.config.seed: r.epochs[-1].validation_loss if r.status == "finished" else math.inf
        for r in results
        if is_score(r.test_score)
    }


def _keeps_margin(
    values: Mapping[int, float], baseline: Mapping[int, float], *, margin: float, higher_is_better: bool
) -> tuple[bool, bool]:
    """Return whether the mean is within the margin of the baseline's, and whether the paired interval confirms it."""
    if not baseline:
        raise ValueError("no run of the baseline has a score, so there is nothing to compare with")
    if not values:
        return False, False
    mean, reference = fmean(values.values()), fmean(baseline.values())
    tolerance = tolerated_loss(margin, reference)
    worse = reference - mean if higher_is_better else mean - reference
    kept = worse <= tolerance
    if not all(map(math.isfinite, values.values())):
        return kept, not any(map(math.isfinite, values.values()))
    seeds = sorted(values.keys() & baseline.keys())
    verdict = paired_verdict(
        [values[seed] for seed in seeds],
        [baseline[seed] for seed in seeds],
        tolerance=tolerance,
        higher_is_better=higher_is_better,
    )
    return kept, verdict.finding in (("beats", "matches") if kept else ("falls short",))


@dataclass(frozen=True, kw_only=True)
class RegimeQuestion:
    """A question about an application.

    Attributes:
        margin: share of the baseline's score that still counts as kept, in (0, 1].
        num_seeds: number of confirmation runs per choice.
        baseline_batch_size: B0, in samples.
        num_train: B_F, the number of training samples.
        rungs: batch sizes that may be tried, ascending.
        linear: name of the arm that scales the baseline's learning rate linearly.
        arms: names of all methods in the order they are tried, linear scaling first.
    """

    study: str
    application: str
    metric: str
    higher_is_better: bool
    margin: float
    epochs: int
    num_seeds: int
    baseline_batch_size: int
    num_train: int
    rungs: tuple[int, ...]
    linear: str
    arms: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CertainBounds:
    """What the intervals confirm about a boundary: it lies above `low` and at most at `high`; None if unknown."""

    low: int
    high: int | None


@dataclass(frozen=True, kw_only=True)
class Regime:
    """The result of a search: what was tried, and where the boundaries lie.

    Attributes:
        baseline: the baseline at B0, compared with itself.
        attempts: the results of every method at every batch size it was tried at, by batch size, then in order.
        others: the rest of the bill: baselines of single arms, and unfinished batch sizes or arms.
        reused: what earlier trainings had spent on reused results; no part of `total`.
        ended_early: whether the budget ended the search.
    """

    question: RegimeQuestion
    baseline: Attempt
    attempts: tuple[Attempt, ...]
    large: Bracket
    huge: Bracket
    others: tuple[LedgerLine, ...]
    total: Cost
    ended_early: bool
    reused: Cost = field(default_factory=Cost)

    def at(self, batch_size: int) -> tuple[Attempt, ...]:
        """Return the attempts at a batch size."""
        return tuple(attempt for attempt in self.attempts if attempt.batch_size == batch_size)

    @property
    def certain_large(self) -> CertainBounds:
        """What the intervals confirm about B_L."""
        linear = [attempt for attempt in self.attempts if attempt.arm == self.question.linear]
        return self._shown(self.large, {attempt.batch_size for attempt in linear if attempt.both_are_certain})

    @property
    def certain_huge(self) -> CertainBounds:
        """What the intervals confirm about B_H: that one method holds, or that all fail."""
        holding = {a.batch_size for a in self.attempts if a.keeps_score and a.score_is_certain}
        sizes = {attempt.batch_size for attempt in self.attempts}
        failing = {size for size in sizes if all(not a.keeps_score and a.score_is_certain for a in self.at(size))}
        return self._shown(self.huge, holding | failing)

    def _shown(self, found: Bracket, certain: set[int]) -> CertainBounds:
        holding = [size for size in certain if found.holds is not None and size <= found.holds]
        failing = [size for size in certain if found.fails is not None and size >= found.fails]
        return CertainBounds(
            low=max(holding, default=self.question.baseline_batch_size), high=min(failing, default=None)
        )


def linear_verdicts(attempts: Sequence[Attempt], linear: str) -> dict[int, bool]:
    """Return by batch size whether linear scaling keeps score and loss (Definition 2.1)."""
    return {attempt.batch_size: attempt.keeps_both for attempt in attempts if attempt.arm == linear}


def method_verdicts(attempts: Sequence[Attempt], arms: Sequence[str]) -> dict[int, bool]:
    """Return by batch size whether a method keeps the score (Definition 2.2), for batch sizes where this is decided."""
    kept: dict[int, dict[str, bool]] = {}
    for attempt in attempts:
        kept.setdefault(attempt.batch_size, {})[attempt.arm] = attempt.keeps_score
    return {
        size: any(found.values()) for size, found in kept.items() if any(found.values()) or found.keys() >= set(arms)
    }


def find_brackets(question: RegimeQuestion, attempts: Sequence[Attempt]) -> tuple[Bracket, Bracket]:
    """Return the brackets of B_L and B_H."""
    return (
        find_bracket(question.rungs, linear_verdicts(attempts, question.linear), "first failure"),
        find_bracket(question.rungs, method_verdicts(attempts, question.arms), "last success"),
    )
