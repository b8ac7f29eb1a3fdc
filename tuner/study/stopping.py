"""When a search may end early: where the trials left hardly beat an arm that needs no tuning.

How the chance of that is estimated from scores is in `tuner.analysis.stopping`. This module must not know results.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, model_validator

from ...trainers.tables import UnknownName, lookup
from .comprehensive import TRIALS
from .fields import Count
from .parts import Definition
from .yaml_file import Location

if TYPE_CHECKING:
    from .definition import ArmDefinition, Study


LEAST_TRIALS: Final = 8
"""Configurations with a score before which no search ends: from four the chance would be stated too low."""

LEAST_FACTOR: Final = 0.25
"""Least factor by which a score to beat that is far above the best so far lowers the chance."""


class StopDefinition(Definition):
    """When a search ends early. A number alone is its `level`.

    Attributes:
        level: the chance, in (0, 1), below which the search ends: that the trials left validate better than the arm by
            more than the study's margin.
        arm: name of an arm that is a rule and trains as many epochs; None for the first such arm.
        every: trials between two looks, each of which waits for all trials before it; None for the arm's `parallel`.
    """

    level: Annotated[float, Field(gt=0, lt=1)]
    arm: str | None = None
    every: Count | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, content: Any) -> Any:
        is_number = isinstance(content, int | float) and not isinstance(content, bool)
        return {"level": float(content)} if is_number else content


def is_look(number: int, every: int, trials: int) -> bool:
    """Return whether a search of so many trials looks at the chance of those left once `number` have ended.

    >>> [number for number in range(25) if is_look(number, 4, 24)]
    [8, 12, 16, 20]
    """
    return LEAST_TRIALS <= number < trials and number % every == 0


def laplace_chance(number: int, num_left: int) -> float:
    """Return the chance of a first success in `num_left` trials after `number` without one.

    All success rates were equally likely before.

    >>> laplace_chance(20, 4)
    0.16
    """
    return num_left / (number + num_left + 1)


def least_chance(trials: int, every: int) -> float:
    """Return the least chance that a search of so many trials can state; 1 if it never looks.

    >>> least_chance(24, 4), least_chance(8, 4)
    (0.04, 1.0)
    """
    looks = [number for number in range(trials) if is_look(number, every, trials)]
    return min((LEAST_FACTOR * laplace_chance(number, trials - number) for number in looks), default=1.0)


def arms_to_beat(study: "Study", arm: "ArmDefinition") -> dict[str, "ArmDefinition"]:
    """Return the arms that a search may be held against while it runs: rules that train as long."""
    epochs = study.epochs_of(arm)
    return {each.name: each for each in study.arms if not each.is_search and study.epochs_of(each) == epochs}


def complete_stop(study: "Study", arm: "ArmDefinition") -> StopDefinition | None:
    """Return the arm's `stop` with everything filled in; None without one, or where the study lacks the arm to beat."""
    rules = arms_to_beat(study, arm)
    if arm.stop is None or not rules:
        return None
    name = arm.stop.arm or next(iter(rules))
    if name not in rules:
        return None
    return arm.stop.model_copy(update={"arm": name, "every": arm.stop.every or arm.parallel})


def stop_problems(study: "Study", arm: "ArmDefinition", where: Location) -> Iterator[tuple[Location, str]]:
    """Yield what is wrong with the ways in which a search may end early."""
    for key in ("stop", "terminator"):
        if getattr(arm, key) is not None and arm.repeats > 1:
            yield (
                (*where, key),
                f"cannot be combined with repeats: {arm.repeats}, which compare searches of one length: leave one out",
            )
    if arm.stop is None:
        return
    rules = arms_to_beat(study, arm)
    if not rules:
        yield (
            (*where, "stop"),
            f"needs an arm to beat, a rule that trains {study.epochs_of(arm)} epochs as this arm does: add one, such "
            "as {name: sqrt, method: sqrt}",
        )
    elif arm.stop.arm is not None:
        try:
            lookup(f"rule that trains {study.epochs_of(arm)} epochs", rules, arm.stop.arm)
        except UnknownName as error:
            yield (*where, "stop", "arm"), str(error)
    trials, every = arm.trials or TRIALS, arm.stop.every or arm.parallel
    if arm.stop.level <= (least := least_chance(trials, every)):
        yield (
            (*where, "stop"),
            f"has no effect: of {trials} trials, looked at every {every} from the {LEAST_TRIALS}th on, the chance is "
            f"stated as {least:.3g} at least, got level {arm.stop.level:g}: raise the level or the trials, or leave "
            "it out",
        )
