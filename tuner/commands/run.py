"""The command `zerotune run`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..errors import BadInput
from ..run.command_text import format_path
from .interrupt import exit_on_interrupt
from .options import AcceptOption, AmendOption, RetrainOption, TrainingOptions, takes_options
from .output import FormatOption, OutputFormat, messages_of
from .prices import PricesOption, parse_prices
from .terminal import console, print_lines

if TYPE_CHECKING:
    from ..reports.answer import Answer

REPORT_FILES = ("report.html", "pareto_arms.html", "comparison.csv")
"""The files of a report that are named on the terminal."""


@takes_options
def run(
    options: TrainingOptions,
    prices: PricesOption = None,
    retrain: RetrainOption = False,
    accept_changes: AcceptOption = False,
    amend: AmendOption = False,
    format: FormatOption = OutputFormat.text,
) -> None:
    """Run a study, or resume it, and print the answer."""
    flags = {" --retrain": retrain, " --amend": amend}
    command = options.format_command("run", {"--prices": prices}) + "".join(flag for flag in flags if flags[flag])
    run_and_print(
        options, command, prices=prices, retrain=retrain, accept_changes=accept_changes, amend=amend, format=format
    )


def run_and_print(
    options: TrainingOptions,
    command: str,
    *,
    prices: str | None = None,
    retrain: bool = False,
    retry_failed: bool = False,
    accept_changes: bool = False,
    amend: bool = False,
    format: OutputFormat = OutputFormat.text,
) -> None:
    """Run a study, print its answer, and name the files of its report. `command` resumes it after an interruption.

    `prices` is the option's text; they are stored with the study in place of those in its file.

    Raises:
        BadInput: `retry_failed` or `amend` of a study that has not been run, or prices that cannot be read.
        ZerotuneError: as `tuner.run.run.run_study`.
    """
    stated = None if prices is None else parse_prices(prices)
    with messages_of(format), exit_on_interrupt(command, console), options.start_cluster_early():
        definition = options.load_study()  # before the imports below: a mistake in it is reported at once
        if stated is not None:
            definition = definition.model_copy(update={"prices": stated})
        from ..run.run import run_study

        run_options = options.run_options()
        if (retry_failed or amend) and not (run_options.folder(definition) / "journal.jsonl").exists():
            why = "nothing has failed" if retry_failed else "there is nothing to amend"
            raise BadInput(
                f"study {definition.name!r}: has not been run in the store {run_options.root}: {why}; run it first: "
                f"{options.format_command('run')}"
            )
        report = run_options.folder(definition) / "report"
        found = run_study(
            definition,
            **vars(run_options),
            retrain=retrain,
            retry_failed=retry_failed,
            accept_changes=accept_changes,
            amend=amend,
            show=console,
            command=command,
            amend_command=_format_amend(options, prices, retrain=retrain, accept_changes=accept_changes),
            retry_command=format_retry(options, prices),
            sync_command=options.format_store_command("sync"),
            on_answer=partial(_print_found, report=report, format=format),
        )
    if format is OutputFormat.json:
        from ..reports.tables.markup import report_json

        typer.echo(report_json(found), nl=False)
        return
    if found.is_stored:
        console.print("In MLflow:")
        print_lines([f"  {options.format_store_command('ui')}"])
    from ..reports.tables.terminal import print_next_steps

    print_next_steps(found, console, options.study, options.format_options())


def _print_found(found: "Answer", report: Path, format: OutputFormat) -> None:
    if format is OutputFormat.json:
        return
    from ..reports.tables.terminal import print_answer, print_caveats
    from ..reports.text.amendments import describe_amendments
    from ..reports.text.mixed_trainings import mixed_trainings
    from ..reports.text.searched_constants import searched_constants

    print_answer(found.comparison, console, found.missing)
    print_caveats((*describe_amendments(found), *mixed_trainings(found), *searched_constants(found)), console)
    console.print("\nFigures and tables:")
    print_lines(f"  {format_path(report / name)}" for name in REPORT_FILES)


def _format_amend(options: TrainingOptions, prices: str | None, *, retrain: bool, accept_changes: bool) -> str:
    """Return the command that amends a study, to be copied, with the options of the one that was refused."""
    flags = {" --retrain": retrain, " --accept-changes": accept_changes}
    command = options.format_command("run", {"--prices": prices})
    return f"{command}{''.join(flag for flag in flags if flags[flag])} --amend"


def format_retry(options: TrainingOptions, prices: str | None = None) -> str:
    """Return the command that runs the failed trials of a study again, to be copied."""
    return f"{options.format_command('retry', {'--prices': prices})} --failed"
