"""Arguments and options that several commands share, and how they name a study and its store."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...trainers.cores import num_cores
from ..errors import BadInput
from ..execution.ray.local_cluster import start_ahead
from ..run.command_text import format_command
from .user_application import check_application_is_used, register_user_application

if TYPE_CHECKING:
    from ..reports.answer import Answer
    from ..run.options import RunOptions
    from ..study import Study


class Currency(StrEnum):
    """A cost axis. The names are those of `tuner.cost.CURRENCIES`."""

    trials = "trials"
    epochs = "epochs"
    iterations = "iterations"
    samples = "samples"
    flops = "flops"
    device_seconds = "device_seconds"
    modelled_joules = "modelled_joules"


class DriverName(StrEnum):
    """Where trials run."""

    ray = "ray"
    serial = "serial"


StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="Study file (YAML), or name of a shipped study (zerotune list studies).")
]
StoredStudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="Name of a study in the store, study file or shipped study.")
]
StoreOption = Annotated[
    Path, typer.Option("--store", metavar="DIR", help="Folder of the journals and the SQLite store.")
]
TrackingOption = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        metavar="URI",
        help="MLflow server or database to use instead of the SQLite store, e.g. http://127.0.0.1:5000.",
    ),
]
AppOption = Annotated[
    str | None,
    typer.Option(
        "--app", metavar="FILE.py:NAME", help="Your own application: the Application called NAME in a Python file."
    ),
]
CostOption = Annotated[
    Currency,
    typer.Option("--cost", metavar="AXIS", help=f"Cost axis: {', '.join(Currency)}."),
]
DataOption = Annotated[
    str | None,
    typer.Option("--data", metavar="DIR", help="Folder of the data sets; overrides the study's."),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        help="Existing Ray cluster: auto, HOST:PORT or ray://HOST:PORT. Without it, one is started on this machine.",
    ),
]
RetrainOption = Annotated[
    bool, typer.Option("--retrain", help="Train every trial; reuse no results of earlier trainings.")
]
DriverOption = Annotated[
    DriverName, typer.Option("--driver", help="Run trials on Ray workers, or serially in this process (for debugging).")
]


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The options of a command that trains: the study, where it is stored and where it runs.

    Attributes:
        study: a study file, or the name of a shipped study.
        store: folder of the local store and the journals.
        tracking_uri: the MLflow store, or None for the SQLite file in `store`.
        address: an existing Ray cluster, or None for a local one.
        driver: where trials run.
        data_folder: overrides the study's data folder.
        app: FILE.py:NAME of the user's own application, or None.

    Raises:
        BadInput: the address of a cluster that would not be used.
    """

    study: str
    store: Path
    tracking_uri: str | None
    address: str | None
    driver: DriverName
    data_folder: str | None
    app: str | None

    def __post_init__(self) -> None:
        if self.address is not None and self.driver is DriverName.serial:
            raise BadInput("--address has no effect with --driver serial: leave one of them out")

    def start_cluster_early(self) -> AbstractContextManager[None]:
        """Start the local cluster, if one is needed, in the background while the rest is imported and checked."""
        if self.driver is DriverName.serial or self.address is not None:
            return nullcontext()
        return start_ahead(num_cores())

    def load_study(self) -> "Study":
        """Load the study.

        Raises:
            BadInput: the study file or the application cannot be used.
        """
        return load_named_study(self.study, self.app)

    def run_options(self) -> "RunOptions":
        """Return where the study is stored and where it runs."""
        from ..run.options import RunOptions

        return RunOptions(
            store=self.store,
            tracking_uri=self.tracking_uri,
            driver=self.driver.value,
            address=self.address,
            data_folder=self.data_folder,
        )

    def format_command(self, verb: str, more: Mapping[str, str | None] | None = None) -> str:
        """Return a command that trains this study, to be copied. `more` holds options of that command alone."""
        how = {"--driver": self.driver.value, "--address": self.address, "--data": self.data_folder}
        return format_command(verb, self.study, {**(more or {}), **self._store_options(), **how})

    def format_store_command(self, verb: str) -> str:
        """Return a command that reads or writes this study's store, to be copied."""
        return format_command(verb, self.study, self._store_options())

    def _store_options(self) -> Mapping[str, str | None]:
        return {"--app": self.app, "--store": str(self.store), "--tracking-uri": self.tracking_uri}


def load_named_study(study: str, app: str | None) -> "Study":
    """Load a study that may use the user's own application.

    Args:
        study: a study file, or the name of a shipped study.
        app: FILE.py:NAME, or None.

    Raises:
        BadInput: the study file or the application cannot be used, or the study uses another application.
    """
    name = register_user_application(app)
    from ..study import load_study

    definition = load_study(study)
    check_application_is_used(app, name, definition.application, f"study {definition.name!r}")
    return definition


def read_stored_answer(
    study: str, store: Path, tracking_uri: str | None, app: str | None, *, with_epochs: bool = False
) -> "Answer":
    """Read a study's answer from its store, as `zerotune.read_answer` does, after registering the user's application.

    Args:
        study: its file or its name.
        store: folder of the local store.
        tracking_uri: the MLflow store, or None for the one in the study file or the SQLite file in `store`.
        app: FILE.py:NAME of the user's own application, or None.
        with_epochs: read the metrics of every epoch too.
    """
    register_application_of(study, app)
    from ..run.answer import read_answer

    return read_answer(study, store=store, tracking_uri=tracking_uri, with_epochs=with_epochs)


def register_application_of(study: str, app: str | None) -> None:
    """Register the user's application; refuse it if the study has a file that names another one."""
    name = register_user_application(app)
    if name is None:
        return
    from ..study import load_study

    try:
        definition = load_study(study)
    except BadInput:  # perhaps the name of a study whose file is gone; whoever reads the store finds out
        return
    check_application_is_used(app, name, definition.application, f"study {definition.name!r}")
