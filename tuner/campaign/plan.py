"""Plan a study: what it would do and its approximate cost, without training.

Trials, iterations, samples and FLOPs follow from the definition. Only the seconds are measured, with one step of the
model at every batch size on this machine's CPU. Nothing is downloaded: without the data, the plan leaves out what needs
them.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...trainers.applications import APPLICATIONS
from ...trainers.applications.registry import is_shipped
from ...trainers.data import DataError, Dataset
from ...trainers.flops_and_memory import seconds_per_sample, training_flops_per_sample
from ...trainers.spec import OptionValue
from ..analysis.selection import BASELINE
from ..errors import BadInput
from ..study import Study, load_study
from ..study.application_check import load_checked_data
from ..study.configure import MODEL
from ..study.search_space import middle
from ..study.searched import ranges_behind
from ..study.table_check import check_table
from .campaign import Campaign

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, kw_only=True)
class PlannedCell:
    """The planned trials and cost of an arm at a batch size, if no trial is pruned or diverges.

    Attributes:
        arm: its name.
        batch_size: samples per update.
        repeats: how often the search is run.
        search_trials: number of search trials, of all its repeats together.
        confirmation_trials: number of trainings of the chosen configurations.
        iterations, samples, flops: of the training in all its trials; FLOPs are None without the data, all of them if
            nothing is trained.
        seconds: seconds on one CPU core, estimated from one measured step; None without the data.
    """

    arm: str
    batch_size: int
    repeats: int
    search_trials: int
    confirmation_trials: int
    iterations: int | None
    samples: int | None
    flops: int | None
    seconds: float | None


class Plan(tuple[PlannedCell, ...]):
    """A study's planned cells, in the order in which their trials would be asked for."""

    remarks: tuple[str, ...] = ()
    """Remarks on the application: what changes what its numbers mean."""
    tabulated: bool = False
    """Whether trials are looked up in a table of past trainings, and nothing is trained."""

    @property
    def table(self) -> "DataFrame":
        """The plan as a pandas DataFrame, by batch size and arm: trials, iterations, samples, FLOPs and seconds."""
        from pandas import DataFrame  # takes half a second, so only on request

        return DataFrame([asdict(cell) for cell in self]).set_index(["batch_size", "arm"])

    def _repr_html_(self) -> str:
        return str(self.table.to_html(escape=True))


def plan_study(study: Study | str | Path, data_folder: str | None = None) -> Plan:
    """Return the trials and the estimated cost of every arm at every batch size, without training.

    Args:
        study: a definition, the path of a study file, or the name of a shipped study.
        data_folder: overrides the study's data folder.

    Raises:
        BadInput: the number of samples is known only from the data files, and these or a package to read them are
            missing.
    """
    study = study if isinstance(study, Study) else load_study(study)
    application = APPLICATIONS[study.application]
    data, num_train, remarks = _data_and_size(study, data_folder or study.data.folder)
    is_table = application.look_up is not None
    speeds: dict[object, float] = {}
    planned: dict[tuple[str, int], PlannedCell] = {}
    for cell in Campaign(study).cells:
        model_options = _typical_model(study, cell.arm)
        flops = None if data is None else training_flops_per_sample(application, data, model_options)
        speed = (cell.batch_size, *model_options.items())
        if data is not None and speed not in speeds:
            stated = study.recipe.micro_batch_size
            in_memory = min(cell.batch_size, stated if isinstance(stated, int) else cell.batch_size)
            speeds[speed] = seconds_per_sample(application, data, in_memory, model_options)
        repeats = cell.repeat + 1  # those of a search follow each other and are alike
        trials = repeats * cell.num_planned
        samples = trials * cell.epochs * num_train
        planned[cell.arm, cell.batch_size] = PlannedCell(
            arm=cell.arm,
            batch_size=cell.batch_size,
            repeats=repeats,
            search_trials=repeats * cell.num_search,
            confirmation_trials=repeats * len(cell.seeds),
            iterations=None if is_table else trials * -(-cell.epochs * num_train // cell.batch_size),
            samples=None if is_table else samples,
            flops=None if flops is None else samples * flops,
            seconds=None if data is None else samples * speeds[speed],
        )
    plan = Plan(planned.values())
    plan.remarks, plan.tabulated = (*remarks, *(() if is_table else _model_remarks(study))), is_table
    return plan


def _typical_model(study: Study, name: str) -> dict[str, OptionValue]:
    """Return the options of the model that an arm, or "baseline" or "ARM baseline", trains.

    Those that a search chooses are the ones in the middle of their ranges.
    """
    arm = next((arm for arm in study.arms if name in (arm.name, f"{arm.name} {BASELINE}")), None)
    ranges = ranges_behind(study, arm)
    fixed = arm.fixed if arm is not None else {}
    chosen = {key: middle(param) for key, param in ranges.items()} | dict(fixed)
    options = {key.removeprefix(MODEL): value for key, value in chosen.items() if key.startswith(MODEL)}
    return study.model_options(options)


def _model_remarks(study: Study) -> tuple[str, ...]:
    """Say which models the estimate is for, where a search chooses them."""
    arms = [None, *study.arms]
    names = [name for arm in arms for name in ranges_behind(study, arm) if name.startswith(MODEL)]
    if not names:
        return ()
    listed = ", ".join(dict.fromkeys(names))
    return (f"FLOPs and seconds are those of the models in the middle of the ranges of {listed}",)


def _data_and_size(study: Study, folder: str | None) -> tuple[Dataset | None, int, tuple[str, ...]]:
    """Return the data, or None if they or a package are missing; the number of training samples; remarks."""
    if APPLICATIONS[study.application].look_up is not None:
        return None, *check_table(study)
    if not is_shipped(study.application):
        own, remarks = load_checked_data(study, folder)
        return own, len(own.train), remarks
    application = APPLICATIONS[study.application]
    source = application.data_sources[study.data.source]
    missing = application.missing_packages()
    if source.num_train is not None and (missing or source.needs_download(folder)):
        return None, source.num_train, ()
    if missing:
        raise BadInput(f"application {study.application!r}: {missing[0]}")
    try:
        data = source.load(folder, **study.data_options())
    except DataError as error:
        if source.num_train is None:
            raise BadInput(f"data source {study.data.source!r}: {error}") from None
        return None, source.num_train, ()
    return data, len(data.train), ()
