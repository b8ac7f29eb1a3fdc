"""Compare the arms of a study: their scores, the cost to a model with each, and what the difference shows.

**The cost to a model** is the price of one trained model: all search trials of the arm at that batch size plus one
training of the chosen configuration (the mean of its confirmation runs with a score). Further confirmation runs are
evidence about the method, not tuning; the ledger bills them. All functions are pure. This module must not know where
results are stored or how a comparison is drawn.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Literal

from ...trainers.spec import OptionValue
from ..cost import CURRENCIES, Cost, total_cost
from ..trial import Role, TrialResult, is_score
from .evidence import Interval, Verdict, paired_verdict, t_interval
from .ledger import CostLedger, cost_ledger
from .selection import BASELINE, Edge, find_edges
from .study_facts import StudyFacts
from .tuning_effort import TuningEffort, effort_to_match

Amounts = Mapping[str, float]
"""Cost in every currency of `tuner.cost.CURRENCIES`."""

NO_COST: Amounts = dict.fromkeys(CURRENCIES, 0.0)
"""Zero in every currency."""


@dataclass(frozen=True, kw_only=True)
class Saving:
    """Savings of an arm against the reference, in one currency.

    Attributes:
        share: 1 - cost(arm) / cost(reference); negative if the arm costs more.
        share_with_baseline: the same with the search for the arm's baseline billed to this batch size.
        break_even: number of batch sizes after which the search for the baseline has paid for itself; 0 if there is no
            such search, None if the arm saves nothing.
    """

    share: float
    share_with_baseline: float
    break_even: int | None


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """Row of a comparison: one arm at one batch size.

    Attributes:
        zero_tuning: whether the arm's method is a rule.
        score: mean test score over the seeds with its 95% interval; None before a confirmation run has a score.
        validation_score: mean validation score of the same runs.
        num_seeds: confirmation runs with a score, including diverged ones, which score chance level.
        num_diverged: confirmation runs that diverged.
        num_failed: confirmation runs without a score.
        params: the chosen hyperparameters; empty for a rule.
        search: cost of all search trials; for the baseline's row, of its tuning.
        training: mean cost of the confirmation runs with a score; None without any.
        bill: the cost to a model: search + training; None without a training.
        baseline_bill: cost of the search for the arm's baseline; zero without a baseline or if it was stated.
        verdict: verdict against the reference at the margin; None for the reference and the baseline themselves.
        holds: whether the mean score is at least `margin` of the baseline's mean (LIMIT Def. 2.1), regardless of their
            spread; None if the baseline was not confirmed.
        savings: savings against the reference, by currency; empty for the reference or if a bill is missing.
        effort: effort of the reference's search to validate as well as this arm; None for the reference itself or if
            either has no score.
    """

    arm: str
    batch_size: int
    zero_tuning: bool
    score: Interval | None
    validation_score: float | None
    num_seeds: int
    num_diverged: int
    num_failed: int
    params: Mapping[str, OptionValue]
    search: Cost
    training: Amounts | None
    bill: Amounts | None
    baseline_bill: Amounts
    verdict: Verdict | None = None
    holds: bool | None = None
    savings: Mapping[str, Saving] = field(default_factory=dict)
    effort: TuningEffort | None = None

    @property
    def trials_to_match(self) -> int | None:
        """K* of `effort`; None if all trials are not enough or there is no effort."""
        return None if self.effort is None else self.effort.trials


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Comparison of all arms of a study.

    Attributes:
        rows: a row for every batch size and arm, in the study's order.
        baseline: the baseline at B0; None without results.
        baseline_stated: whether no trial tuned the shared baseline, so that none is billed; an arm's own may be.
        tolerance_basis: whose mean test score the tolerance is a fraction of.
        edges: choices on the edge of their range, baselines first.
    """

    facts: StudyFacts
    rows: tuple[ComparisonRow, ...]
    baseline: ComparisonRow | None
    baseline_stated: bool
    tolerance_basis: Literal["baseline", "reference"]
    ledger: CostLedger
    edges: tuple[Edge, ...] = ()

    def row(self, arm: str, batch_size: int) -> ComparisonRow:
        """Return the row of an arm at a batch size; KeyError if the study has none."""
        for row in self.rows:
            if (row.arm, row.batch_size) == (arm, batch_size):
                return row
        raise KeyError(f"study {self.facts.name!r} has no arm {arm!r} at batch size {batch_size}")


