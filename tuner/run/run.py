"""Run a study. This is the only module that knows all parts.

study -> campaign -> driver -> journal -> store -> answer. A `tuner.run.recorder.RecordingAgenda` stands between the
driver and the campaign.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from ...trainers.applications import APPLICATIONS
from ..analysis.provenance import Origin, collect_provenance, training_provenance
from ..campaign.campaign import Campaign
from ..errors import StudyChanged, StudyFailed
from ..execution.ray.local_cluster import start_ahead
from ..execution.serial import run_serial
from ..execution.trial_runner import Execution
from ..reports.text.format import pluralize
from ..sanitize import sanitize_console
from ..store import Writer, redact
from ..study import Study, describe_changes, load_study
from ..trial import Agenda, TrialResult
from .answer import Answer, build_answer, make_store_opener, report_store_state, stored_definition, write_answer
from .command_text import STORE, format_command, format_report_command
from .dry_run import DryRun, dry_run, find_failed_trials
from .journal import Journal
from .options import Driver, RunOptions, build_execution, check_workload
from .progress_display import ProgressDisplay
from .recorder import RecordingAgenda
from .reuse import ResultReuse, find_reusable_results


def open_session(study: Study, journal: Journal, session: Mapping[str, str]) -> None:
    """Start a new journal, or check that an existing one belongs to the same study.

    Args:
        study: the definition.
        journal: its journal, new or existing.
        session: provenance of the current session.

    Raises:
        StudyChanged: the definitions differ; the message shows the differences.
    """
    if not journal.content.definition:
        journal.start_study(study.content(), session)
        return
    check_definition(study, journal)
    journal.resume(session)


def check_definition(study: Study, journal: Journal) -> None:
    """Check that an existing journal belongs to this study.

    Raises:
        StudyChanged: the definitions differ; the message shows the differences.
    """
    changes = describe_changes(dict(journal.content.definition), study.content())
    if changes:
        raise StudyChanged(
            f"study {study.name!r} was begun with another definition:\n"
            + "\n".join(f"  {line}" for line in changes)
            + f"\nChange it back to resume it, give it another name, or move {journal.path.parent} away to start anew."
        )


def warn_about_damage(journal: Journal, console: Console) -> None:
    """Warn about unreadable journal lines."""
    if damaged := journal.content.unreadable_lines:
        console.print(f"{journal.path}: {damaged} damaged lines skipped; what they held runs again", style="yellow")


def stored_definition_of(study: Study) -> dict[str, Any]:
    """Return the resolved study in stored form."""
    application = APPLICATIONS[study.application]
    return stored_definition(study, metric=application.metric, higher_is_better=application.higher_is_better)


def format_sync_command(study: Study, options: RunOptions) -> str:
    """Format the command that writes a study's journal to its store, without passwords."""
    return format_command("sync", study.name, {"--store": str(options.store), "--tracking-uri": options.tracking_uri})


def run_study(
    study: Study | str | Path,
    *,
    store: str | Path = STORE,
    tracking_uri: str | None = None,
    driver: Driver = "ray",
    address: str | None = None,
    data_folder: str | None = None,
    retrain: bool = False,
    retry_failed: bool = False,
    show: bool | Console = False,
    sync_command: str | None = None,
) -> Answer:
    """Run the missing trials of a study and return its answer.

    Results are saved as they arrive. An interrupted study resumes where it stopped, and a complete one trains nothing.
    If the store does not answer, the study continues and the answer is built from the study's journal.

    >>> answer = run_study("quickstart", driver="serial")  # doctest: +SKIP
    >>> answer.table[["test_score", "verdict"]]  # doctest: +SKIP

    Args:
        study: a definition, the path of a study file, or the name of a shipped study.
        store: folder of the local store and of the studies' journals; created if missing.
        tracking_uri: MLflow server or database; None for the one that the study names, or the SQLite file in `store`.
        driver: "ray" runs trials on worker processes of a cluster; "serial" runs them in this process.
        address: an existing Ray cluster (auto, HOST:PORT or ray://HOST:PORT); None for one on this machine.
        data_folder: overrides the study's data folder.
        retrain: train every trial without reusing earlier results.
        retry_failed: run the failed trials again.
        show: True shows progress on the terminal, a `rich.console.Console` shows it there, False prints nothing.
        sync_command: the command to suggest if results are missing from the store; None for `zerotune sync NAME`.

    Returns:
        The answer. Its `is_stored` is False if the store did not accept all of it.

    Raises:
        BadInput: the study, the data or an argument is invalid, or the study was started with another definition.
        StudyFailed: every trial failed.
        StudyLocked: another process is running this study.
        Unreachable: the cluster does not answer, or the connection was lost.
        KeyboardInterrupt: the user stopped the study; the same call resumes it.
    """
    study = study if isinstance(study, Study) else load_study(str(study))
    options = RunOptions(
        store=Path(store), tracking_uri=tracking_uri, driver=driver, address=address, data_folder=data_folder
    )
    console = show if isinstance(show, Console) else _new_console(quiet=not show)
    uri, execution = options.uri(study), build_execution(study, options)
    _, data = check_workload(study, execution.data_folder)
    application = APPLICATIONS[study.application]
    with closing(Journal(options.folder(study))) as journal, ExitStack() as ready:
        session = {**collect_provenance(), **training_provenance(study, data)}
        open_session(study, journal, session)
        warn_about_damage(journal, console)
        known = journal.content.results
        new_campaign = partial(Campaign, study, known, journal.content.first_failures)
        if retry_failed:
            console.print(retry_failed_trials(new_campaign(), study.name, journal, execution.checkpoints))
        reusable = (
            None
            if retrain
            else find_reusable_results(study, options.store, session, on_a_cluster=bool(options.address))
        )
        # A dry run uses up the proposals of a campaign's methods, so it gets its own campaign. Without known or
        # reusable results there is nothing to find, so it is skipped.
        first_steps = DryRun(num_reused=0, is_complete=False)
        if known or reusable:
            first_steps = dry_run(new_campaign(), journal.content, reusable)
        driver = choose_driver(first_steps, options)
        ready.enter_context(starting_cluster(execution, driver))
        open_store = make_store_opener(study, uri, stored_definition_of(study), journal.content.sessions)
        tell = partial(report_store_state, console, sync_command or format_sync_command(study, options))
        writer = Writer(open_store, known.values(), tell)
        campaign = new_campaign()
        planned: dict[tuple[str, int], int] = {}
        for cell in campaign.cells:
            planned[cell.arm, cell.batch_size] = planned.get((cell.arm, cell.batch_size), 0) + cell.num_planned
        num_done = len(known) - len(journal.content.retried)
        console.print(Text(format_opening(study, options, sum(planned.values()), num_done, first_steps.num_reused)))
        writer.start()
        try:
            with ProgressDisplay(
                console, list(planned.items()), metric=application.metric, higher_is_better=application.higher_is_better
            ) as display:
                run_agenda(
                    RecordingAgenda(campaign, journal, writer, display, ResultReuse(reusable)), execution, driver
                )
        finally:
            writer.close()
        results, sessions = list(journal.content.results.values()), tuple(journal.content.sessions)
    if all(result.status == "failed" for result in results):
        raise StudyFailed(
            f"study {study.name!r}: all {len(results)} trials failed; the first: {results[0].error}. Fix the cause, "
            "then run them again: zerotune retry STUDY --failed"
        )
    found = answer_from_journal(study, options, results, sessions)
    files = write_report(found, options.folder(study))
    return replace(found, is_stored=writer.finish(partial(write_answer, found=found, files=files)))


