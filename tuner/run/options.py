"""Run options: where a study is stored and where its trials run.

This module must not know how a run uses them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from ...trainers.applications import APPLICATIONS
from ...trainers.applications.registry import application_file, is_shipped
from ...trainers.data import DataError
from ...trainers.data.data_folder import located_folders
from ...trainers.data.identity import OWN, content_identity, folder_identity
from ..addresses import STORE
from ..errors import BadInput
from ..execution.preflight import Workload
from ..execution.trial_runner import Execution
from ..store import is_by_environment, store_uri
from ..study import Study, size_problems
from ..study.application_check import load_checked_data
from ..study.table_check import check_table
from .command_text import format_places

Driver = Literal["ray", "serial"]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a study is stored and runs.

    Attributes:
        store: folder of the local store, or None for the default one; the journal is in the subfolder named after the
            study.
        tracking_uri: the MLflow store, or None to let `tuner.store.store_uri` choose it.
        driver: "ray" or "serial".
        address: an existing Ray cluster, or None to start a local one.
        data_folder: overrides the study's data folder.
    """

    store: Path | None = None
    tracking_uri: str | None = None
    driver: Driver = "ray"
    address: str | None = None
    data_folder: str | None = None

    def uri(self, study: Study) -> str:
        """Return the address of a study's MLflow store.

        Raises:
            BadInput: `tuner.store.store_uri` refuses the address.
        """
        return store_uri(self.store, named=self.tracking_uri, in_study=study.tracking_uri)

    def is_by_environment(self, study: Study) -> bool:
        """Return whether the environment alone names the MLflow store."""
        return is_by_environment(self.store, named=self.tracking_uri, in_study=study.tracking_uri)

    @property
    def root(self) -> Path:
        """Folder of the local store and the studies' folders."""
        return self.store or STORE

    def places(self) -> dict[str, str | None]:
        """Return the command-line options that say where the study is stored."""
        return format_places(self.store, self.tracking_uri)

    def folder(self, study: Study) -> Path:
        """Return the study's own folder: journal, lock, checkpoints, figures."""
        return self.root / study.name

    def data(self, study: Study) -> str | None:
        """Return the folder of the study's data, absolute, because workers have another working directory."""
        folder = self.data_folder or study.data.folder
        return None if folder is None else str(Path(folder).resolve())


class CheckedWorkload(NamedTuple):
    """The number of training samples, the identity of the data or None, and remarks on a user application."""

    num_train: int
    data: str | None
    remarks: tuple[str, ...] = ()


def check_workload(study: Study, folder: str | None) -> CheckedWorkload:
    """Check before the first trial that the application's packages are installed and its data are available.

    User applications also get a sanity check on the data.

    Raises:
        BadInput: a package or the data are missing, or a batch size exceeds the number of training samples.
    """
    application = APPLICATIONS[study.application]
    remarks: tuple[str, ...] = ()
    if application.look_up is not None:
        num_train, remarks = check_table(study)
        return _check_size(study, CheckedWorkload(num_train, OWN, remarks))
    for sentence in application.missing_packages():
        raise BadInput(f"application {study.application!r}: {sentence}")
    try:
        if is_shipped(study.application):
            with located_folders() as located:
                num_train = application.data_sources[study.data.source].count(folder, study.data_options())
            identity = folder_identity(folder, located)
        else:
            data, remarks = load_checked_data(study, folder)
            num_train, identity = len(data.train), content_identity(data)
    except DataError as error:
        raise BadInput(f"data source {study.data.source!r}: {error}") from None
    return _check_size(study, CheckedWorkload(num_train, identity, remarks))


def _check_size(study: Study, found: CheckedWorkload) -> CheckedWorkload:
    for where, message in size_problems(study, found.num_train):
        raise BadInput(f"study {study.name!r}: {'.'.join(map(str, where))}: {message}")
    return found


def build_execution(study: Study, options: RunOptions) -> Execution:
    """Build the execution settings of a study: where and how its trials run."""
    return Execution(
        cpus_per_trial=study.resources.cpus_per_trial,
        gpus_per_trial=study.resources.gpus_per_trial,
        workers_per_trial=study.resources.workers_per_trial,
        max_concurrent=study.resources.max_concurrent,
        data_folder=options.data(study),
        checkpoints=options.folder(study).resolve() / "checkpoints",
        address=options.address,
        application=application_file(study.application),
        packing=study.resources.packing,
        workload=Workload(
            application=study.application, data_source=study.data.source, data_options=study.data_options()
        ),
        time_limit=study.resources.time_limit,
    )
