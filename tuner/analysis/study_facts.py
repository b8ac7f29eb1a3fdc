"""What a comparison must know of a study's definition.

This module must not know results.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..study import ArmDefinition, SearchDefinition, Study
from ..study.comprehensive import (
    TRIALS,
    searches_solver,
    solver_spaces,
    solvers_of,
    stated_ranges,
    union_space,
)
from ..study.definition import TuneDefinition
from ..study.methods import COMPREHENSIVE
from ..study.parts import PriceDefinition
from ..study.search_space import Space
from ..study.stopping import complete_stop
from .bill import Prices
from .economy import Economy, economy_of
from .selection import BASELINE

LEARNING_METHODS = ("optuna", "gp", COMPREHENSIVE)
"""Methods whose proposals rest on the outcomes of earlier ones, of optuna with most samplers."""


@dataclass(frozen=True, kw_only=True)
class EarlyEnd:
    """How the searches of an arm may end early.

    Attributes:
        trials: number of trials planned at a batch size.
        every: trials between two looks at the arm to beat.
        arm: the arm to beat; None without one.
        level: chance below which the search ends; None without an arm to beat.
        parallel: trials of a round, after which a terminator looks.
        terminator: name of Optuna's stopping rule; None without one.
        has_budget: whether the study's budget may end the search too.
    """

    trials: int
    every: int
    arm: str | None
    level: float | None
    parallel: int
    terminator: str | None
    has_budget: bool


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """What a comparison must know of a study's definition.

    Attributes:
        reference: name of the arm that the others are compared with.
        margin: share of the baseline's score that still counts as a match, in (0, 1], such as 0.995 (LIMIT Def. 2.1).
        metric: name of the score, such as "accuracy".
        arms: names of the arms, in the study's order.
        zero_tuning_arms: arms whose method is a rule without a guard, so that they rest on a baseline alone.
        batch_sizes: target batch sizes.
        baseline_batch_size: B0.
        num_seeds: confirmation runs asked for, of each choice.
        chance_score: the score of guessing; None for a study of an earlier version with an unknown application.
        stated_baselines: rule arms that state a learning rate of their own, so that no search is billed to them.
        repeats: how often each arm's search is run; arms that are left out run theirs once, or search nothing.
        learned_arms: arms whose search learns from its trials, so that these are not exchangeable.
        economies: how the searches for score and cost choose, by arm.
        prices: of what the study spends, as far as they are stated.
        early_ends: of the arms whose search may end early, by name.
        guarded_arms: arms whose rule spends short trainings at the target batch size, so that it is no zero-tuning.
        smallest_ties: baselines, by the arm name of their trials, whose ties go to the smallest learning rate.
        spaces: what each search ranges over, by the arm name of its trials; searches without ranges are left out. Of a
            search over several solvers, what all of them have at all batch sizes.
        solver_spaces: the ranges of every solver that an arm searches, by arm and batch size. Those that a
            comprehensive search has of its own, and extends, are left out.
        looks: looks at results that the verdicts of an arm rest on, the last one included, for arms whose verdicts rest
            on what was added to the study after test scores were known (`tuner.analysis.amendments`).
        is_amended: whether anything was added to the study after it had begun.
    """

    name: str
    question: str
    reference: str
    margin: float
    metric: str
    higher_is_better: bool
    arms: tuple[str, ...]
    zero_tuning_arms: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    baseline_batch_size: int
    num_seeds: int
    chance_score: float | None = None
    stated_baselines: tuple[str, ...] = ()
    repeats: Mapping[str, int] = field(default_factory=dict)
    learned_arms: tuple[str, ...] = ()
    economies: Mapping[str, Economy] = field(default_factory=dict)
    prices: Prices = field(default_factory=Prices)
    spaces: Mapping[str, Space] = field(default_factory=dict)
    solver_spaces: Mapping[str, Mapping[int, Mapping[str, Space]]] = field(default_factory=dict)
    early_ends: Mapping[str, EarlyEnd] = field(default_factory=dict)
    guarded_arms: tuple[str, ...] = ()
    smallest_ties: tuple[str, ...] = ()
    looks: Mapping[str, int] = field(default_factory=dict)
    is_amended: bool = False

    @property
    def rule_arms(self) -> tuple[str, ...]:
        """Arms whose method is a rule, with a guard or without, in the study's order."""
        return tuple(arm for arm in self.arms if arm in (*self.zero_tuning_arms, *self.guarded_arms))

    def num_confirmations(self, arm: str) -> int:
        """Return how many confirmation runs are asked for of an arm, or of the baseline, at a batch size."""
        return self.num_seeds * self.repeats.get(arm, 1)


