"""What the searches of a study choose, and what therefore differs between its trainings."""

from .configure import MODEL
from .definition import ArmDefinition, Study
from .search_space import Param, Space


def ranges_behind(study: Study, arm: ArmDefinition | None) -> Space:
    """Return the ranges that decide what an arm trains with: those of its search, else of the search for its baseline.

    Of a search over several solvers, a name that several of them have stands for the range of the last. None is the
    study's baseline.
    """
    if arm is None or not arm.is_search:
        tune = (study.baseline if arm is None else study.baseline_of(arm)).tune
        return {} if tune is None else tune.space
    of_solvers: dict[str, Param] = {
        name: param for ranges in (arm.solvers or {}).values() for name, param in ranges.items()
    }
    return {**of_solvers, **arm.space}


def chosen_names(study: Study) -> tuple[str, ...]:
    """Return the hyperparameters that an arm or a baseline searches or fixes, in the order of the study."""
    names = dict.fromkeys(ranges_behind(study, None))
    for arm in study.arms:
        names |= dict.fromkeys((*ranges_behind(study, arm), *arm.fixed))
    return tuple(names)


def chosen_model_options(study: Study) -> tuple[str, ...]:
    """Return the names among `chosen_names` that are options of the model, such as "model.num_hidden"."""
    return tuple(name for name in chosen_names(study) if name.startswith(MODEL))
