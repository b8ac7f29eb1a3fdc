"""The command `zerotune run`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BadInput
from ..run.command_text import format_path
from .interrupt import exit_on_interrupt
from .options import AcceptOption, RetrainOption, TrainingOptions, takes_options
from .terminal import console, print_lines

if TYPE_CHECKING:
    from ..reports.answer import Answer

REPORT_FILES = ("report.html", "pareto_arms.html", "comparison.csv")
"""The files of a report that are named on the terminal."""


@takes_options
def run(options: TrainingOptions, retrain: RetrainOption = False, accept_changes: AcceptOption = False) -> None:
    """Run a study, or resume it, and print the answer."""
    command = options.format_command("run") + (" --retrain" if retrain else "")
    run_and_print(options, command, retrain=retrain, accept_changes=accept_changes)


def run_and_print(
    options: TrainingOptions,
    command: str,
    *,
    retrain: bool = False,
    retry_failed: bool = False,
    accept_changes: bool = False,
) -> None:
    """Run a study, print its answer, and name the files of its report. `command` resumes it after an interruption.

    Raises:
        BadInput: `retry_failed` of a study that has not been run.
        ZerotuneError: as `tuner.run.run.run_study`.
    """
    with exit_on_interrupt(command, console), options.start_cluster_early():
        definition = options.load_study()  # before the imports below: a mistake in it is reported at once
        from ..run.run import run_study

        run_options = options.run_options()
        if retry_failed and not (run_options.folder(definition) / "journal.jsonl").exists():
            raise BadInput(
                f"study {definition.name!r}: has not been run in the store {run_options.root}: nothing has failed; run "
                f"it first: {options.format_command('run')}"
            )
        found = run_study(
            definition,
            **vars(run_options),
            retrain=retrain,
            retry_failed=retry_failed,
            accept_changes=accept_changes,
            show=console,
            command=command,
            retry_command=format_retry(options),
            sync_command=options.format_store_command("sync"),
            on_answer=partial(_print_found, report=run_options.folder(definition) / "report"),
        )
    if found.is_stored:
        console.print("In MLflow:")
        print_lines([f"  {options.format_store_command('ui')}"])


def _print_found(found: "Answer", report: Path) -> None:
    from ..reports.tables.terminal import print_answer, print_caveats
    from ..reports.text.mixed_trainings import mixed_trainings

    print_answer(found.comparison, console, found.missing)
    print_caveats(mixed_trainings(found), console)
    console.print("\nFigures and tables:")
    print_lines(f"  {format_path(report / name)}" for name in REPORT_FILES)


def format_retry(options: TrainingOptions) -> str:
    """Return the command that runs the failed trials of a study again, to be copied."""
    return f"{options.format_command('retry')} --failed"
