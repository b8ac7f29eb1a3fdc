"""Check the keys by which a baseline carries further, and the guards of rules."""

from collections.abc import Iterator

from ...trainers.applications import APPLICATIONS
from ...trainers.applications.metric_names import is_share
from .baseline_keys import GUARDED
from .definition import Study, TuneDefinition
from .search_space import numeric_range
from .space_checks import Problem
from .yaml_file import Location


def carrying_problems(study: Study) -> Iterator[Problem]:
    """Yield what is wrong with ties, extensions and guards."""
    tunes: list[tuple[Location, TuneDefinition | None]] = [(("baseline", "tune"), study.baseline.tune)]
    for position, arm in enumerate(study.arms):
        tunes.append((("arms", position, "baseline", "tune"), arm.baseline.tune if arm.baseline else None))
        if arm.guard and not arm.is_search and GUARDED not in arm.name:
            yield (
                ("arms", position, "name"),
                f"must say {GUARDED!r}, such as {f'{arm.name}-{GUARDED}'!r}: an arm with guard: {arm.guard} trains "
                f"at the target batch size before its choice, so it is no zero-tuning; got {arm.name!r}",
            )
    for where, tune in tunes:
        if tune is not None:
            yield from _tune_problems(study, tune, where)


def _tune_problems(study: Study, tune: TuneDefinition, where: Location) -> Iterator[Problem]:
    lr = tune.space.get("lr")
    ends = None if lr is None else numeric_range(lr)
    if tune.extend and ends is None:
        yield (*where, "extend"), "has no effect: the space has no range of lr, nor three or more numbers of it"
    if tune.ties == "best":
        if tune.tie_seeds:
            yield (*where, "tie_seeds"), "has no effect with ties best: add ties: smallest, or leave it out"
        return
    application = APPLICATIONS[study.application]
    if lr is None:
        yield (*where, "ties"), "smallest has no effect: lr is not in the space"
    elif not tune.tie_seeds and (application.look_up is not None or not is_share(application.metric)):
        why = "a table of past trainings" if application.look_up is not None else f"the metric {application.metric}"
        yield (
            (*where, "ties"),
            f"smallest needs tie_seeds here, such as tie_seeds: 2: {why} does not tell the noise of a validation set",
        )
