"""The command `zerotune submit`: run a study as a job on the cluster itself, so that this computer can be switched off.

The job receives the study file and this package, and runs `zerotune run` on the cluster's head node, where the journal
and the store are kept. Submitting the same study again resumes it from its journal.
"""

import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult

import typer

from ..addresses import has_credentials, redact, split_address
from ..errors import BadInput, StudyFailed
from .options import AcceptOption, AmendOption, AppOption, RetrainOption, StudyArgument, load_named_study
from .terminal import console, print_lines

RUN = "python -m zerotune run"
"""`zerotune run` where the package was shipped, not installed. In a job, Ray names its cluster in RAY_ADDRESS."""


def submit(
    study: StudyArgument,
    address: Annotated[
        str,
        typer.Option(metavar="URL", help="Ray dashboard of the cluster, e.g. http://HEAD:8265.", show_default=False),
    ],
    store: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Folder of the journals and the SQLite store on the head node; an absolute path.",
            show_default=False,
        ),
    ],
    tracking_uri: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="MLflow server or database to use instead of the SQLite store, reachable from the head node.",
        ),
    ] = None,
    data_folder: Annotated[
        str | None, typer.Option("--data", metavar="DIR", help="Folder of the data sets on every machine.")
    ] = None,
    app: AppOption = None,
    retrain: RetrainOption = False,
    accept_changes: AcceptOption = False,
    amend: AmendOption = False,
    follow: Annotated[bool, typer.Option("--follow", help="Print the job's output until it ends.")] = False,
) -> None:
    """Run a study as a job of a Ray cluster; this computer may be switched off."""
    definition = load_named_study(study, app)
    _check(address, store, tracking_uri)
    from ..execution.ray.jobs import Jobs, ray_commands

    jobs = Jobs(address)
    options = {"--store": str(store), "--tracking-uri": tracking_uri, "--data": data_folder}
    arguments = ["--address", "auto"]
    arguments += [part for option, value in options.items() if value is not None for part in (option, value)]
    with tempfile.TemporaryDirectory(prefix="zerotune-submit-") as name:
        folder = Path(name)
        arguments = [_copy_study(study, folder), *arguments, *_copy_application(app, folder)]
        command = f"{RUN} {shlex.join(arguments)} --address $RAY_ADDRESS{' --retrain' if retrain else ''}"
        command += " --accept-changes" if accept_changes else ""
        command += " --amend" if amend else ""
        job = jobs.submit(command, folder, name=f"zerotune-{definition.name}")
    console.print(
        f"Submitted {definition.name} as job {job}. Its journal and store are in {store} on the cluster's head node."
    )
    print_lines(f"  {purpose}: {text}" for purpose, text in ray_commands(address, job))
    if follow:
        status = jobs.follow(job, lambda text: console.out(text, end=""))
        if status != "SUCCEEDED":
            raise StudyFailed(f"job {job} ended as {status}: submit the study again to resume it from its journal")


def _check(address: str, store: Path, tracking_uri: str | None) -> None:
    """Raise BadInput where an option cannot be used, before anything is sent."""
    if _split("--address", address).scheme not in ("http", "https"):
        raise BadInput(
            f"--address {redact(address)}: a job goes to the cluster's dashboard, http://HOST:8265. To drive the study "
            f"from here, use zerotune run --address {redact(address)}"
        )
    if not store.is_absolute():
        raise BadInput(f"--store {store}: must be absolute, since it is a folder on the cluster's head node")
    if tracking_uri is None:
        return
    if has_credentials(tracking_uri):
        raise BadInput(
            "--tracking-uri: holds credentials, which everybody on the cluster could read in the job's command. Leave "
            "them out, and set PGPASSWORD, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, where the "
            "cluster's head node is started"
        )
    _split("--tracking-uri", tracking_uri)


def _split(option: str, uri: str) -> SplitResult:
    try:
        return split_address(uri)
    except ValueError:  # its text may hold a part of a password
        raise BadInput(f"{option} {redact(uri)}: its host or port is not one") from None


def _copy_study(study: str, folder: Path) -> str:
    """Copy the study file into a folder, and return its name there."""
    from ..study import study_path

    path = study_path(study)
    shutil.copyfile(path, folder / path.name)
    return path.name


def _copy_application(app: str | None, folder: Path) -> list[str]:
    """Copy the application's file into a folder, and return the option that names it there."""
    if app is None:
        return []
    file, _, name = app.rpartition(":")
    shutil.copyfile(file, folder / Path(file).name)
    return ["--app", f"{Path(file).name}:{name}"]