def _new_console(*, quiet: bool) -> Console:
    """Return a console of this process, or if `quiet` one that prints nothing and is not a terminal."""
    return sanitize_console(
        Console(highlight=False, markup=False, emoji=False, quiet=quiet, force_terminal=False if quiet else None)
    )


def retry_failed_trials(agenda: Agenda, name: str, journal: Journal, checkpoints: Path | None) -> str:
    """Withdraw the results of the failed trials, so that they run again from the start.

    Args:
        agenda: see `find_failed_trials`.
        name: name of the study, for the message.
        journal: the study's journal, open for appending.
        checkpoints: folder of the trials' checkpoints, or None.

    Returns:
        One sentence on what was done.

    Raises:
        BadInput: the journal cannot be written.
    """
    content = journal.content
    failed = find_failed_trials(agenda, content)
    for trial in failed:
        if trial.id in content.retried:
            continue
        # A worker that died leaves a checkpoint. Its epochs are already billed to the failed attempt; resuming from it
        # would bill them again.
        if checkpoints is not None:
            with suppress(OSError):
                (checkpoints / f"{trial.id}.pt").unlink()
        journal.retry_trial(trial.id)
    if not failed:
        return f"{name}: no trial has failed, so that none is run again"
    return f"{name}: {pluralize(len(failed), 'failed trial')} to be run again"


def answer_from_journal(
    study: Study, options: RunOptions, results: Iterable[TrialResult], sessions: tuple[Mapping[str, str], ...]
) -> Answer:
    """Build the answer from results in memory; it equals what `tuner.run.answer.load_answer` reads."""
    origin = Origin(
        definition=stored_definition_of(study),
        fingerprint=study.fingerprint,
        sessions=sessions,
        command=format_report_command(options.uri(study), study.name, options.store),
    )
    return build_answer(results, origin)


def format_opening(study: Study, options: RunOptions, planned: int, known: int, num_reused: int) -> str:
    """Describe in one line what is about to run."""
    done = f", {known} of them done before" if known else ""
    done += f", {num_reused} or more taken over from earlier trainings (--retrain trains them)" if num_reused else ""
    uri = options.tracking_uri or study.tracking_uri
    recorded = f"; results in {redact(uri)}" if uri else ""
    planned_trials = pluralize(planned, "trial")
    return f"{study.name}: up to {planned_trials}{done}; journal and figures in {options.folder(study)}{recorded}"


def choose_driver(first_steps: DryRun, options: RunOptions) -> Driver:
    """Return the requested driver, or "serial" if nothing is left to train, so that no cluster is started."""
    return "serial" if first_steps.is_complete else options.driver


@contextmanager
def starting_cluster(execution: Execution, driver: Driver) -> Iterator[None]:
    """Start the cluster that the driver needs in the background, if any."""
    if driver == "serial" or execution.address is not None:
        yield
        return
    with start_ahead(execution.local_cores):
        yield


def run_agenda(recorder: RecordingAgenda, execution: Execution, driver: Driver) -> None:
    """Run an agenda with a driver."""
    if driver == "serial":
        run_serial(recorder, execution)
        return
    from ..execution.ray.tune_worker import run_ray

    run_ray(recorder, execution)


def write_report(found: Answer, folder: Path) -> list[Path]:
    """Write pages and tables to the study's folder, and return the files that the store keeps.

    Pictures are drawn only on request (`zerotune export`), because they can take longer than a small study.
    """
    from ..reports.export import export  # imports plotly (half a second), so only once training is done

    files = export(found, folder / "report", pictures=False)
    # Each page embeds plotly (5 MB), so the store gets only the report and the Pareto page, not one page per figure.
    return [file for file in files if file.suffix != ".html" or file.stem in ("report", "pareto_arms")]
