"""What a comparison must know of a study's definition.

This module must not know results.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..study import ArmDefinition, SearchDefinition, Study
from ..study.comprehensive import solver_spaces, solvers_of, union_space
from ..study.definition import COMPREHENSIVE
from ..study.parts import PriceDefinition
from ..study.search_space import Space
from .bill import Prices
from .selection import BASELINE

LEARNING_METHODS = ("optuna", "gp", COMPREHENSIVE)
"""Methods whose proposals rest on the outcomes of earlier ones."""


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """What a comparison must know of a study's definition.

    Attributes:
        reference: name of the arm that the others are compared with.
        margin: share of the baseline's score that still counts as a match, in (0, 1], such as 0.995 (LIMIT Def. 2.1).
        metric: name of the score, such as "accuracy".
        arms: names of the arms, in the study's order.
        zero_tuning_arms: arms whose method is a rule, so that they rest on a baseline.
        batch_sizes: target batch sizes.
        baseline_batch_size: B0.
        num_seeds: confirmation runs asked for, of each arm.
        chance_score: the score of guessing; None for a study of an earlier version with an unknown application.
        stated_baselines: rule arms that state a learning rate of their own, so that no search is billed to them.
        learned_arms: arms whose search learns from its trials, so that these are not exchangeable.
        prices: of what the study spends, as far as they are stated.
        spaces: what each search ranges over, by the arm name of its trials; searches without ranges are left out.
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
    learned_arms: tuple[str, ...] = ()
    prices: Prices = field(default_factory=Prices)
    spaces: Mapping[str, Space] = field(default_factory=dict)


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
        zero_tuning_arms=tuple(arm.name for arm in study.arms if not arm.is_search),
        batch_sizes=study.batch_sizes,
        baseline_batch_size=study.baseline.batch_size,
        num_seeds=len(study.seeds),
        chance_score=chance_score,
        stated_baselines=tuple(arm.name for arm in study.arms if _states_its_baseline(arm)),
        learned_arms=tuple(arm.name for arm in study.arms if arm.method in LEARNING_METHODS),
        prices=stated_prices(study.prices),
        spaces=_spaces(study),
    )


def stated_prices(prices: PriceDefinition) -> Prices:
    """Return the prices that a study or an option states."""
    return Prices(
        device_hour=prices.device_hour,
        currency=prices.currency or "",
        watts=prices.watts,
        gco2_per_kwh=prices.gco2_per_kwh,
    )


def _spaces(study: Study) -> dict[str, Space]:
    searches: list[tuple[str, SearchDefinition | None]] = [(BASELINE, study.baseline.tune)]
    for arm in study.arms:
        searches.append((f"{arm.name} {BASELINE}", arm.baseline.tune if arm.baseline else None))
        searches.append((arm.name, arm))
    spaces: dict[str, Space] = {name: search.space for name, search in searches if search is not None and search.space}
    return spaces | {arm.name: _solvers_space(study, arm) for arm in study.arms if arm.method == COMPREHENSIVE}


def _solvers_space(study: Study, arm: ArmDefinition) -> Space:
    """Return what all solvers of an arm have at all batch sizes; empty if an unknown version stored the study."""
    try:
        spaces = [space for size in study.batch_sizes for space in solver_spaces(study, arm, size).values()]
    except KeyError:
        return {}
    return union_space(spaces, solvers_of(study, arm))


def _states_its_baseline(arm: ArmDefinition) -> bool:
    return arm.baseline is not None and arm.baseline.lr is not None and arm.baseline.tune is None
