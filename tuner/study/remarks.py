"""Remarks on a study that is valid, but whose rules do less than their names say.

This module must not know where remarks are shown.
"""

from ...trainers.optimizers import has_layerwise_ratio
from ...trainers.scaling import rule_remarks
from ...trainers.spec import Baseline, ScheduleSpec
from .definition import Study


def study_remarks(study: Study) -> tuple[str, ...]:
    """Return a sentence for every arm whose rule starts from no warm-up, or trains without the ratio it is made for.

    A warm-up that tuning chooses is not known yet and is not remarked on.
    """
    found = []
    for arm in study.arms:
        if arm.is_search:
            continue
        definition = study.baseline_of(arm)
        is_searched = definition.tune is not None and "warmup_epochs" in definition.tune.space
        schedule = ScheduleSpec(peak_lr=1.0, warmup_epochs=1.0 if is_searched else definition.warmup_epochs)
        baseline = Baseline(batch_size=definition.batch_size, schedule=schedule, optimizer=definition.optimizer)
        has_ratio = has_layerwise_ratio(definition.optimizer.name)
        found += [f"Arm {arm.name!r}: {text}" for text in rule_remarks(arm.method, baseline, has_ratio=has_ratio)]
    return tuple(found)
