"""Arguments and options that several commands share, and how they name a study and its store."""

import inspect
import os
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import wraps
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...trainers.child_process import PACKAGE
from ...trainers.cores import num_cores
from ...trainers.tabulated.names import TABLE_PREFIXES
from ..addresses import STORE, TRACKING_VARIABLE, redact
from ..errors import BadInput
from ..execution.ray.local_cluster import start_ahead
from ..run.command_text import format_command, format_options, format_places
from ..sanitize import print_note
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


def app_option(panel: str | None = None) -> Any:
    """Return the option `--app`, in a panel of the help."""
    text = (
        "Your own application: the Application called NAME in a Python file, or the layout of a table of past "
        "trainings, a YAML file."
    )
    return typer.Option("--app", metavar="FILE.py:NAME", help=text, rich_help_panel=panel)


StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="Study file (YAML), or name of a shipped study (zerotune list studies).")
]
StoredStudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="Name of a study in the store, study file or shipped study.")
]
StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store", metavar="DIR", help="Folder of the journals and the SQLite store.", show_default=str(STORE)
    ),
]
TrackingOption = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        metavar="URI",
        help="MLflow server or database to use instead of the SQLite store, e.g. http://127.0.0.1:5000. Without it, "
        f"the study file's; without that and --store, {TRACKING_VARIABLE}'s.",
    ),
]
AppOption = Annotated[str | None, app_option()]
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
AcceptOption = Annotated[
    bool,
    typer.Option(
        "--accept-changes",
        help="Go on though code, packages or data have changed since results were trained. The answer says so.",
    ),
]
AmendOption = Annotated[
    bool,
    typer.Option(
        "--amend",
        help="Go on with seeds, batch sizes, arms or trials that were added to a begun study. The answer says so.",
    ),
]
DriverOption = Annotated[
    DriverName,
    typer.Option(
        "--driver",
        help="Run trials on Ray workers, or serially in this process (for debugging). A table of past trainings is "
        "looked up in this process, whatever is named.",
    ),
]

_NAMES_TABLE = re.compile(rf"^application: *['\"]?({'|'.join(TABLE_PREFIXES)})", re.MULTILINE)
"""A study file's line that names a shipped table."""


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command for typer, with the fields of a dataclass as options where `command` takes that dataclass."""
    groups: dict[str, Any] = {}
    expanded = []
    for name, parameter in inspect.signature(command).parameters.items():
        if not is_dataclass(parameter.annotation):
            expanded.append(parameter.replace(kind=Parameter.KEYWORD_ONLY))
            continue
        groups[name] = parameter.annotation
        for field in fields(parameter.annotation):
            default = Parameter.empty if field.default is MISSING else field.default
            expanded.append(Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=field.type))

    @wraps(command)
    def run(**given: Any) -> None:
        options = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**options, **given)

    del run.__wrapped__  # typer would look for the options there
    run.__signature__ = inspect.Signature(expanded)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in expanded}
    return run


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The options of a command that trains: the study, where it is stored and where it runs.

    Raises:
        BadInput: the address of a cluster that would not be used.
    """

    study: StudyArgument
    store: StoreOption = None
    tracking_uri: TrackingOption = None
    address: AddressOption = None
    driver: DriverOption = DriverName.ray
    data_folder: DataOption = None
    app: AppOption = None

    def __post_init__(self) -> None:
        if self.address is not None and self.driver is DriverName.serial:
            raise BadInput("--address has no effect with --driver serial: leave one of them out")

    def start_cluster_early(self) -> AbstractContextManager[None]:
        """Start the local cluster, if one is needed, in the background while the rest is imported and checked."""
        if self.driver is DriverName.serial or self.address is not None or self._seems_to_train_nothing():
            return nullcontext()
        return start_ahead(num_cores())

    def _seems_to_train_nothing(self) -> bool:
        """Guess from the texts alone whether the application is a table; loading a study takes seconds of imports."""
        if self.app is not None and not self.app.partition(":")[0].endswith(".py"):
            return True
        shipped = PACKAGE / "studies" / f"{self.study}.yaml"
        with suppress(OSError, ValueError):
            path = Path(self.study) if Path(self.study).is_file() else shipped
            return bool(_NAMES_TABLE.search(path.read_text(encoding="utf-8")))
        return False

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
        return format_command(verb, self.study, {**(more or {}), **self._training_options()})

    def format_options(self) -> str:
        """Return the options of a command that trains another study alike, to be copied."""
        return format_options(self._training_options())

    def format_store_command(self, verb: str) -> str:
        """Return a command that reads or writes this study's store, to be copied."""
        return format_command(verb, self.study, self._store_options())

    def _training_options(self) -> Mapping[str, str | None]:
        how = {"--driver": self.driver.value, "--address": self.address, "--data": self.data_folder}
        return {**self._store_options(), **how}

    def _store_options(self) -> Mapping[str, str | None]:
        return {"--app": self.app, **format_places(self.store, self.tracking_uri)}


