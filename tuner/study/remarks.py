"""Remarks on a study that is valid, but whose arms do less than their names say.

This module must not know where remarks are shown.
"""

from collections.abc import Iterator

from ...trainers.applications import APPLICATIONS
from ...trainers.optimizers import has_layerwise_ratio
from ...trainers.scaling import rule_remarks
from ...trainers.spec import Baseline, ScheduleSpec
from .definition import ArmDefinition, Study


def study_remarks(study: Study) -> tuple[str, ...]:
    """Return a sentence for every arm whose rule starts from no warm-up, or trains without the ratio it is made for.

    A warm-up that tuning chooses is not known yet and is not remarked on. Of a search for score and cost, it says what
    the cost objective takes from the search.
    """
    found = []
    for arm in study.arms:
        if arm.is_search:
            found += [f"Arm {arm.name!r}: {text}" for text in _objective_remarks(study, arm)]
            continue
        definition = study.baseline_of(arm)
        is_searched = definition.tune is not None and "warmup_epochs" in definition.tune.space
        schedule = ScheduleSpec(peak_lr=1.0, warmup_epochs=1.0 if is_searched else definition.warmup_epochs)
        baseline = Baseline(batch_size=definition.batch_size, schedule=schedule, optimizer=definition.optimizer)
        has_ratio = has_layerwise_ratio(definition.optimizer.name)
        found += [f"Arm {arm.name!r}: {text}" for text in rule_remarks(arm.method, baseline, has_ratio=has_ratio)]
    return tuple(found)


def _objective_remarks(study: Study, arm: ArmDefinition) -> Iterator[str]:
    if not arm.objectives:
        return
    cost = arm.objectives[-1]
    if arm.name == study.reference:
        yield (
            f"the reference may give up to {100 * (1 - study.margin):.3g}% of its best validation score for a lower "
            "cost. A search by the score alone would be a stronger reference."
        )
    if cost != "device_seconds" and not any(name.startswith("model.") for name in arm.space):
        yield (
            f"nothing that it searches changes the {cost} of a training, so that the score alone decides among trials "
            "that lost no work. Search what changes the cost too, or leave objectives out."
        )
    application = APPLICATIONS.get(study.application)
    if cost == "device_seconds" and application is not None and application.look_up is None:
        yield (
            "device_seconds are measured, so that this search proposes other trials when the study is run anew; a "
            "study that goes on takes what was recorded. flops are counted, and the same each time."
        )
    if arm.pruner != "none":
        yield (
            f"{arm.pruner} prunes by the score alone, so that a cheap trial which learns slowly may be ended early and "
            "be missing from the front."
        )
