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
from ..errors import BadInput
from ..study import Study, load_study
from ..study.application_check import load_checked_data
from ..study.table_check import check_table
from .campaign import Campaign

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, kw_only=True)
class PlannedCell:
    """The planned trials and cost of an arm at a batch size, if no trial is pruned or diverges.

    Attributes:
        arm: its name; "ARM repeat" for a repeated search.
        batch_size: samples per update.
        search_trials: number of search trials.
        confirmation_trials: number of trainings of the chosen configuration.
        iterations, samples, flops: of the training in all its trials; FLOPs are None without the data, all of them if
            nothing is trained.
        seconds: seconds on one CPU core, estimated from one measured step; None without the data.
    """

    arm: str
    batch_size: int
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
    model_options = study.model_options()
    data, num_train, remarks = _data_and_size(study, data_folder or study.data.folder)
    is_table = application.look_up is not None
    flops = None if data is None else training_flops_per_sample(application, data, model_options)
    speeds: dict[int, float] = {}
    cells = []
    for cell in Campaign(study).cells:
        if data is not None and cell.batch_size not in speeds:
            stated = study.recipe.micro_batch_size
            in_memory = min(cell.batch_size, stated if isinstance(stated, int) else cell.batch_size)
            speeds[cell.batch_size] = seconds_per_sample(application, data, in_memory, model_options)
        samples = cell.num_planned * cell.epochs * num_train
        cells.append(
            PlannedCell(
                arm=f"{cell.arm} repeat" if cell.role == "repeat" else cell.arm,
                batch_size=cell.batch_size,
                search_trials=cell.num_search,
                confirmation_trials=len(cell.seeds),
                iterations=None if is_table else cell.num_planned * -(-cell.epochs * num_train // cell.batch_size),
                samples=None if is_table else samples,
                flops=None if flops is None else samples * flops,
                seconds=None if data is None else samples * speeds[cell.batch_size],
            )
        )
    plan = Plan(cells)
    plan.remarks, plan.tabulated = remarks, is_table
    return plan


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
