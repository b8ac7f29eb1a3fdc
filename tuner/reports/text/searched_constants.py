"""Caveats of constants that somebody searched before the study, and whose search no bill of it holds."""

from collections.abc import Iterable

from ....trainers.optimizers.layerwise import RATIO_HIGH, RATIO_LOW
from ....trainers.scaling import GOYAL_WARMUP_EPOCHS
from ....trainers.spec import OptimizerSpec
from ...study import ArmDefinition, Study
from ...study.comprehensive import searches_solver, solvers_of, stated_ranges
from ..answer import Answer
from .format import join_names

LIMITS_SEARCH = {"date_limits_lenet": 131, "date_limits_lstm": 53, "date_limits_lenet_upper": 32}
"""Trainings of the studies that chose the limits of the layer-wise ratio, as studies/README.md bills them.
Their own answers bill them."""

_LIMITS = {"ratio_low": RATIO_LOW, "ratio_high": RATIO_HIGH}


def searched_constants(subject: Answer) -> tuple[str, ...]:
    """Return a sentence for each constant that arms rest on and whose search is not billed to them."""
    study = subject.origin.study
    limits = () if study.name in LIMITS_SEARCH else tuple(_limits(study))
    return (*limits, *_warmup(study), *_published(study))


def _limits(study: Study) -> Iterable[str]:
    """State where the limits of the layer-wise ratio come from: ours, searched once, or those of the study's author."""
    by_default: dict[tuple[str, ...], list[str]] = {}
    own = []
    limited = [(arm, each) for arm in study.arms for each in _optimizers(study, arm) if _has_limits(arm, each)]
    for arm, optimizer in limited:
        stated = {**optimizer.options, **arm.fixed}
        others = [name for name, value in _LIMITS.items() if stated.get(name, value) != value]
        searched = _searched_names(study, arm, optimizer.name)
        default = tuple(f"{value:g}" for name, value in _LIMITS.items() if name not in {*others, *searched})
        own += [arm.name] if others else []
        if default:
            by_default.setdefault(default, []).append(arm.name)
    trainings, names = sum(LIMITS_SEARCH.values()), join_names([f"{n} {k}" for n, k in LIMITS_SEARCH.items()])
    for values, arms in by_default.items():
        what, verb = ("limit", "is a default") if len(values) == 1 else ("limits", "are defaults")
        in_arms = join_names(list(dict.fromkeys(arms)))
        yield (
            f"The {what} {join_names(values)} of the layer-wise ratio in {in_arms} {verb} of zerotune, chosen "
            f"in {trainings} trainings of small models (studies {names}). None of them is billed here."
        )
    if own:
        yield (
            f"The study states limits of its own of the layer-wise ratio in {join_names(list(dict.fromkeys(own)))}. "
            "What finding them took is not known and not billed."
        )


def _searched_names(study: Study, arm: ArmDefinition, optimizer: str) -> set[str]:
    """Return the names of what the arm's search, or that of its baseline, chooses of an optimizer and bills."""
    tune = None if arm.is_search else study.baseline_of(arm).tune
    return {*stated_ranges(arm, optimizer), *(tune.space if tune else ())}


def _optimizers(study: Study, arm: ArmDefinition) -> list[OptimizerSpec]:
    """Return the optimizers that an arm trains with, as stated."""
    if not searches_solver(arm):
        return [study.arm_optimizer(arm)]
    own = study.baseline.optimizer
    return [own if name == own.name else OptimizerSpec(name=name) for name in solvers_of(study, arm)]


def _has_limits(arm: ArmDefinition, optimizer: OptimizerSpec) -> bool:
    """Return whether an arm's optimizer keeps its ratio between fixed limits; an unknown one is known by its name."""
    bounds = arm.fixed.get("bounds", optimizer.options.get("bounds", "fixed"))
    is_date = optimizer.name == "date" or optimizer.name.startswith("date-")
    return is_date or (optimizer.name.startswith("layerwise-") and bounds == "fixed")


def _warmup(study: Study) -> Iterable[str]:
    arms = [arm.name for arm in study.arms if arm.method == "linear-warmup"]
    if arms:
        yield (
            f"The {GOYAL_WARMUP_EPOCHS:g} epochs of warm-up in {join_names(arms)} are those of Goyal et al. (arXiv "
            "1706.02677), who found them for ImageNet: that search is not billed."
        )


def _published(study: Study) -> Iterable[str]:
    arms = [arm.name for arm in study.arms if arm.method == "defaults"]
    if arms:
        yield f"The configurations of {join_names(arms)} are published ones: what finding them took is not billed."