def facts_of(study: Study, *, metric: str, higher_is_better: bool, chance_score: float | None = None) -> StudyFacts:
    """Return what a comparison must know of a study, whose application's score has this name, direction and chance."""
    return StudyFacts(
        name=study.name,
        question=study.question,
        reference=study.reference,
        margin=study.margin,
        metric=metric,
        higher_is_better=higher_is_better,
        arms=tuple(arm.name for arm in study.arms),
        zero_tuning_arms=tuple(arm.name for arm in study.arms if not arm.is_search and not arm.guard),
        guarded_arms=tuple(arm.name for arm in study.arms if arm.guard),
        smallest_ties=_smallest_ties(study),
        batch_sizes=study.batch_sizes,
        baseline_batch_size=study.baseline.batch_size,
        num_seeds=len(study.seeds),
        chance_score=chance_score,
        stated_baselines=tuple(arm.name for arm in study.arms if _states_its_baseline(arm)),
        repeats={arm.name: arm.repeats for arm in study.arms if arm.repeats > 1},
        learned_arms=tuple(arm.name for arm in study.arms if _learns(arm)),
        economies={arm.name: found for arm in study.arms if (found := economy_of(study, arm)) is not None},
        prices=stated_prices(study.prices),
        spaces=_spaces(study),
        solver_spaces={
            arm.name: {size: _solver_spaces(study, arm, size) for size in study.batch_sizes}
            for arm in study.arms
            if searches_solver(arm)
        },
        early_ends=_early_ends(study),
    )


def stated_prices(prices: PriceDefinition) -> Prices:
    """Return the prices that a study or an option states."""
    return Prices(
        device_hour=prices.device_hour,
        currency=prices.currency or "",
        watts=prices.watts,
        gco2_per_kwh=prices.gco2_per_kwh,
    )


def _early_ends(study: Study) -> dict[str, EarlyEnd]:
    has_budget = study.budget.trials is not None or study.budget.device_seconds is not None
    found = {}
    for arm in study.arms:
        stop = complete_stop(study, arm)
        if stop is not None or arm.terminator is not None:
            found[arm.name] = EarlyEnd(
                trials=arm.trials or TRIALS,
                every=arm.parallel if stop is None or stop.every is None else stop.every,
                arm=None if stop is None else stop.arm,
                level=None if stop is None else stop.level,
                parallel=arm.parallel,
                terminator=arm.terminator,
                has_budget=has_budget,
            )
    return found


def _baseline_searches(study: Study) -> Iterator[tuple[str, TuneDefinition]]:
    """Yield the searches of baselines, the shared one first, by the arm name of their trials."""
    tunes = [(f"{arm.name} {BASELINE}", arm.baseline.tune) for arm in study.arms if arm.baseline is not None]
    yield from ((name, tune) for name, tune in [(BASELINE, study.baseline.tune), *tunes] if tune is not None)


def _smallest_ties(study: Study) -> tuple[str, ...]:
    return tuple(name for name, tune in _baseline_searches(study) if tune.ties == "smallest")


def _spaces(study: Study) -> dict[str, Space]:
    searches: list[tuple[str, SearchDefinition]] = [*_baseline_searches(study)]
    searches += [(arm.name, arm) for arm in study.arms]
    spaces: dict[str, Space] = {name: search.space for name, search in searches if search.space}
    return spaces | {arm.name: _solvers_space(study, arm) for arm in study.arms if searches_solver(arm)}


def _solvers_space(study: Study, arm: ArmDefinition) -> Space:
    """Return what all solvers of an arm have at all batch sizes; empty if an unknown version stored the study."""
    try:
        spaces = [space for size in study.batch_sizes for space in solver_spaces(study, arm, size).values()]
    except KeyError:
        return {}
    return union_space(spaces, solvers_of(study, arm))


def _learns(arm: ArmDefinition) -> bool:
    """Return whether what a search tries, or how long, rests on the outcomes of its earlier trials."""
    is_drawn = arm.method == "optuna" and arm.sampler in ("sobol", "random") and arm.pruner == "none"
    return arm.method in LEARNING_METHODS and not is_drawn


def _solver_spaces(study: Study, arm: ArmDefinition, batch_size: int) -> dict[str, Space]:
    """Return the ranges of an arm's solvers; empty if an unknown version stored the study."""
    if arm.method == COMPREHENSIVE:
        stated = {solver: stated_ranges(arm, solver) for solver in solvers_of(study, arm)}
        return {solver: {name: ranges[name] for name in ranges if name != "lr"} for solver, ranges in stated.items()}
    try:
        return solver_spaces(study, arm, batch_size)
    except KeyError:
        return {}


def _states_its_baseline(arm: ArmDefinition) -> bool:
    return arm.baseline is not None and arm.baseline.lr is not None and arm.baseline.tune is None
