"""The command `zerotune export`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..errors import BadInput
from ..run.command_text import STORE, format_path
from .options import (
    AppOption,
    CostOption,
    Currency,
    StoredStudyArgument,
    StoreOption,
    TrackingOption,
    read_stored_answer,
)
from .terminal import print_lines


def export(
    study: StoredStudyArgument,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write to; created if missing.")],
    cost: CostOption = Currency.device_seconds,
    store: StoreOption = STORE,
    tracking_uri: TrackingOption = None,
    app: AppOption = None,
) -> None:
    """Write a study's report, its figures as HTML and images, and the tables behind them."""
    from ..reports.export import export as write_files

    found = read_stored_answer(study, store, tracking_uri, app, with_epochs=True)
    try:
        files = write_files(replace(found, cost=cost.value), to)
    except OSError as error:
        raise BadInput(f"--to {to}: cannot be written ({error.strerror}): name another folder") from None
    print_lines(format_path(file) for file in files)
