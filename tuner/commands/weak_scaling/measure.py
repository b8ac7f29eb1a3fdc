"""Measure weak scaling of a study's application on this machine.

This module must not know how results are shown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ....trainers.applications import APPLICATIONS
from ....trainers.applications.registry import application_file
from ....trainers.data import DataError
from ....trainers.distributed.local_workers import WorkerLost
from ....trainers.distributed.rendezvous import unsupported_reason
from ....trainers.recipe import ghost_problems
from ....trainers.spec import Placement, Recipe, ScheduleSpec, TrainConfig
from ....trainers.weak_scaling import measure_machine_rates, measure_scaling
from ...errors import BadInput, Unreachable
from ...run.options import check_workload
from ...study import Study
from ...study.table_check import refuse_table
from .forecast import WeakScaling

LR = 1e-6
"""A learning rate so small that nothing diverges: only the seconds matter."""


@dataclass(frozen=True, kw_only=True)
class WeakScalingRequest:
    """What to measure.

    Attributes:
        workers: numbers of workers, >= 2, ascending; a single worker is always measured too.
        samples: local batch size: samples per worker and update.
        updates: updates per round.
        rounds: number of rounds; their median counts.
        hidden: fraction of the computation that overlaps with communication, for the forecast, in [0, 1].
    """

    study: Study
    workers: Sequence[int]
    samples: int
    updates: int
    rounds: int
    hidden: float = 0.0
    data_folder: str | None = None


def measure_weak_scaling(question: WeakScalingRequest, tell: Callable[[str], None]) -> WeakScaling:
    """Measure a single worker, then several. `tell` receives a line before each measurement.

    Raises:
        BadInput: it cannot be measured with these samples, these data or this build of torch.
        Unreachable: a worker process could not be started.
    """
    study, resources = question.study, question.study.resources
    folder = question.data_folder or study.data.folder
    refuse_table(study, "scale")
    if problem := _uneven_batches(question):
        raise BadInput(problem)
    num_train = check_workload(study, folder).num_train
    largest = question.samples * max(question.workers) * question.updates
    if largest > num_train:
        raise BadInput(
            f"study {study.name!r}: {question.updates} updates of {max(question.workers)} workers with "
            f"{question.samples} samples each take {largest:,}, and there are {num_train:,}: ask for fewer --samples, "
            "--updates or --workers"
        )
    device = "cuda" if resources.gpus_per_trial > 0 else "cpu"
    if problem := unsupported_reason(device):
        raise BadInput(problem)
    placement = Placement(data_folder=folder, device=device, num_threads=resources.cpus_per_trial)
    points = []
    for num_workers in (1, *question.workers):
        tell(f"{num_workers} worker{'s' if num_workers > 1 else ''} with {question.samples} samples each")
        try:
            point = measure_scaling(
                weak_scaling_config(study, question.samples, num_workers),
                placement,
                application_file(study.application),
                num_workers=num_workers,
                updates=question.updates,
                rounds=question.rounds,
            )
        except WorkerLost as error:
            raise Unreachable(f"{error}: run it again with fewer --workers") from None
        except (ValueError, RuntimeError, DataError) as error:
            raise BadInput(f"study {study.name!r} with {num_workers} workers: {error}") from None
        points.append(point)
    rates = measure_machine_rates(device, resources.cpus_per_trial)
    return WeakScaling(points=points, rates=rates, hidden=question.hidden)


def default_samples(study: Study) -> int:
    """Return the default local batch size: that of the baseline, rounded up to whole ghost batches."""
    samples, ghosts = study.baseline.batch_size, study.recipe.ghost_batch_size
    return samples if ghosts is None else _whole_ghosts(samples, ghosts)


def _whole_ghosts(samples: int, ghost_batch_size: int) -> int:
    return -(-samples // ghost_batch_size) * ghost_batch_size


def _uneven_batches(question: WeakScalingRequest) -> str | None:
    """Return why the workers cannot all have the same local batch size; None if they can."""
    samples, ghosts = question.samples, question.study.recipe.ghost_batch_size
    if ghosts is None or samples % ghosts == 0:
        return None
    return (
        f"study {question.study.name!r}: a worker's share is made of whole ghost batches of {ghosts} samples, so "
        f"{samples} a worker would not be shared equally: ask for --samples {_whole_ghosts(samples, ghosts)} or "
        f"another multiple of {ghosts}"
    )


def weak_scaling_config(study: Study, samples: int, num_workers: int) -> TrainConfig:
    """Return what the workers train. Unless stated, batch normalisation uses each worker's own statistics."""
    recipe: Recipe = study.recipe
    options = study.model_options()
    application = APPLICATIONS[study.application]
    if recipe.ghost_batch_size is None and any(ghost_problems(recipe, application, options, num_workers=2)):
        recipe = replace(recipe, ghost_batch_size=samples)
    return TrainConfig(
        application=study.application,
        data=study.data.source,
        data_options=study.data_options(),
        model_options=options,
        batch_size=samples * num_workers,
        epochs=1,
        schedule=ScheduleSpec(peak_lr=LR),
        optimizer=study.baseline.optimizer,
        seed=0,
        recipe=recipe,
    )
