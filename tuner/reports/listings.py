"""Terminal tables of what there is and of what a study would do."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tuner.listing import Listing
from tuner.plan import PlannedCell
from tuner.progress import duration
from tuner.reports.wording import counted
from tuner.study import Study


def print_listing(listing: Listing, console: Console) -> None:
    """Prints a table of entries."""
    columns, rows = listing
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table, markup=False)


def print_plan(study: Study, cells: Sequence[PlannedCell], console: Console) -> None:
    """Prints what a study would do, an arm and batch size a line."""
    console.print(f"{study.name}: {study.question}" if study.question else study.name, style="bold")
    console.print(
        f"{study.application} on {study.data.source}, {study.epochs} epochs a trial, "
        f"{counted(len(study.seeds), 'seed')} a confirmation, reference arm {study.reference}\n"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("arm")
    for column in ("batch", "search trials", "confirmations", "iterations", "PFLOPs", "core time"):
        table.add_column(column, justify="right")
    for cell in cells:
        table.add_row(
            cell.arm,
            f"{cell.batch_size:,}",
            str(cell.search_trials),
            str(cell.confirmation_trials),
            f"{cell.iterations:,}",
            "-" if cell.flops is None else f"{cell.flops / 1e15:.3g}",
            "-" if cell.seconds is None else duration(cell.seconds),
        )
    console.print(table)
    trials = sum(cell.search_trials + cell.confirmation_trials for cell in cells)
    seconds = [cell.seconds for cell in cells if cell.seconds is not None]
    if seconds:
        estimate = f"about {duration(sum(seconds))} of one CPU core like this machine's, by a measured step"
    else:
        estimate = "no time estimate: the data are not there to measure a step with"
    console.print(f"\n{counted(trials, 'trial')} in all; {estimate}.")
    budget = study.budget
    if budget.trials is not None:
        console.print(f"Searching stops after {counted(budget.trials, 'search trial')} (budget.trials).")
    if budget.device_seconds is not None:
        console.print(
            f"Searching stops after {duration(budget.device_seconds)} of device time (budget.device_seconds)."
        )
