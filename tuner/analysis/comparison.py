"""Compare the arms of a study: their scores, the cost to a model with each, and what the difference shows.

The cost to a model with each is defined in `tuner.analysis.comparison_row`. All functions are pure. This module must
not know where results are stored or how a comparison is drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ...trainers.applications.metric_names import is_share
from ...trainers.spec import TrainConfig
from ..cost import CURRENCIES
from ..trial import TrialResult
from .amendments import as_exploratory
from .bill import Saving, saving
from .comparison_row import ComparisonRow, build_row, half_way, sound_validations
from .guards import GuardedRule, find_guards
from .ledger import CostLedger, cost_ledger
from .lost_seeds import Guessing, sort_seeds, typical_score
from .luck import seed_noise
from .runs import Runs
from .search_fronts import SearchFront, search_fronts
from .searches import Search, searches_of
from .selection import BASELINE, Edge, find_edges
from .study_facts import StudyFacts
from .ties import Tie, find_ties
from .tuning_effort import TuningEffort, effort_to_match
from .verdict import Contest, Yardstick, judge


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Comparison of all arms of a study.

    Attributes:
        rows: a row for every batch size and arm, in the study's order.
        baseline: the baseline at B0; None without results.
        baseline_stated: whether no trial tuned the shared baseline, so that none is billed; an arm's own may be.
        yardstick: what the verdicts are measured by.
        seed_noise: standard deviation of validation scores between seeds, by batch size (`tuner.analysis.luck`).
        edges: choices on the edge of their range, baselines first.
        search_fronts: fronts of the searches for score and cost, by batch size and arm.
        searches: what became of every arm's search, by batch size and arm.
        ties: what ties with the best of every baseline whose ties go to the smallest learning rate.
        guards: the probes of every guarded arm at every batch size.
        tabulated: whether results were looked up in a table of past trainings, and not trained.
    """

    facts: StudyFacts
    rows: tuple[ComparisonRow, ...]
    baseline: ComparisonRow | None
    baseline_stated: bool
    yardstick: Yardstick
    ledger: CostLedger
    seed_noise: Mapping[int, float] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()
    search_fronts: tuple[SearchFront, ...] = ()
    searches: tuple[Search, ...] = ()
    ties: tuple[Tie, ...] = ()
    guards: tuple[GuardedRule, ...] = ()
    tabulated: bool = False

    @property
    def unknown(self) -> frozenset[str]:
        """Costs that a table of past trainings does not state, and that are therefore 0: no measurements."""
        whole = self.ledger.total + self.ledger.reused
        amounts = {**vars(whole), "modelled_joules": whole.modelled_joules}
        return frozenset(name for name, amount in amounts.items() if not amount) if self.tabulated else frozenset()

    @property
    def tolerance_basis(self) -> Literal["baseline", "reference"]:
        """Whose mean test score the tolerance is a fraction of."""
        return "baseline" if self.yardstick.baseline.scores else "reference"

    def row(self, arm: str, batch_size: int) -> ComparisonRow:
        """Return the row of an arm at a batch size; KeyError if the study has none."""
        for row in self.rows:
            if (row.arm, row.batch_size) == (arm, batch_size):
                return row
        raise KeyError(f"study {self.facts.name!r} has no arm {arm!r} at batch size {batch_size}")

    def mostly_useless_reference(self, batch_size: int) -> Search | None:
        """Return the reference's search at a batch size if most of it was useless, so that no saving counts there."""
        searches = [one for one in self.searches if (one.arm, one.batch_size) == (self.facts.reference, batch_size)]
        return next((one for one in searches if one.is_mostly_useless), None)


