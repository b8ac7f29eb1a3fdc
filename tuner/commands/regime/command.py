"""The command `zerotune regime`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import BadInput
from ...run.command_text import format_path
from ..interrupt import exit_on_interrupt
from ..options import AcceptOption, RetrainOption, TrainingOptions, takes_options
from ..output import FormatOption, OutputFormat, messages_of, print_json
from ..terminal import console, print_lines

if TYPE_CHECKING:
    from .verdict import Regime

SEARCH = "Search"
REPORT_FILES = ("regime.html", "regime.png", "regime.csv", "regime.json")


@takes_options
def regime(
    options: TrainingOptions,
    first: Annotated[
        int | None,
        typer.Option(
            "--from",
            metavar="B",
            help="Smallest batch size to try. Default: twice that of the baseline.",
            rich_help_panel=SEARCH,
        ),
    ] = None,
    last: Annotated[
        int | None,
        typer.Option(
            "--to", metavar="B", help="Largest batch size to try. Default: the full batch.", rich_help_panel=SEARCH
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check",
            help="Also try one batch size above each boundary, since bisection assumes a single boundary.",
            rich_help_panel=SEARCH,
        ),
    ] = True,
    budget_trials: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Stop after N trainings.", rich_help_panel=SEARCH)
    ] = None,
    retrain: RetrainOption = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run the failed trainings of an earlier search again first.")
    ] = False,
    accept_changes: AcceptOption = False,
    format: FormatOption = OutputFormat.text,
) -> None:
    """Find the batch sizes from which a batch is large, huge and full, by bisection over powers of two.

    Large: linear scaling no longer keeps the baseline's score and 1.2 times its loss.

    Huge: no method of the study keeps the score in the same number of epochs.

    Full: all training samples (LIMIT, arXiv 2006.08517, Definitions 2.1 to 2.3).
    """
    limits = {"--from": first, "--to": last, "--budget-trials": budget_trials}
    command = options.format_command("regime", {name: None if n is None else str(n) for name, n in limits.items()})
    command += ("" if check else " --no-check") + (" --retrain" if retrain else "")
    command += " --retry-failed" if retry_failed else ""
    with messages_of(format), exit_on_interrupt(command, console), options.start_cluster_early():
        from .run import SearchRange, find_regime, regime_folder

        definition, run_options = options.load_study(), options.run_options()
        if retry_failed and not (regime_folder(definition, run_options) / "journal.jsonl").exists():
            raise BadInput(
                f"--retry-failed: no regime search of study {definition.name!r} in the store {run_options.root}: "
                "nothing has failed; leave it out"
            )
        search_range = SearchRange(first=first, last=last, check=check, max_trainings=budget_trials)
        report = regime_folder(definition, run_options) / "report"
        found = find_regime(
            definition,
            run_options,
            search_range,
            console,
            retrain=retrain,
            retry_failed=retry_failed,
            accept_changes=accept_changes,
            resume_command=command,
            on_found=partial(_print_found, report=report, format=format),
        )
    if format is OutputFormat.json:
        from .export import regime_as_json

        print_json("regime", regime_as_json(found))


def _print_found(found: "Regime", report: Path, format: OutputFormat) -> None:
    if format is OutputFormat.json:
        return
    from .text import print_regime

    print_regime(found, console)
    console.print("\nFigure and numbers:")
    print_lines(f"  {format_path(report / file)}" for file in REPORT_FILES if (report / file).is_file())
