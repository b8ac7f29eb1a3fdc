"""What an arm saves against the size of the tuning budget, which the author of a study chose.

An arm that does as well as the best of all N trials of the reference's search is compared with the best of k of them,
for k = 1 to N. Its verdict holds for fewer trials too; for more than N nothing is known. Pure functions of results.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..cost import CURRENCIES, total_cost
from ..trial import TrialResult
from .bill import Amounts, amounts_of
from .comparison import Comparison
from .comparison_row import ComparisonRow
from .tuning_effort import expected_best


@dataclass(frozen=True, kw_only=True)
class BudgetStep:
    """What an arm saves against a search of k trials.

    Attributes:
        trials: k, trials of the reference's search that have a score.
        best_score: expected best validation score of k trials, less the luck of the best where seeds show it.
        lucky_best_score: the same with the luck left in.
        cost: of k trials, at the mean cost of a trial of a search; those without a score are billed to the others.
        saved: 1 - bill(arm) / cost, by currency; currencies of no cost are left out.
        saved_with_baseline: the same with the search for the arm's baseline billed to this batch size.
    """

    arm: str
    batch_size: int
    trials: int
    best_score: float
    lucky_best_score: float
    cost: Amounts
    saved: Amounts
    saved_with_baseline: Amounts


def savings_by_budget(comparison: Comparison, results: Sequence[TrialResult]) -> tuple[BudgetStep, ...]:
    """Return the steps of every arm whose verdict allows a saving, by batch size, arm and number of trials."""
    found: list[BudgetStep] = []
    for batch_size in comparison.facts.batch_sizes:
        rows = [row for row in comparison.rows if row.batch_size == batch_size and row.savings]
        curve = _curve(comparison, results, batch_size) if rows else []
        found += [_step(row, *step) for row in rows for step in curve]
    return tuple(found)


def _curve(
    comparison: Comparison, results: Sequence[TrialResult], batch_size: int
) -> list[tuple[int, float, float, Amounts]]:
    """Return k, the expected best score of k trials without and with luck, and their cost, for k up to the search's."""
    facts = comparison.facts
    search, repeats = (
        [r for r in results if (r.trial.arm, r.trial.batch_size, r.trial.role) == (facts.reference, batch_size, role)]
        for role in ("search", "repeat")
    )
    learned = facts.reference in facts.learned_arms
    noise = comparison.seed_noise.get(batch_size)
    lucky, true = (
        expected_best(search, repeats, learned=learned, higher_is_better=facts.higher_is_better, noise=known)
        for known in (None, noise)
    )
    num_scored = len(expected_best(search, (), learned=learned, higher_is_better=facts.higher_is_better))
    whole = comparison.row(facts.reference, batch_size).bill or amounts_of(total_cost(r.cost for r in search))
    of_trials = len(search) if learned else num_scored
    return [
        (
            round(step.cost),
            step.score,
            with_luck.score,
            {name: amount * step.cost / of_trials for name, amount in whole.items()},
        )
        for step, with_luck in zip(true, lucky, strict=True)
        if step.cost <= of_trials
    ]


def _step(row: ComparisonRow, trials: int, best: float, lucky: float, cost: Amounts) -> BudgetStep:
    bill = row.bill or {}
    names = [name for name in CURRENCIES if cost[name] > 0]
    return BudgetStep(
        arm=row.arm,
        batch_size=row.batch_size,
        trials=trials,
        best_score=best,
        lucky_best_score=lucky,
        cost=cost,
        saved={name: 1.0 - bill[name] / cost[name] for name in names},
        saved_with_baseline={name: 1.0 - (bill[name] + row.baseline_bill[name]) / cost[name] for name in names},
    )
