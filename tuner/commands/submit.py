"""`zerotune submit`: a study's driver runs on the cluster itself, so that the computer here can be switched off.

The job is sent the study's file and this package, and is `zerotune run` on the cluster's head, where the journal and
the store lie. Submitting the same study again goes on from its journal.
"""

import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult

import typer
from rich.console import Console

from ..addresses import has_credentials, redact, split_address
from ..errors import BadInput, StudyFailed
from .options import AppOption, RetrainOption, StudyArgument, load_named_study

RUN = "python -c 'from zerotune.tuner.cli import main; main()' run"
"""`zerotune run` where the package was shipped and not installed; in a job, Ray names its cluster in RAY_ADDRESS."""


def add_submit_command(app: typer.Typer, console: Console) -> None:
    """Adds the command to the program."""

    @app.command()
    def submit(
        study: StudyArgument,
        address: Annotated[
            str,
            typer.Option(metavar="URL", help="The cluster's dashboard, such as http://HEAD:8265.", show_default=False),
        ],
        store: Annotated[
            Path,
            typer.Option(
                metavar="DIR", help="Folder of the store on the cluster's head; absolute.", show_default=False
            ),
        ],
        tracking_uri: Annotated[
            str | None, typer.Option(metavar="URI", help="MLflow server or database, as seen from the cluster's head.")
        ] = None,
        data_folder: Annotated[
            str | None, typer.Option("--data", metavar="DIR", help="Folder with the data sets, on every machine.")
        ] = None,
        own: AppOption = None,
        retrain: RetrainOption = False,
        follow: Annotated[bool, typer.Option("--follow", help="Show what the job says until it ends.")] = False,
    ) -> None:
        """Run a study as a job of a Ray cluster, whatever becomes of this computer."""
        definition = load_named_study(study, own)
        _check(address, store, tracking_uri)
        from ..execution.ray.jobs import Jobs, ray_commands

        options = {"--store": str(store), "--tracking-uri": tracking_uri, "--data": data_folder}
        words = [word for option, value in options.items() if value is not None for word in (option, value)]
        jobs = Jobs(address)
        with tempfile.TemporaryDirectory(prefix="zerotune-submit-") as folder:
            words = [
                _copy_study(study, Path(folder)),
                "--address",
                "auto",
                *words,
                *_copy_application(own, Path(folder)),
            ]
            command = f"{RUN} {shlex.join(words)} --address $RAY_ADDRESS{' --retrain' if retrain else ''}"
            job = jobs.submit(command, Path(folder), name=f"zerotune-{definition.name}")
        console.print(
            f"Submitted {definition.name} as job {job}; its journal and store: {store} on the cluster's head."
        )
        for purpose, text in ray_commands(address, job):
            console.print(f"  {purpose}: {text}", soft_wrap=True)
        if follow:
            status = jobs.follow(job, lambda text: console.out(text, end=""))
            if status != "SUCCEEDED":
                raise StudyFailed(f"job {job} ended as {status}: submit the study again to go on from its journal")


def _check(address: str, store: Path, tracking_uri: str | None) -> None:
    if _split("--address", address).scheme not in ("http", "https"):
        raise BadInput(
            f"--address {redact(address)}: a job goes to the cluster's dashboard, http://HOST:8265. To drive the study "
            f"from here, use zerotune run --address {redact(address)}"
        )
    if not store.is_absolute():
        raise BadInput(f"--store {store}: must be absolute, since it is a folder on the cluster's head")
    if tracking_uri is None:
        return
    if has_credentials(tracking_uri):
        raise BadInput(
            "--tracking-uri: holds credentials, which everybody on the cluster could read in the job's command: leave "
            "them out, and set PGPASSWORD, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, where the "
            "cluster's head is started"
        )
    _split("--tracking-uri", tracking_uri)


def _split(option: str, uri: str) -> SplitResult:
    try:
        return split_address(uri)
    except ValueError:  # its text may hold a part of a password
        raise BadInput(f"{option} {redact(uri)}: its host or port is not one") from None


def _copy_study(study: str, folder: Path) -> str:
    from ..study import study_path

    path = study_path(study)
    shutil.copyfile(path, folder / path.name)
    return path.name


def _copy_application(own: str | None, folder: Path) -> list[str]:
    if own is None:
        return []
    file, _, name = own.rpartition(":")
    shutil.copyfile(file, folder / Path(file).name)
    return ["--app", f"{Path(file).name}:{name}"]
