"""Rows of a comparison: what one arm at one batch size scores and costs.

**The cost to a model** is the price of one trained model: for a search all its trials at that batch size, the best of
which is the model, on average over its repeats; for a rule one training (the mean of its confirmation runs with a
score), and the probes of a guard. Confirmation runs and searches beyond that are evidence about the method, not tuning;
the ledger bills them. All functions are pure. This module must not know other arms.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean

from ...trainers.applications.metric_names import metric_bounds
from ...trainers.spec import OptionValue
from ..cost import Cost, total_cost
from ..trial import TrialResult, is_score
from .bill import NO_COST, Amounts, Saving, amounts_of, fully_measured_joules
from .evidence import Interval
from .lost_seeds import Guessing, Seeds, seed_key, sort_seeds, typical_score
from .repeated_searches import sample_of
from .runs import Runs
from .search_outcomes import SearchOutcome, mean_bill, search_outcomes
from .selection import BASELINE, best_trial
from .study_facts import StudyFacts
from .tuning_effort import TuningEffort
from .verdict import Verdict, Yardstick


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """Row of a comparison: one arm at one batch size.

    Attributes:
        zero_tuning: whether the arm's method is a rule without a guard.
        guarded: whether it is a rule with one.
        seeds: the confirmation runs of all its searches, sound and lost.
        score: mean test score of the sound seeds with its 95% interval, which has no ends if a seed is lost; None
            without a sound seed.
        validation_score: mean validation score of the sound seeds.
        num_diverged: confirmation runs that diverged.
        num_failed: confirmation runs without a score.
        params: the hyperparameters that the first search chose; empty for a rule.
        search: cost of the first search's trials; for the baseline's row, of its tuning; of a guarded arm, of its
            probes.
        searches: what each search chose, the first one and its repeats; empty for a rule.
        training: mean cost of the confirmation runs with a score; None without any.
        bill: the cost to a model; None without a confirmation run with a score.
        measured_joules: energy of the bill by meters; None if they did not count all of it.
        baseline_bill: cost of the search for the arm's baseline; zero without a baseline or if it was stated.
        verdict: verdict against the reference; None for the reference and the baseline themselves.
        holds: whether no seed is lost and the mean score is at least `margin` of the baseline's mean (LIMIT Def. 2.1),
            whatever its spread; None if the baseline was not confirmed.
        savings: savings against the reference, by currency; empty unless the verdict allows a saving, and where most
            of the reference's search was useless.
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
    searches: tuple[SearchOutcome, ...] = ()
    guarded: bool = False
    verdict: Verdict | None = None
    holds: bool | None = None
    savings: Mapping[str, Saving] = field(default_factory=dict)
    effort: TuningEffort | None = None

    @property
    def is_rule(self) -> bool:
        """Whether the arm's method is a rule, with a guard or without."""
        return self.zero_tuning or self.guarded

    @property
    def num_seeds(self) -> int:
        """Number of confirmation runs."""
        return len(self.seeds)

    @property
    def num_searches(self) -> int:
        """Number of searches whose choices were confirmed; 1 for a rule, 0 without a confirmation."""
        return self.seeds.num_searches

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


def build_row(
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
    guarded = arm in facts.guarded_arms
    search = runs.of(arm, batch_size, "baseline" if arm == BASELINE else "probe" if guarded else "search")
    confirmations = runs.confirmations(arm, batch_size)
    if level is None:
        level = typical_score(runs.confirmations(facts.reference, batch_size))
    seeds = sort_seeds(confirmations, half_way(yardstick.guessing, level), higher_is_better=higher_is_better)
    scored = [result for result in confirmations if is_score(result.test_score)]
    validations = sound_validations(confirmations, seeds)
    searched = total_cost(result.cost for result in search)
    economy = facts.economies.get(arm)
    outcomes = search_outcomes(runs, arm, batch_size, seeds, higher_is_better=higher_is_better, economy=economy)
    trained = total_cost(result.cost for result in scored)
    training = {name: amount / len(scored) for name, amount in amounts_of(trained).items()} if scored else None
    joules = fully_measured_joules(trained)
    bill: Amounts | None = training
    energy = joules / len(scored) if joules else None
    has_choice = not guarded and best_trial(search, higher_is_better=higher_is_better, economy=economy) is not None
    if has_choice or any(len(one.seeds) for one in outcomes):  # a search has trained its model
        bill, energy = mean_bill(outcomes) if outcomes else (amounts_of(searched), fully_measured_joules(searched))
    elif guarded and training is not None:
        bill = {name: amount + training[name] for name, amount in amounts_of(searched).items()}
        of_probes = fully_measured_joules(searched)
        energy = None if of_probes is None or energy is None else of_probes + energy
    rests_on_a_search = arm in facts.rule_arms and arm not in facts.stated_baselines
    return ComparisonRow(
        arm=arm,
        batch_size=batch_size,
        zero_tuning=arm in facts.zero_tuning_arms,
        guarded=guarded,
        seeds=seeds,
        score=_mean_score(seeds, yardstick),
        validation_score=fmean(validations) if validations else None,
        num_diverged=sum(result.status == "diverged" for result in confirmations),
        num_failed=sum(reason == "failed" for reason in seeds.lost.values()),
        params=dict(confirmations[0].trial.params) if confirmations else {},
        search=searched,
        searches=outcomes,
        training=training,
        bill=None if training is None else bill,
        measured_joules=energy,
        baseline_bill=_baseline_bill(runs, arm) if rests_on_a_search else NO_COST,
    )


def _mean_score(seeds: Seeds, yardstick: Yardstick) -> Interval | None:
    """Return the mean of the sound seeds with its interval, within the metric's bounds; no ends if a seed is lost."""
    if not seeds.scores:
        return None
    found = sample_of(seeds, yardstick.noise(seeds)).interval()
    if seeds.lost or found.low is None or found.high is None:
        return Interval(mean=found.mean, low=None, high=None)
    least, largest = metric_bounds(yardstick.guessing.metric, yardstick.guessing.score or 0.0)
    return Interval(mean=found.mean, low=max(found.low, least), high=min(found.high, largest))


def half_way(guessing: Guessing, level: float | None) -> float | None:
    """Return the score half-way from a level to guessing; None without a level."""
    return None if level is None else guessing.half_way(level)


def sound_validations(runs: Iterable[TrialResult], seeds: Seeds) -> list[float]:
    """Return the validation scores of the confirmation runs that are sound."""
    return [
        run.validation_score for run in runs if seed_key(run.trial) in seeds.scores and is_score(run.validation_score)
    ]


def _baseline_bill(runs: Runs, arm: str) -> Amounts:
    """Return the cost of the search for the arm's own baseline if it tuned one, else for the shared one."""
    return amounts_of(total_cost(runs.baseline_costs(f"{arm} {BASELINE}") or runs.baseline_costs(BASELINE)))