def compare(facts: StudyFacts, results: Sequence[TrialResult]) -> Comparison:
    """Compare the arms of a study by all its results, in any order; whatever has no result yet is None."""
    guessing = Guessing(score=facts.chance_score, metric=facts.metric, higher_is_better=facts.higher_is_better)
    runs = Runs(results)
    of_baseline = runs.confirmations(BASELINE, facts.baseline_batch_size)
    level = typical_score(of_baseline)
    seeds = sort_seeds(of_baseline, half_way(guessing, level), higher_is_better=facts.higher_is_better)
    test_samples = [result.test_samples for result in results if result.test_samples is not None]
    yardstick = Yardstick(
        guessing=guessing,
        margin=facts.margin,
        baseline=seeds,
        test_samples=min(test_samples, default=None) if is_share(facts.metric) else None,
    )
    baseline = build_row(facts, runs, BASELINE, facts.baseline_batch_size, yardstick, level)
    rows = {
        (arm, batch_size): build_row(facts, runs, arm, batch_size, yardstick, level)
        for batch_size in facts.batch_sizes
        for arm in facts.arms
    }
    verdicts = judge(_contests(facts, runs, rows), yardstick)
    noises = _seed_noises(runs, rows)
    searches = searches_of(facts, runs, _untuned_scores(rows), guessing)
    no_saving = {one.batch_size for one in searches if one.arm == facts.reference and one.is_mostly_useless}
    compared = []
    for place, row in rows.items():
        row = _with_level(row, yardstick)
        if (verdict := verdicts.get(place)) is not None:
            verdict = as_exploratory(verdict, facts.looks[row.arm]) if row.arm in facts.looks else verdict
            may_save = verdict.spares_tuning and row.batch_size not in no_saving
            savings = _savings(row, rows[facts.reference, row.batch_size]) if may_save else {}
            effort = _effort(facts, runs, row, noises.get(row.batch_size))
            row = replace(row, verdict=verdict, savings=savings, effort=effort)
        compared.append(row)
    return Comparison(
        facts=facts,
        rows=tuple(compared),
        baseline=baseline if baseline.search.trials or baseline.num_seeds else None,
        baseline_stated=not any((r.trial.arm, r.trial.role) == (BASELINE, "baseline") for r in results),
        yardstick=yardstick,
        ledger=cost_ledger(results),
        seed_noise=noises,
        searches=searches,
        edges=find_edges(
            results,
            facts.spaces,
            arms=facts.arms,
            higher_is_better=facts.higher_is_better,
            economies=facts.economies,
            solver_spaces=facts.solver_spaces,
            smallest=facts.smallest_ties,
        ),
        search_fronts=search_fronts(facts, runs),
        ties=find_ties(results, facts.smallest_ties, higher_is_better=facts.higher_is_better),
        guards=find_guards(results, facts.guarded_arms),
        tabulated=any(result.is_tabulated for result in results),
    )


def _untuned_scores(rows: Mapping[tuple[str, int], ComparisonRow]) -> dict[tuple[str, int], float]:
    """Return the mean validation scores of the arms without a search that lost no seed."""
    return {
        place: row.validation_score
        for place, row in rows.items()
        if row.zero_tuning and row.validation_score is not None and not row.seeds.lost
    }


def _contests(
    facts: StudyFacts, runs: Runs, rows: Mapping[tuple[str, int], ComparisonRow]
) -> dict[tuple[str, int], Contest]:
    """Return what is to be judged: every arm but the reference, at every batch size."""

    def trainings(arm: str, batch_size: int) -> set[str]:
        return {result.trial.content_id for result in runs.confirmations(arm, batch_size)}

    return {
        (arm, batch_size): Contest(
            arm=row.seeds,
            reference=rows[facts.reference, batch_size].seeds,
            same_training=trainings(arm, batch_size) == trainings(facts.reference, batch_size),
        )
        for (arm, batch_size), row in rows.items()
        if arm != facts.reference
    }


def _with_level(row: ComparisonRow, yardstick: Yardstick) -> ComparisonRow:
    """Add whether a row keeps the margin of the baseline's score."""
    if yardstick.limit is None or not len(row.seeds):
        return row
    keeps = row.score is not None and yardstick.sign * (row.score.mean - yardstick.limit) >= 0
    return replace(row, holds=keeps and not row.seeds.lost)


def _seed_noises(runs: Runs, rows: Mapping[tuple[str, int], ComparisonRow]) -> Mapping[int, float]:
    """Return the noise of validation scores over the sound seeds of every configuration, by batch size if known."""
    found: dict[int, list[tuple[TrainConfig, list[float]]]] = {}
    for (arm, batch_size), row in rows.items():
        known = found.setdefault(batch_size, [])
        for confirmations in runs.confirmations_by_search(arm, batch_size):
            config = replace(confirmations[0].trial.config, seed=0)
            if config not in (one for one, _ in known):
                known.append((config, sound_validations(confirmations, row.seeds)))
    noises = {batch_size: seed_noise(scores for _, scores in known) for batch_size, known in found.items()}
    return {batch_size: noise for batch_size, noise in noises.items() if noise is not None}


def _savings(row: ComparisonRow, reference: ComparisonRow) -> Mapping[str, Saving]:
    if row.bill is None or reference.bill is None:
        return {}
    bills = {name: (row.bill[name], reference.bill[name], row.baseline_bill[name]) for name in CURRENCIES}
    return {name: found for name, bill in bills.items() if (found := saving(*bill)) is not None}


def _effort(facts: StudyFacts, runs: Runs, row: ComparisonRow, noise: float | None) -> TuningEffort | None:
    if row.validation_score is None:
        return None
    return effort_to_match(
        runs.of(facts.reference, row.batch_size, "search"),
        runs.of(facts.reference, row.batch_size, "repeat"),
        row.validation_score,
        learned=facts.reference in facts.learned_arms,
        higher_is_better=facts.higher_is_better,
        noise=noise,
    )