def compare(facts: StudyFacts, results: Sequence[TrialResult]) -> Comparison:
    """Compare the arms of a study by all its results, in any order; whatever has no result yet is None."""
    baseline = _row(facts, results, BASELINE, facts.baseline_batch_size)
    baseline_score = None if baseline.score is None else baseline.score.mean
    rows = [
        _add_verdict(facts, results, _row(facts, results, arm, batch_size), baseline_score)
        for batch_size in facts.batch_sizes
        for arm in facts.arms
    ]
    return Comparison(
        facts=facts,
        rows=tuple(rows),
        baseline=baseline if baseline.search.trials or baseline.num_seeds or baseline.num_failed else None,
        baseline_stated=not any((r.trial.arm, r.trial.role) == (BASELINE, "baseline") for r in results),
        tolerance_basis="reference" if baseline_score is None else "baseline",
        ledger=cost_ledger(results),
        edges=find_edges(results, facts.spaces, arms=facts.arms, higher_is_better=facts.higher_is_better),
    )


def confirmation_runs(results: Iterable[TrialResult], arm: str, batch_size: int) -> list[TrialResult]:
    """Return the confirmation runs of the arm's last choice: a search with a larger budget may choose anew."""
    runs = _select(results, arm, batch_size, "confirmation")
    if not runs:
        return []
    last = max(runs, key=lambda result: result.finished_at).trial.config
    return [run for run in runs if replace(run.trial.config, seed=last.seed) == last]


def tolerated_loss(margin: float, score: float) -> float:
    """Return the tolerated loss against a score, in the metric's unit: (1 - margin) |score|.

    >>> round(tolerated_loss(0.995, 0.952), 6)
    0.00476
    """
    return (1.0 - margin) * abs(score)


def amounts_of(cost: Cost) -> Amounts:
    """Return a cost by currency."""
    return {currency: float(getattr(cost, currency)) for currency in CURRENCIES}


def saving(bill: float, reference_bill: float, baseline_bill: float) -> Saving | None:
    """Return the savings of a bill against the reference's in the same currency; None if that is zero.

    >>> saving(1.0, 13.0, 10.0)
    Saving(share=0.9230769230769231, share_with_baseline=0.15384615384615385, break_even=1)
    """
    if reference_bill <= 0:
        return None
    gained = reference_bill - bill
    break_even = 0 if baseline_bill == 0 else math.ceil(baseline_bill / gained) if gained > 0 else None
    return Saving(
        share=gained / reference_bill,
        share_with_baseline=(gained - baseline_bill) / reference_bill,
        break_even=break_even,
    )


def _row(facts: StudyFacts, results: Sequence[TrialResult], arm: str, batch_size: int) -> ComparisonRow:
    """Return an arm's row at a batch size without its comparison to others."""
    search = _select(results, arm, batch_size, "baseline" if arm == BASELINE else "search")
    confirmations = confirmation_runs(results, arm, batch_size)
    scored = [result for result in confirmations if is_score(result.test_score)]
    tests = list(_scores(confirmations, "test_score").values())
    validations = list(_scores(confirmations, "validation_score").values())
    searched = total_cost(result.cost for result in search)
    trained = amounts_of(total_cost(result.cost for result in scored))
    training = {currency: amount / len(scored) for currency, amount in trained.items()} if scored else None
    zero_tuning = arm in facts.zero_tuning_arms
    rests_on_a_search = zero_tuning and arm not in facts.stated_baselines
    return ComparisonRow(
        arm=arm,
        batch_size=batch_size,
        zero_tuning=zero_tuning,
        score=t_interval(tests) if tests else None,
        validation_score=fmean(validations) if validations else None,
        num_seeds=len(scored),
        num_diverged=sum(result.status == "diverged" for result in scored),
        num_failed=len(confirmations) - len(scored),
        params=dict(confirmations[0].trial.params) if confirmations else {},
        search=searched,
        training=training,
        bill=None if training is None else {name: amounts_of(searched)[name] + training[name] for name in CURRENCIES},
        baseline_bill=_baseline_bill(results, arm) if rests_on_a_search else NO_COST,
    )


