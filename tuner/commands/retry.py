"""The command `zerotune retry`."""

from typing import Annotated

import typer

from ..errors import BadInput
from ..run.command_text import STORE
from .options import (
    AddressOption,
    AppOption,
    DataOption,
    DriverName,
    DriverOption,
    StoreOption,
    StudyArgument,
    TrackingOption,
    TrainingOptions,
)
from .run import run_and_print


def retry(
    study: StudyArgument,
    failed: Annotated[bool, typer.Option("--failed", help="Retry the failed trials. Required.")] = False,
    store: StoreOption = STORE,
    tracking_uri: TrackingOption = None,
    address: AddressOption = None,
    driver: DriverOption = DriverName.ray,
    data_folder: DataOption = None,
    app: AppOption = None,
) -> None:
    """Run a study's failed trials again, then the trials that depend on them, and print the answer.

    Each trial starts from scratch. The cost of the failed attempts stays in the bill.

    For a regime search: zerotune regime STUDY --retry-failed.
    """
    if not failed:
        raise BadInput("retry: say which trials to retry: --failed")
    options = TrainingOptions(
        study=study,
        store=store,
        tracking_uri=tracking_uri,
        address=address,
        driver=driver,
        data_folder=data_folder,
        app=app,
    )
    run_and_print(options, options.format_command("retry") + " --failed", retry_failed=True)
