"""What several commands have in common: their arguments and options, and how these name a stored study."""

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
from ..run.command_text import format_command, format_report_command
from .user_application import check_application_is_used, register_user_application

if TYPE_CHECKING:
    from ..run.answer import Answer
    from ..run.options import RunOptions
    from ..study import Study


class Currency(StrEnum):
    """A cost axis; the names are those of `tuner.cost.CURRENCIES`."""

    trials = "trials"
    epochs = "epochs"
    iterations = "iterations"
    samples = "samples"
    flops = "flops"
    device_seconds = "device_seconds"
    modelled_joules = "modelled_joules"


class DriverName(StrEnum):
    """How trials are run."""

    ray = "ray"
    serial = "serial"


StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="A study file, or the name of a shipped study.")]
StoredStudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study file, or the name of a shipped study or of one in the store.")
]
StoreOption = Annotated[
    Path, typer.Option("--store", metavar="DIR", help="Folder of the local store and of the studies' journals.")
]
TrackingOption = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri", metavar="URI", help="MLflow server or database instead of the SQLite file in the store."
    ),
]
AppOption = Annotated[
    str | None,
    typer.Option("--app", metavar="FILE.py:NAME", help="Your own application: an Application in a file of Python."),
]
CostOption = Annotated[Currency, typer.Option(help="The cost axis.")]
DataOption = Annotated[
    str | None, typer.Option("--data", metavar="DIR", help="Folder with the data sets; overrides the study's.")
]
AddressOption = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="An existing Ray cluster: auto, HOST:PORT or ray://HOST:PORT."),
]
RetrainOption = Annotated[
    bool,
    typer.Option("--retrain", help="Train every trial by itself, taking over no result of an earlier training."),
]
DriverOption = Annotated[DriverName, typer.Option(help="serial runs the trials in this process, for debugging.")]


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What the commands that train are told of a study, where it lives and where it runs.

    Raises:
        BadInput: a cluster's address where no cluster is used.
    """

    study: str
    store: Path
    tracking_uri: str | None
    address: str | None
    driver: DriverName
    data_folder: str | None
    own: str | None

    def __post_init__(self) -> None:
        if self.address is not None and self.driver is DriverName.serial:
            raise BadInput("--address has no effect with --driver serial: leave one of them out")

    def start_cluster_early(self) -> AbstractContextManager[None]:
        """Inside, the local cluster that it will need is being started, on another core than all else."""
        if self.driver is DriverName.serial or self.address is not None:
            return nullcontext()
        return start_ahead(num_cores())

    def definition(self) -> "Study":
        """The study.

        Raises:
            BadInput: the study's file or the application cannot be used.
        """
        return load_named_study(self.study, self.own)

    def place(self) -> "RunOptions":
        """Where it lives and runs."""
        from ..run.options import RunOptions

        return RunOptions(
            store=self.store,
            tracking_uri=self.tracking_uri,
            driver=self.driver.value,
            address=self.address,
            data_folder=self.data_folder,
        )

    def command(self, verb: str, more: Mapping[str, str | None] | None = None) -> str:
        """A command for this study that trains, to be copied; `more` are options of its own."""
        how = {"--driver": self.driver.value, "--address": self.address, "--data": self.data_folder}
        return format_command(verb, self.study, {**(more or {}), **self._where(), **how})

    def store_command(self, verb: str) -> str:
        """A command for what the store has of this study, to be copied."""
        return format_command(verb, self.study, self._where())

    def _where(self) -> Mapping[str, str | None]:
        return {"--app": self.own, "--store": str(self.store), "--tracking-uri": self.tracking_uri}


def load_named_study(study: str, own: str | None) -> "Study":
    """The study, with the user's own application among those it may name.

    Raises:
        BadInput: the study's file or the application cannot be used.
    """
    name = register_user_application(own)
    from ..study import load_study

    definition = load_study(study)
    check_application_is_used(own, name, definition.application, f"study {definition.name!r}")
    return definition


def resolve_store(study: str, store: Path, tracking_uri: str | None, own: str | None) -> tuple[str, str]:
    """The MLflow store and the study's name, of a study file or of a bare name that needs no file any more.

    Raises:
        BadInput: the study's file cannot be used, or as `tuner.store.store_uri`.
    """
    from ..store import store_uri

    name = register_user_application(own)
    from ..study import load_study
    from ..study.fields import is_name

    try:
        definition = load_study(study)
    except BadInput:
        if not is_name(study):  # no study has such a name, and a report's folder would
            raise
        return store_uri(store, named=tracking_uri, in_study=None), study
    check_application_is_used(own, name, definition.application, f"study {definition.name!r}")
    return store_uri(store, named=tracking_uri, in_study=definition.tracking_uri), definition.name


def read_stored_answer(
    study: str, store: Path, tracking_uri: str | None, own: str | None, *, with_epochs: bool = False
) -> "Answer":
    """A study's answer, read from its store.

    Args:
        study: its file or its name.
        store: folder of the local store.
        tracking_uri: the MLflow store, where it is another.
        own: the user's own application, where it is one.
        with_epochs: also read the per-epoch metrics.
    """
    from ..run.answer import load_answer

    uri, name = resolve_store(study, store, tracking_uri, own)
    return load_answer(uri, name, with_epochs=with_epochs, command=format_report_command(uri, name, store))