def tell_environment(uri: str, store: Path | None, tracking_uri: str | None) -> None:
    """Tell where a study is read from if that is because of the environment.

    Args:
        uri: address of the store.
        store, tracking_uri: the options.
    """
    if store is None and tracking_uri is None and uri == os.environ.get(TRACKING_VARIABLE):
        print_note(
            f"MLflow store: {redact(uri)}, named by {TRACKING_VARIABLE} (--store or --tracking-uri names another)"
        )


def load_named_study(study: str, app: str | None) -> "Study":
    """Load a study, by its file or shipped name, that may use the user's own application.

    Raises:
        BadInput: the study file or the application cannot be used, or the study uses another application.
    """
    name = register_user_application(app)
    from ..study import load_study

    definition = load_study(study)
    check_application_is_used(app, name, definition.application, f"study {definition.name!r}")
    return definition


def nameable_study(study: str) -> str | None:
    """Return what a command takes for a study that has a file or is shipped; None for a name in the store alone."""
    from ..study.loading import study_path

    try:
        study_path(study)
    except BadInput:
        return None
    return study


@dataclass(frozen=True, kw_only=True)
class StoredStudy:
    """The options of a command that reads a study from its store."""

    study: StoredStudyArgument
    store: StoreOption = None
    tracking_uri: TrackingOption = None
    app: AppOption = None

    def format_options(self) -> str:
        """Return the options that name the application and the store, to be copied."""
        return format_options({"--app": self.app, **format_places(self.store, self.tracking_uri)})

    def locate(self) -> tuple[str, str]:
        """Return the tracking URI and the name of the study, given its file, or its name if the file is gone.

        Raises:
            BadInput: as `tuner.run.answer.find_store_and_name`, or the application cannot be used.
        """
        self._register_application()
        from ..run.answer import find_store_and_name

        uri, name = find_store_and_name(self.study, self.store, self.tracking_uri)
        tell_environment(uri, self.store, self.tracking_uri)
        return uri, name

    @property
    def root(self) -> Path:
        """Folder of the local store and the studies' folders."""
        return self.store or STORE

    def find_journal(self, name: str) -> str | None:
        """Return the identity of the study's journal in the store's folder, or None if there is none."""
        from ..run.journal_lines import read_identity

        return read_identity(self.root / name / "journal.jsonl")

    def read_answer(self, *, with_epochs: bool = False) -> "Answer":
        """Read the study's answer as `zerotune.read_answer` does, after registering the user's application."""
        self.locate()
        from ..run.answer import read_answer

        return read_answer(self.study, store=self.store, tracking_uri=self.tracking_uri, with_epochs=with_epochs)

    def _register_application(self) -> None:
        """Register the user's application; refuse it if the study has a file that names another one."""
        name = register_user_application(self.app)
        if name is None:
            return
        from ..study import load_study

        try:
            definition = load_study(self.study)
        except BadInput:  # perhaps the name of a study whose file is gone; whoever reads the store finds out
            return
        check_application_is_used(self.app, name, definition.application, f"study {definition.name!r}")
