"""Train one configuration: a model on its data, with an optimizer, a learning-rate schedule and a recipe.

The names below are imported from their modules when they are first used, so that importing this package takes no torch.
`zerotune.scale_up` lies in `trainers.scale_up`, a module of the same name. This package must not know who chose a
configuration, what else is trained, or what any of it is compared with: that is the work of `tuner`.

Files:
    loop, updates       the training loop, and the updates of an epoch
    spec                configurations, placements and results: plain values without torch
    scaling, scale_up   rules that scale a baseline to a batch size; `scale_up` for your own training script
    recipe              clipping, label smoothing, ghost batches, micro-batches and precision
    outcome, evaluation, checkpoint, sampling, micro_batch    parts of the loop
    sanity_check        one batch through your own application, before any trial
    flops_and_memory, energy_meter, memory, cores, compiler   the machine: its costs and its limits
    weak_scaling        update times on 1, 2 ... workers

Folders:
    applications        a model, its data, loss, metric, target and tuned baseline each
    data                data sets: read, checked, split
    models              networks
    optimizers          optimizers, DATE, LARS and LAMB among them
    schedules           warm-ups and decays of the learning rate
    diagnostics         gradient noise, layers and distances, observed while training
    distributed         data-parallel training: a process group and the workers of one machine
    packing             several small trainings at once on one device
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .applications import APPLICATIONS as APPLICATIONS
    from .applications import Application as Application
    from .data import DataError as DataError
    from .data import Dataset as Dataset
    from .data import DataSource as DataSource
    from .data import as_split as as_split
    from .data import divide as divide
    from .loop import Training as Training
    from .loop import train as train
    from .optimizers import DATE as DATE
    from .optimizers import LAMB as LAMB
    from .optimizers import LARS as LARS
    from .optimizers import OPTIMIZERS as OPTIMIZERS
    from .optimizers import build_optimizer as build_optimizer
    from .scale_up import ScheduleLR as ScheduleLR
    from .schedules import build_schedule as build_schedule
    from .spec import Baseline as Baseline
    from .spec import DecaySpec as DecaySpec
    from .spec import EpochMetrics as EpochMetrics
    from .spec import OptimizerSpec as OptimizerSpec
    from .spec import Placement as Placement
    from .spec import Recipe as Recipe
    from .spec import ScheduleSpec as ScheduleSpec
    from .spec import TrainConfig as TrainConfig
    from .spec import TrainResult as TrainResult

_NAMES_BY_MODULE = {
    "applications": ("APPLICATIONS", "Application"),
    "data": ("DataError", "DataSource", "Dataset", "as_split", "divide"),
    "loop": ("Training", "train"),
    "optimizers": ("DATE", "LAMB", "LARS", "OPTIMIZERS", "build_optimizer"),
    "scale_up": ("ScheduleLR",),
    "schedules": ("build_schedule",),
    "spec": (
        "Baseline",
        "DecaySpec",
        "EpochMetrics",
        "OptimizerSpec",
        "Placement",
        "Recipe",
        "ScheduleSpec",
        "TrainConfig",
        "TrainResult",
    ),
}
_MODULES = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(_MODULES)
