"""zerotune: must a model tuned at a small batch be tuned again at a large one?

The names below are the public interface. Each is imported from its module when it is first used, so that `import
zerotune` takes milliseconds and no torch. Other modules may change from one version to the next.

In a training script of your own:

    zerotune.scale_up, ScheduleLR, build_schedule                      scale a tuned baseline to a batch size
    zerotune.DATE, LARS, LAMB, Layerwise, layerwise_groups             optimizers for large batches
    zerotune.Baseline, OptimizerSpec, ScheduleSpec                     what a training is made of

Your own application:

    zerotune.Application, Dataset, DataSource, divide, as_split        a model, its data, loss and metric
    zerotune.cross_entropy, num_correct                                loss and metric of a classifier
    zerotune.DataError                                                 raised by a source whose data cannot be used
    zerotune.train, TrainConfig, Placement                             train one configuration, on a device

Studies:

    zerotune.load_study, Study                                         read a study's definition
    zerotune.plan_study, run_study, read_answer                        what it costs, run it, read its answer again
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from zerotune.trainers.applications import Application as Application
    from zerotune.trainers.applications.classification import cross_entropy as cross_entropy
    from zerotune.trainers.applications.classification import num_correct as num_correct
    from zerotune.trainers.data import DataError as DataError
    from zerotune.trainers.data import Dataset as Dataset
    from zerotune.trainers.data import DataSource as DataSource
    from zerotune.trainers.data import as_split as as_split
    from zerotune.trainers.data import divide as divide
    from zerotune.trainers.loop import train as train
    from zerotune.trainers.optimizers import DATE as DATE
    from zerotune.trainers.optimizers import LAMB as LAMB
    from zerotune.trainers.optimizers import LARS as LARS
    from zerotune.trainers.optimizers import Layerwise as Layerwise
    from zerotune.trainers.optimizers import layerwise_groups as layerwise_groups
    from zerotune.trainers.scale_up import ScheduleLR as ScheduleLR
    from zerotune.trainers.scale_up import scale_up as scale_up
    from zerotune.trainers.schedules import build_schedule as build_schedule
    from zerotune.trainers.spec import Baseline as Baseline
    from zerotune.trainers.spec import OptimizerSpec as OptimizerSpec
    from zerotune.trainers.spec import Placement as Placement
    from zerotune.trainers.spec import ScheduleSpec as ScheduleSpec
    from zerotune.trainers.spec import TrainConfig as TrainConfig
    from zerotune.tuner.campaign.plan import plan_study as plan_study
    from zerotune.tuner.run.answer import read_answer as read_answer
    from zerotune.tuner.run.run import run_study as run_study
    from zerotune.tuner.study import Study as Study
    from zerotune.tuner.study import load_study as load_study

_MODULES = {
    name: f"zerotune.{module}"
    for module, names in {
        "trainers.applications": ("Application",),
        "trainers.applications.classification": ("cross_entropy", "num_correct"),
        "trainers.data": ("DataError", "Dataset", "DataSource", "as_split", "divide"),
        "trainers.loop": ("train",),
        "trainers.optimizers": ("DATE", "LAMB", "LARS", "Layerwise", "layerwise_groups"),
        "trainers.scale_up": ("ScheduleLR", "scale_up"),
        "trainers.schedules": ("build_schedule",),
        "trainers.spec": ("Baseline", "OptimizerSpec", "Placement", "ScheduleSpec", "TrainConfig"),
        "tuner.campaign.plan": ("plan_study",),
        "tuner.run.answer": ("read_answer",),
        "tuner.run.run": ("run_study",),
        "tuner.study": ("Study", "load_study"),
    }.items()
    for name in names
}
"""The module that each public name is imported from."""


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted((*_MODULES, "__version__"))
