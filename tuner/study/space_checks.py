"""Check one search space: its names, its size and the configurations at the ends of its ranges."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping

from ...trainers.applications import APPLICATIONS
from ...trainers.optimizers import check_optimizer
from ...trainers.recipe import recipe_problems
from ...trainers.schedules import build_schedule
from ...trainers.spec import Configuration, OptimizerSpec, OptionValue, ScheduleSpec
from ...trainers.tables import UnknownName, lookup
from .configure import hyperparameter_names
from .defaults import DEFAULTS
from .definition import SPACE_METHODS, SearchDefinition, Study
from .search_space import MAX_GRID_POINTS, Choice, Param, Space, grid_values, middle
from .yaml_file import Location

Problem = tuple[Location, str]
"""Location of a mistake, and a sentence about it."""

Build = Callable[[Mapping[str, OptionValue]], Configuration]
"""Function hyperparameters -> configuration."""

MAX_CORNERS = 256
"""Combinations of range ends that are built; others, if impossible, show up as failed trials."""


def space_problems(search: SearchDefinition, optimizer: str, where: Location) -> Iterator[Problem]:
    """Yield what is wrong with a search's names and counts."""
    if search.method not in SPACE_METHODS:
        if search.method == "defaults" and search.trials is not None and search.trials > len(DEFAULTS):
            yield (*where, "trials"), f"must be at most {len(DEFAULTS)}, the number of defaults, got {search.trials}"
        return
    if not search.space:
        yield (*where, "space"), f"method {search.method} needs a space with at least one hyperparameter"
    if search.method != "grid" and search.trials is None:
        yield (*where, "trials"), f"is missing: method {search.method} needs a number of trials"
    yield from name_problems(search.space, optimizer, (*where, "space"))
    for name, param in search.space.items():
        place = (*where, "space", name)
        if search.method != "grid" and not isinstance(param, Choice) and param.num is not None:
            yield place, f"num has no effect with method {search.method}: leave it out (for grid)"
    if search.method == "grid":
        yield from _grid_problems(search.space, (*where, "space"))


def name_problems(names: Iterable[str], optimizer: str, where: Location) -> Iterator[Problem]:
    """Yield the names that are no hyperparameters of an optimizer."""
    known = dict.fromkeys(hyperparameter_names(optimizer))
    for name in names:
        try:
            lookup(f"hyperparameter of optimizer {optimizer!r}", known, name)
        except UnknownName as error:
            yield (*where, name), str(error)


def _grid_problems(space: Space, where: Location) -> Iterator[Problem]:
    sizes = []
    for name, param in space.items():
        try:
            sizes.append(len(grid_values(param)))
        except ValueError as error:
            yield (*where, name), str(error)
    if math.prod(sizes) > MAX_GRID_POINTS:
        yield where, f"spans {math.prod(sizes)} grid points; at most {MAX_GRID_POINTS} are allowed"


def check_training(schedule: ScheduleSpec, optimizer: OptimizerSpec, epochs: int) -> None:
    """Raise ValueError if a schedule or an optimizer has a value out of its range, or values that contradict."""
    check_optimizer(optimizer)
    # No check depends on the number of samples or on the batch size.
    build_schedule(schedule, num_samples=1, batch_size=1, epochs=epochs)


def range_problems(study: Study, space: Space, build: Build, where: Location, *, epochs: int) -> Iterator[Problem]:
    """Build the configurations at the ends of the ranges, one parameter at a time, then all together."""
    # Other parameters have their stated values; the learning rate may have none.
    alone = {"lr": middle(space["lr"])} if "lr" in space else {}
    found = False
    for name in sorted(space, key=lambda name: name != "lr"):
        messages = (_find_problem(study, build, {**alone, name: value}, epochs) for value in _ends(space[name]))
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
        message = _find_problem(study, build, params, epochs)
        if message is not None:
            together = ", ".join(f"{name}={value}" for name, value in params.items())
            yield where, f"{message.removesuffix('.')}, with {together}"
            return


def _ends(param: Param) -> tuple[OptionValue, ...]:
    return param.choices if isinstance(param, Choice) else (param.low, param.high)


def _find_problem(study: Study, build: Build, params: Mapping[str, OptionValue], epochs: int) -> str | None:
    """Return why a configuration cannot be trained, or None if it can."""
    try:
        configuration = build(params)
        check_training(configuration.schedule, configuration.optimizer, epochs)
    except ValueError as error:
        return str(error)
    if configuration.recipe != study.recipe:
        for field, sentence in recipe_problems(configuration.recipe, APPLICATIONS[study.application]):
            return f"{field} {sentence}"
    warmup_epochs = configuration.schedule.warmup_epochs
    if warmup_epochs >= epochs:
        return f"a warm-up of {warmup_epochs:g} epochs would outlast the run of {epochs} epochs"
    return None
