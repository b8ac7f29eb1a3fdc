"""Compare the arms of a study: their scores, the cost to a model with each, and what the difference shows.

**The cost to a model** is the price of one trained model: for a search all its trials at that batch size, the best of
which is the model; for a rule one training (the mean of its confirmation runs with a score). Confirmation runs beyond
that are evidence about the method, not tuning; the ledger bills them. All functions are pure. This module must not know
where results are stored or how a comparison is drawn.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Literal

from ...trainers.applications.metric_names import is_share, metric_bounds
from ...trainers.spec import OptionValue, TrainConfig
from ..cost import CURRENCIES, Cost, total_cost
from ..trial import TrialResult, is_score
from .bill import NO_COST, Amounts, Saving, amounts_of, fully_measured_joules, saving
from .evidence import Interval, t_interval
from .ledger import CostLedger, cost_ledger
from .lost_seeds import Guessing, Seeds, sort_seeds, typical_score
from .luck import seed_noise
from .runs import Runs
from .selection import BASELINE, Edge, best_trial, find_edges
from .study_facts import StudyFacts
from .tuning_effort import TuningEffort, effort_to_match
from .verdict import Contest, Verdict, Yardstick, judge


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """Row of a comparison: one arm at one batch size.

    Attributes:
        zero_tuning: whether the arm's method is a rule.
        seeds: the confirmation runs, sound and lost.
        score: mean test score of the sound seeds with its 95% interval, which has no ends if a seed is lost; None
            without a sound seed.
        validation_score: mean validation score of the sound seeds.
        num_diverged: confirmation runs that diverged.
        num_failed: confirmation runs without a score.
        params: the chosen hyperparameters; empty for a rule.
        search: cost of all search trials; for the baseline's row, of its tuning.
        training: mean cost of the confirmation runs with a score; None without any.
        bill: the cost to a model; None without a confirmation run with a score.
        measured_joules: energy of the bill by meters; None if they did not count all of it.
        baseline_bill: cost of the search for the arm's baseline; zero without a baseline or if it was stated.
        verdict: verdict against the reference; None for the reference and the baseline themselves.
        holds: whether no seed is lost and the mean score is at least `margin` of the baseline's mean (LIMIT Def. 2.1),
            whatever its spread; None if the baseline was not confirmed.
        savings: savings against the reference, by currency; empty unless the verdict allows a saving.
        effort: effort of the reference's search to validate as well as this arm; None for the reference itself or if
            either has no score.
    """

    arm: str
    batch_size: int
    zero_tuning: bool
    seeds: Seeds
    score: Interval | None
    validation_score: float | None
    num_diverged: int
    num_failed: int
    params: Mapping[str, OptionValue]
    search: Cost
    training: Amounts | None
    bill: Amounts | None
    measured_joules: float | None
    baseline_bill: Amounts
    verdict: Verdict | None = None
    holds: bool | None = None
    savings: Mapping[str, Saving] = field(default_factory=dict)
    effort: TuningEffort | None = None

    @property
    def num_seeds(self) -> int:
        """Number of confirmation runs."""
        return len(self.seeds)

    @property
    def cost_per_usable_model(self) -> Amounts | None:
        """The bill over the share of seeds that are not lost, in every currency; None without a bill or such a seed."""
        sound = len(self.seeds.scores)
        if self.bill is None or not sound:
            return None
        return {currency: amount * len(self.seeds) / sound for currency, amount in self.bill.items()}

    @property
    def spares_tuning(self) -> bool:
        """Whether the arm is shown to do as well as the reference, so that its lower cost is a saving."""
        return self.verdict is not None and self.verdict.spares_tuning

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
        yardstick: what the verdicts are measured by.
        seed_noise: standard deviation of validation scores between seeds, by batch size (`tuner.analysis.luck`).
        edges: choices on the edge of their range, baselines first.
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


def compare(facts: StudyFacts, results: Sequence[TrialResult]) -> Comparison:
    """Compare the arms of a study by all its results, in any order; whatever has no result yet is None."""
    guessing = Guessing(score=facts.chance_score, metric=facts.metric, higher_is_better=facts.higher_is_better)
    runs = Runs(results)
    of_baseline = runs.confirmations(BASELINE, facts.baseline_batch_size)
    level = typical_score(of_baseline)
    seeds = sort_seeds(of_baseline, _half_way(guessing, level), higher_is_better=facts.higher_is_better)
    test_samples = [result.test_samples for result in results if result.test_samples is not None]
    yardstick = Yardstick(
        guessing=guessing,
        margin=facts.margin,
        baseline=seeds,
        test_samples=min(test_samples, default=None) if is_share(facts.metric) else None,
    )
    baseline = _row(facts, runs, BASELINE, facts.baseline_batch_size, yardstick, level)
    rows = {
        (arm, batch_size): _row(facts, runs, arm, batch_size, yardstick, level)
        for batch_size in facts.batch_sizes
        for arm in facts.arms
    }
    verdicts = judge(_contests(facts, runs, rows), yardstick)
    noises = _seed_noises(runs, rows)
    compared = []
    for place, row in rows.items():
        row = _with_level(row, yardstick)
        if (verdict := verdicts.get(place)) is not None:
            savings = _savings(row, rows[facts.reference, row.batch_size]) if verdict.spares_tuning else {}
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
        edges=find_edges(results, facts.spaces, arms=facts.arms, higher_is_better=facts.higher_is_better),
        tabulated=any(result.is_tabulated for result in results),
    )


def _half_way(guessing: Guessing, level: float | None) -> float | None:
    return None if level is None else guessing.half_way(level)


def _row(
    facts: StudyFacts,
    runs: Runs,
    arm: str,
    batch_size: int,
    yardstick: Yardstick,
    level: float | None,
) -> ComparisonRow:
    """Return an arm's row at a batch size without its comparison to others.

    `level` is the baseline's typical score; without it, lost seeds are told by that of the reference there.
    """
    higher_is_better = facts.higher_is_better
    search = runs.of(arm, batch_size, "baseline" if arm == BASELINE else "search")
    confirmations = runs.confirmations(arm, batch_size)
    if level is None:
        level = typical_score(runs.confirmations(facts.reference, batch_size))
    seeds = sort_seeds(confirmations, _half_way(yardstick.guessing, level), higher_is_better=higher_is_better)
    scored = [result for result in confirmations if is_score(result.test_score)]
    validations = _sound_validations(confirmations, seeds)
    searched = total_cost(result.cost for result in search)
    trained = total_cost(result.cost for result in scored)
    training = {name: amount / len(scored) for name, amount in amounts_of(trained).items()} if scored else None
    joules = fully_measured_joules(trained)
    chosen = best_trial(search, higher_is_better=higher_is_better)
    zero_tuning = arm in facts.zero_tuning_arms
    rests_on_a_search = zero_tuning and arm not in facts.stated_baselines
    return ComparisonRow(
        arm=arm,
        batch_size=batch_size,
        zero_tuning=zero_tuning,
        seeds=seeds,
        score=_mean_score(seeds, yardstick),
        validation_score=fmean(validations) if validations else None,
        num_diverged=sum(result.status == "diverged" for result in confirmations),
        num_failed=sum(reason == "failed" for reason in seeds.lost.values()),
        params=dict(confirmations[0].trial.params) if confirmations else {},
        search=searched,
        training=training,
        bill=None if training is None else training if chosen is None else amounts_of(searched),
        measured_joules=fully_measured_joules(searched) if chosen else joules / len(scored) if joules else None,
        baseline_bill=_baseline_bill(runs, arm) if rests_on_a_search else NO_COST,
    )


def _mean_score(seeds: Seeds, yardstick: Yardstick) -> Interval | None:
    """Return the mean of the sound seeds with its interval, within the metric's bounds; no ends if a seed is lost."""
    if not seeds.scores:
        return None
    found = t_interval(list(seeds.scores.values()), yardstick.noise(seeds))
    if seeds.lost or found.low is None or found.high is None:
        return Interval(mean=found.mean, low=None, high=None)
    least, largest = metric_bounds(yardstick.guessing.metric, yardstick.guessing.score or 0.0)
    return Interval(mean=found.mean, low=max(found.low, least), high=min(found.high, largest))


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
        confirmations = runs.confirmations(arm, batch_size)
        scores, known = _sound_validations(confirmations, row.seeds), found.setdefault(batch_size, [])
        configs = [replace(run.trial.config, seed=0) for run in confirmations[:1]]
        known += [(config, scores) for config in configs if config not in (one for one, _ in known)]
    noises = {batch_size: seed_noise(scores for _, scores in known) for batch_size, known in found.items()}
    return {batch_size: noise for batch_size, noise in noises.items() if noise is not None}


def _sound_validations(runs: Iterable[TrialResult], seeds: Seeds) -> list[float]:
    return [
        run.validation_score for run in runs if run.trial.config.seed in seeds.scores and is_score(run.validation_score)
    ]


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


def _baseline_bill(runs: Runs, arm: str) -> Amounts:
    """Return the cost of the search for the arm's own baseline if it tuned one, else for the shared one."""
    return amounts_of(total_cost(runs.baseline_costs(f"{arm} {BASELINE}") or runs.baseline_costs(BASELINE)))
