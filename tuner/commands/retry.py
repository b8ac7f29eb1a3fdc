"""The command `zerotune retry`."""

from typing import Annotated

import typer

from ..errors import BadInput
from .options import AcceptOption, TrainingOptions, takes_options
from .output import FormatOption, OutputFormat
from .prices import PricesOption
from .run import format_retry, run_and_print


@takes_options
def retry(
    *,
    failed: Annotated[bool, typer.Option("--failed", help="Retry the failed trials. Required.")] = False,
    options: TrainingOptions,
    prices: PricesOption = None,
    accept_changes: AcceptOption = False,
    format: FormatOption = OutputFormat.text,
) -> None:
    """Run a study's failed trials again, then the trials that depend on them, and print the answer.

    Each trial starts from scratch. The cost of the failed attempts stays in the bill.

    For a regime search: zerotune regime STUDY --retry-failed.
    """
    if not failed:
        raise BadInput("retry: say which trials to retry: --failed")
    command = format_retry(options, prices)
    run_and_print(options, command, prices=prices, retry_failed=True, accept_changes=accept_changes, format=format)