def _add_verdict(
    facts: StudyFacts, results: Sequence[TrialResult], row: ComparisonRow, baseline_score: float | None
) -> ComparisonRow:
    """Compare a row with the baseline's score and with the reference at the same batch size."""
    sign = 1.0 if facts.higher_is_better else -1.0
    if row.score is not None and baseline_score is not None:
        loss = sign * (baseline_score - row.score.mean)
        row = replace(row, holds=loss <= tolerated_loss(facts.margin, baseline_score))
    reference = _row(facts, results, facts.reference, row.batch_size)
    if row.arm == facts.reference or row.score is None or reference.score is None:
        return row
    scores = _scores(confirmation_runs(results, row.arm, row.batch_size), "test_score")
    others = _scores(confirmation_runs(results, facts.reference, row.batch_size), "test_score")
    seeds = sorted(scores.keys() & others.keys())
    tolerance_score = reference.score.mean if baseline_score is None else baseline_score
    verdict = paired_verdict(
        [scores[seed] for seed in seeds],
        [others[seed] for seed in seeds],
        tolerance=tolerated_loss(facts.margin, tolerance_score),
        higher_is_better=facts.higher_is_better,
    )
    return replace(
        row,
        verdict=verdict,
        savings=_savings(row, reference),
        effort=_effort(facts, results, row),
    )


def _savings(row: ComparisonRow, reference: ComparisonRow) -> Mapping[str, Saving]:
    if row.bill is None or reference.bill is None:
        return {}
    bills = {name: (row.bill[name], reference.bill[name], row.baseline_bill[name]) for name in CURRENCIES}
    return {name: found for name, bill in bills.items() if (found := saving(*bill)) is not None}


def _effort(facts: StudyFacts, results: Sequence[TrialResult], row: ComparisonRow) -> TuningEffort | None:
    if row.validation_score is None:
        return None
    return effort_to_match(
        _select(results, facts.reference, row.batch_size, "search"),
        _select(results, facts.reference, row.batch_size, "repeat"),
        row.validation_score,
        learned=facts.reference in facts.learned_arms,
        higher_is_better=facts.higher_is_better,
    )


def _baseline_bill(results: Iterable[TrialResult], arm: str) -> Amounts:
    """Return the cost of the search for the arm's own baseline if it tuned one, else for the shared one."""
    searches = [result for result in results if result.trial.role == "baseline"]
    own = [result.cost for result in searches if result.trial.arm == f"{arm} {BASELINE}"]
    return amounts_of(total_cost(own or [result.cost for result in searches if result.trial.arm == BASELINE]))


def _select(results: Iterable[TrialResult], arm: str, batch_size: int, role: Role) -> list[TrialResult]:
    return [
        result
        for result in results
        if (result.trial.arm, result.trial.batch_size, result.trial.role) == (arm, batch_size, role)
    ]


def _scores(results: Iterable[TrialResult], name: Literal["test_score", "validation_score"]) -> dict[int, float]:
    """Return scores by seed, without runs that have none, or one that is not finite."""
    scores = {result.trial.config.seed: getattr(result, name) for result in results}
    return {seed: scores[seed] for seed in sorted(scores) if is_score(scores[seed])}
