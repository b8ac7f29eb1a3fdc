"""The command `zerotune export`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..run.command_text import format_path
from .options import CostOption, Currency, StoredStudy, takes_options
from .prices import PricesOption, at_prices
from .terminal import print_lines, refuse_unwritable


@takes_options
def export(
    *,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write to; created if missing.")],
    cost: CostOption = Currency.device_seconds,
    prices: PricesOption = None,
    stored: StoredStudy,
) -> None:
    """Write a study's report, its figures as HTML and images, and the tables behind them."""
    from ..reports.export import export as write_files

    found = at_prices(stored.read_answer(with_epochs=True), prices)
    with refuse_unwritable(to):
        files = write_files(replace(found, cost=cost.value), to)
    print_lines(format_path(file) for file in files)
