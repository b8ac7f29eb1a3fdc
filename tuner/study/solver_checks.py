"""Check an arm that searches the solver: its solvers, their ranges and the ranges that all of them share."""

from collections.abc import Iterator

from ...trainers.optimizers import OPTIMIZERS
from ...trainers.tables import UnknownName, lookup
from .comprehensive import OPTIMIZER, PUBLISHED_LR, has_anchor, is_anchored, solver_spaces, solvers_of, stated_ranges
from .configure import search_config
from .definition import ArmDefinition, Study
from .search_space import Space
from .space_checks import (
    Problem,
    grid_problems,
    name_problems,
    param_problems,
    range_problems,
    trials_problems,
)
from .yaml_file import Location


def solver_problems(study: Study, arm: ArmDefinition, where: Location) -> Iterator[Problem]:
    """Yield what is wrong with an arm that searches the solver."""
    found = [*trials_problems(arm, where), *_name_problems(arm, where)]
    if not found:
        found += [*_range_name_problems(study, arm, where), *_anchor_problems(study, arm, where)]
        found += param_problems(study, arm.space, arm.method, (*where, "space"))
        for solver, ranges in (arm.solvers or {}).items():
            found += param_problems(study, ranges, arm.method, (*where, "solvers", solver))
        spaces = [stated_ranges(arm, solver) for solver in solvers_of(study, arm)]
        found += grid_problems(arm.method, spaces, (*where, "solvers"))
    yield from found or _end_problems(study, arm, where)


def _name_problems(arm: ArmDefinition, where: Location) -> Iterator[Problem]:
    """Check the names of the solvers, and that nothing else states one."""
    for solver in arm.solvers or ():
        try:
            lookup("optimizer", OPTIMIZERS, solver)
        except UnknownName as error:
            yield (*where, "solvers", solver), str(error)
    if arm.solvers is not None and arm.optimizer is not None:
        yield (*where, "optimizer"), "has no effect beside solvers: state the one or the other"
    if arm.solvers is not None and arm.start_from is not None and arm.method in ("optuna", "gp"):
        yield (
            (*where, "start_from"),
            f"{arm.method} cannot start a search of several solvers from a choice: choose comprehensive, sobol or "
            "random, or leave start_from out",
        )
    for key in ("space", "fixed"):
        if OPTIMIZER in getattr(arm, key):
            yield (*where, key, OPTIMIZER), "has no effect beside solvers, which says what optimizers are tried"


def _range_name_problems(study: Study, arm: ArmDefinition, where: Location) -> Iterator[Problem]:
    """Check that every solver has the hyperparameters that are searched or fixed, and each of them once."""
    solvers = arm.solvers or {}
    for solver, ranges in solvers.items():
        yield from name_problems(study, ranges, solver, (*where, "solvers", solver))
        for name in ranges:
            if name in arm.space or name in arm.fixed:
                message = "is also in space or fixed, which are for every solver: state it once"
                yield (*where, "solvers", solver, name), message
    for name in arm.fixed:
        if name in arm.space:
            yield (*where, "fixed", name), "is also in space: a value is either fixed or searched"
    for key, names in (("space", list(arm.space)), ("fixed", list(arm.fixed))):
        for solver in solvers_of(study, arm):
            unknown = list(name_problems(study, names, solver, (*where, key)))
            yield from unknown
            names = [name for name in names if (*where, key, name) not in [place for place, _ in unknown]]


def _anchor_problems(study: Study, arm: ArmDefinition, where: Location) -> Iterator[Problem]:
    """Check that every learning rate has a range: a stated one, or one that can be anchored."""
    for solver in (solver for solver in solvers_of(study, arm) if is_anchored(arm, solver)):
        example = f"solvers: {{{solver}: {{lr: {{low: 0.001, high: 0.1, scale: log"
        if arm.method == "grid":
            yield (
                (*where, "solvers", solver),
                "lr is anchored, which is a range without grid points: state them, as in "
                f"{example}, num: 5}}}}}}, or take sobol, random, gp or optuna",
            )
        elif not has_anchor(study.baseline, solver):
            yield (
                (*where, "solvers", solver),
                "zerotune knows no learning rate of it to anchor the range of lr on: state the range, as in "
                f"{example}}}}}}}, or choose among {', '.join(PUBLISHED_LR)}",
            )


def _end_problems(study: Study, arm: ArmDefinition, where: Location) -> Iterator[Problem]:
    """Build the configurations at the ends of the ranges of every solver; report what all share once."""
    batch_size, reported = study.batch_sizes[0], set[Problem]()
    for solver, space in solver_spaces(study, arm, batch_size).items():
        for problem in _ends_of(study, arm, solver, space, where):
            if problem not in reported:
                reported.add(problem)
                yield problem


def _ends_of(study: Study, arm: ArmDefinition, solver: str, space: Space, where: Location) -> Iterator[Problem]:
    inside = (*where, "solvers", solver)
    for place, message in range_problems(
        study,
        space,
        lambda params: search_config(study, arm, {OPTIMIZER: solver, **params}, batch_size=study.batch_sizes[0]),
        inside,
        epochs=study.epochs_of(arm),
    ):
        is_shared = len(place) > len(inside) and place[-1] in arm.space
        yield ((*where, "space", place[-1]) if is_shared else place), message
