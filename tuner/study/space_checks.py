"""Check one search space: its names, its size and the configurations at the ends of its ranges."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from ...trainers.applications import APPLICATIONS
from ...trainers.optimizers import check_optimizer
from ...trainers.schedules import build_schedule
from ...trainers.spec import Configuration, OptimizerSpec, OptionValue, ScheduleSpec
from ...trainers.tables import UnknownName, lookup
from .comprehensive import OPTIMIZER
from .configure import MODEL, hyperparameter_names
from .defaults import DEFAULTS
from .definition import ArmDefinition, SearchDefinition, Study
from .methods import SPACE_METHODS
from .model_check import ModelCheck
from .search_space import MAX_GRID_POINTS, Choice, Float, Param, Space, grid_values, middle
from .yaml_file import Location

Problem = tuple[Location, str]
"""Location of a mistake, and a sentence about it."""

Build = Callable[[Mapping[str, OptionValue]], Configuration]
"""Function hyperparameters -> configuration."""

MAX_CORNERS = 256
"""Combinations of range ends that are built; others, if impossible, show up as failed trials."""

_SEARCH_SOLVERS: Final = (
    "is searched by solvers, beside space: solvers: [adam, momentum], or with ranges of each, "
    "solvers: {adam: {beta1: {low: 0.8, high: 0.98}}, momentum: {momentum: {low: 0.8, high: 0.98}}}"
)


def space_problems(study: Study, search: SearchDefinition, optimizer: str, where: Location) -> Iterator[Problem]:
    """Yield what is wrong with a search's names and counts."""
    yield from trials_problems(search, where)
    if search.method not in SPACE_METHODS:
        return
    if not search.space:
        yield (*where, "space"), f"method {search.method} needs a space with at least one hyperparameter"
    is_arm = isinstance(search, ArmDefinition)
    if OPTIMIZER in search.space and is_arm:
        yield (*where, "space", OPTIMIZER), _SEARCH_SOLVERS
    names = (name for name in search.space if name != OPTIMIZER or not is_arm)
    yield from name_problems(study, names, optimizer, (*where, "space"))
    yield from param_problems(study, search.space, search.method, (*where, "space"))
    yield from grid_problems(search.method, [search.space], (*where, "space"))


def trials_problems(search: SearchDefinition, where: Location) -> Iterator[Problem]:
    """Yield what is wrong with a search's number of trials."""
    if search.method == "defaults" and search.trials is not None and search.trials > len(DEFAULTS):
        yield (*where, "trials"), f"must be at most {len(DEFAULTS)}, the number of defaults, got {search.trials}"
    if search.method in SPACE_METHODS and search.method != "grid" and search.trials is None:
        yield (*where, "trials"), f"is missing: method {search.method} needs a number of trials"


def name_problems(study: Study, names: Iterable[str], optimizer: str, where: Location) -> Iterator[Problem]:
    """Yield the names that are no hyperparameters of an optimizer or of the application's model."""
    options = APPLICATIONS[study.application].model_options.defaults
    known = dict.fromkeys(hyperparameter_names(optimizer, options))
    for name in names:
        if name.startswith(MODEL) and not options:
            yield (*where, name), f"application {study.application!r} has no options of its model to choose"
            continue
        try:
            if name.startswith(MODEL):
                of_model = dict.fromkeys(f"{MODEL}{option}" for option in options)
                lookup(f"option of the model of {study.application!r}", of_model, name)
            else:
                lookup(f"hyperparameter of optimizer {optimizer!r}", known, name)
        except UnknownName as error:
            yield (*where, name), str(error)


def param_problems(study: Study, space: Space, method: str, where: Location) -> Iterator[Problem]:
    """Yield ranges of real numbers that must be of whole ones, and numbers of grid points where there is no grid."""
    options = APPLICATIONS[study.application].model_options.defaults
    whole = {"ghost_batch_size", *(f"{MODEL}{name}" for name, value in options.items() if type(value) is int)}
    for name, param in space.items():
        if name in whole and isinstance(param, Float):
            yield (*where, name), "takes whole numbers: add type: int to the range"
        if method != "grid" and not isinstance(param, Choice) and param.num is not None:
            yield (*where, name), f"num has no effect with method {method}: leave it out (for grid)"
        if method == "grid":
            try:
                grid_values(param)
            except ValueError as error:
                yield (*where, name), str(error)


def grid_problems(method: str, spaces: Iterable[Space], where: Location) -> Iterator[Problem]:
    """Yield a sentence if the grids over some spaces together have too many points."""
    try:
        points = sum(math.prod(len(grid_values(param)) for param in space.values()) for space in spaces)
    except ValueError:
        return  # said by `param_problems`
    if method == "grid" and points > MAX_GRID_POINTS:
        yield where, f"spans {points} grid points; at most {MAX_GRID_POINTS} are allowed"


def check_training(schedule: ScheduleSpec, optimizer: OptimizerSpec, epochs: int) -> None:
    """Raise ValueError if a schedule or an optimizer has a value out of its range, or values that contradict."""
    check_optimizer(optimizer)
    # No check depends on the number of samples or on the batch size.
    build_schedule(schedule, num_samples=1, batch_size=1, epochs=epochs)


def range_problems(study: Study, space: Space, build: Build, where: Location, *, epochs: int) -> Iterator[Problem]:
    """Build the configurations at the ends of the ranges, one parameter at a time, then all together."""
    # Other parameters have their stated values; the learning rate may have none.
    alone = {"lr": middle(space["lr"])} if "lr" in space else {}
    found, model = False, ModelCheck(study)
    for name in sorted(space, key=lambda name: name != "lr"):
        messages = (_find_problem(model, build, {**alone, name: value}, epochs) for value in _ends(space[name]))
        message = next((message for message in messages if message is not None), None)
        if message is not None:
            found = True
            yield (*where, name), message
            if name == "lr":
                return  # nothing can be built with it
    if found:
        return
    corners = itertools.product(*(_ends(param) for param in space.values()))
    for corner in itertools.islice(corners, MAX_CORNERS):
        params = dict(zip(space, corner, strict=True))
        message = _find_problem(model, build, params, epochs)
        if message is not None:
            together = ", ".join(f"{name}={value}" for name, value in params.items())
            yield where, f"{message.removesuffix('.')}, with {together}"
            return


def _ends(param: Param) -> tuple[OptionValue, ...]:
    return param.choices if isinstance(param, Choice) else (param.low, param.high)


def _find_problem(model: ModelCheck, build: Build, params: Mapping[str, OptionValue], epochs: int) -> str | None:
    """Return why a configuration cannot be trained, or None if it can."""
    try:
        configuration = build(params)
        check_training(configuration.schedule, configuration.optimizer, epochs)
    except ValueError as error:
        return str(error)
    if (problem := model.problem(configuration)) is not None:
        return problem
    warmup_epochs = configuration.schedule.warmup_epochs
    if warmup_epochs >= epochs:
        return f"a warm-up of {warmup_epochs:g} epochs would outlast the run of {epochs} epochs"
    return None
