"""What a study's definition adds to the one that it was started with, and how the searches of an amended study began.

Only more of the same can be added, since everything that was trained must stay a part of the study: seeds, batch sizes,
arms, trials, repeats and points of a grid. This module must not know results.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .changes import describe_changes
from .defaults import DEFAULTS
from .definition import ArmDefinition, Study
from .methods import COMPREHENSIVE
from .search_space import Space, grid_points
from .stored import read_definition

PROLONGED: Final = ("random", "sobol", "optuna", "gp", "defaults")
"""Methods whose longer search begins with the proposals of the shorter one."""

WHAT_MAY_BE_ADDED: Final = (
    "seeds (after those that are there), batch sizes, arms, points of a grid, repeats, and trials of a search that "
    "runs once and is not comprehensive"
)

_FIXED_RULES = "a verdict's rules are fixed before its results"
_TRAINED_WITH = "what was trained rests on it"
REASONS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("margin", "reference"), _FIXED_RULES),
    **dict.fromkeys(("application", "data", "model", "epochs", "recipe", "search_seed"), _TRAINED_WITH),
    "baseline": "every rule rests on it",
    "seeds": "those that are there stay, and stand first",
    "batch_sizes": "those that are there stay",
}
"""Why a key of a study cannot be amended."""


@dataclass(frozen=True, kw_only=True)
class Addition:
    """What was added: in words, such as "seeds 3 -> 5 (4, 5)", and the arms whose verdicts then rest on it.

    A batch size touches none: its verdicts are of trainings that nobody has seen.
    """

    text: str
    arms: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How a study differs from the definition in its journal.

    Attributes:
        before: the study without what was added.
        additions: what was added.
        refused: a line for every other change, with the reason where there is one.
        seeds: the added seeds.
    """

    before: Study
    additions: tuple[Addition, ...]
    refused: tuple[str, ...]
    seeds: tuple[int, ...]


def compare_definitions(study: Study, definition: Mapping[str, Any]) -> Difference:
    """Return what a study adds to a definition, as `Study.content` wrote it, and what else it changes.

    Raises:
        BadInput: the definition is damaged, or this version of zerotune cannot read it.
    """
    old = read_definition(definition)
    keeps_sizes = set(old.batch_sizes) <= set(study.batch_sizes)
    sizes = tuple(size for size in study.batch_sizes if keeps_sizes and size not in old.batch_sizes)
    seeds = study.seeds[len(old.seeds) :] if study.seeds[: len(old.seeds)] == old.seeds else ()
    former = {arm.name: arm for arm in old.arms}
    arms = {arm.name: _without_additions(arm, former[arm.name]) for arm in study.arms if arm.name in former}
    before = study.model_copy(
        update={
            "seeds": old.seeds if seeds else study.seeds,
            "batch_sizes": tuple(size for size in study.batch_sizes if size not in sizes),
            "arms": tuple(arms.values()),
        }
    )
    additions = (
        *_more("seeds", old.seeds, seeds, tuple(former)),
        *_more("batch sizes", old.batch_sizes, sizes),
        *(Addition(text=f"arm {arm.name}", arms=(arm.name,)) for arm in study.arms if arm.name not in former),
        *(each for arm in study.arms if arm.name in arms for each in _of_arm(arm, arms[arm.name], study, former)),
    )
    content = _by_arm(before.content())
    known = {**_by_arm(definition), "application_code": content.get("application_code")}  # a session compares all code
    refused = [_with_reason(line, study) for line in describe_changes(known, {"application_code": None, **content})]
    if [name for name in former if name in arms] != list(arms):
        refused.append(f"arms: those that were there must keep their order: {', '.join(former)}")
    return Difference(before=before, additions=additions, refused=tuple(refused), seeds=seeds)


def _more(what: str, old: Sequence[int], new: Sequence[int], arms: tuple[str, ...] = ()) -> Iterator[Addition]:
    if new:
        text = f"{what} {len(old)} -> {len(old) + len(new)} ({', '.join(map(str, new))})"
        yield Addition(text=text, arms=arms)


def _without_additions(arm: ArmDefinition, former: ArmDefinition) -> ArmDefinition:
    """Return an arm with the former trials, repeats and grid where it has more of them."""
    update: dict[str, Any] = {}
    if arm.method in PROLONGED and arm.repeats == 1 and _num_trials(arm) > _num_trials(former):
        update["trials"] = former.trials
    if arm.repeats > former.repeats:
        update["repeats"] = former.repeats
    if arm.method == former.method == "grid" and _num_new_points(arm, former):
        update["space"] = in_order(former.space, arm.space)
    return arm.model_copy(update=update)


def _of_arm(
    arm: ArmDefinition, before: ArmDefinition, study: Study, former: Mapping[str, ArmDefinition]
) -> Iterator[Addition]:
    """Yield what was added to the search of an arm; every verdict rests on that of the reference."""
    touched = tuple(former) if arm.name == study.reference else (arm.name,)
    if arm.trials != before.trials:
        text = f"trials of {arm.name} {_num_trials(before)} -> {_num_trials(arm)}"
        yield Addition(text=text, arms=touched)
    if arm.space != before.space:
        num_before = len(grid_points(before.space))
        text = f"grid of {arm.name} {num_before} -> {num_before + _num_new_points(arm, before)} points"
        yield Addition(text=text, arms=touched)
    if arm.repeats != before.repeats:
        yield Addition(text=f"repeats of {arm.name} {before.repeats} -> {arm.repeats}", arms=touched)


def _num_trials(arm: ArmDefinition) -> int:
    """Return the number of trials of a search; `defaults` tries all of them if none is stated."""
    return arm.trials or len(DEFAULTS)


def in_order(space: Space, names: Space) -> Space:
    """Return a space with its parameters in another's order, which is that of a grid's points; a record sorts them."""
    return {name: space[name] for name in names if name in space}


def _num_new_points(arm: ArmDefinition, former: ArmDefinition) -> int:
    """Return how many points a grid has more than a former one that it holds whole; 0 if it does not."""
    if set(arm.space) != set(former.space):
        return 0
    old, new = grid_points(in_order(former.space, arm.space)), grid_points(arm.space)
    return len(new) - len(old) if all(point in new for point in old) else 0


def _by_arm(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a definition with its arms by name, so that a change is told of the arm and not of its number."""
    arms = {arm["name"]: {key: value for key, value in arm.items() if key != "name"} for arm in definition["arms"]}
    return {**definition, "arms": arms}


def _with_reason(line: str, study: Study) -> str:
    """Add to a line of `describe_changes` why this cannot be amended."""
    place = line.partition(":")[0]
    key, *rest = place.split(".")
    reason = REASONS.get(key.partition("[")[0], "")
    arm = {arm.name: arm for arm in study.arms}.get(rest[0]) if key == "arms" else None
    if key == "arms" and arm is None:
        reason = "an arm that is there stays"
    elif arm is not None and rest[1:] == ["trials"]:
        reason = _why_no_trials(arm)
    elif arm is not None and rest[1:2] == ["space"]:
        reason = "the trials of a search rest on its space; space: default follows the largest batch size"
    return f"{line} ({reason})" if reason else line


def _why_no_trials(arm: ArmDefinition) -> str:
    if arm.method == COMPREHENSIVE:
        return "comprehensive plans its stages and its race for the number of trials that it begins with"
    if arm.repeats > 1:
        return "a repeated search keeps its number of trials, so that its repeats stay alike"
    return "trials may be added, not taken away"


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """How the search of an arm at a batch size began, in a study that was amended.

    Attributes:
        trials: its number of trials then; None if it stated none.
        arms: names of the study's arms then.
        spaces: what it searched then and after every amendment; the last is today's.
    """

    trials: int | None
    arms: frozenset[str]
    spaces: tuple[Space, ...]


def beginnings(definitions: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], Beginning]:
    """Return how the searches of a study began, by arm and batch size, from all its definitions, the first one first.

    Empty for a study that was not amended.

    Raises:
        BadInput: a definition is damaged, or this version of zerotune cannot read it.
    """
    found: dict[tuple[str, int], Beginning] = {}
    studies = [read_definition(definition) for definition in definitions] if len(definitions) > 1 else []
    for number, study in enumerate(studies):
        for arm in study.arms:
            for size in study.batch_sizes:
                if (arm.name, size) not in found:
                    found[arm.name, size] = Beginning(
                        trials=arm.trials,
                        arms=frozenset(each.name for each in study.arms),
                        spaces=tuple(later.arm(arm.name).space for later in studies[number:]),
                    )
    return found
