"""Run a study. This is the only module that knows all parts.

study -> campaign -> driver -> journal -> store -> answer. A `tuner.run.recorder.RecordingAgenda` stands between the
driver and the campaign.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.text import Text

from ...trainers.applications import APPLICATIONS
from ..addresses import TRACKING_VARIABLE
from ..analysis.provenance import Origin, collect_provenance, remarks_record, training_provenance
from ..campaign.campaign import Campaign
from ..campaign.cell import Cell
from ..errors import StudyFailed
from ..execution.ray.local_cluster import start_ahead
from ..execution.replay import run_replay
from ..execution.serial import run_serial
from ..reports.answer import Answer
from ..reports.tables.plan import print_remarks
from ..reports.text.format import pluralize
from ..sanitize import sanitize_console
from ..store import Store, Writer, default_tracking_uri, redact
from ..study import Study, load_study, study_remarks
from ..trial import Trial
from .answer import build_answer, make_store_opener, report_store_state, stored_definition, write_answer
from .command_text import format_application, format_command, format_report_command, format_study_options
from .dry_run import DryRun, dry_run
from .journal import Journal, JournalContent
from .options import Driver, RunOptions, build_execution, check_workload
from .progress_display import ProgressDisplay
from .recorder import BilledAgenda, RecordingAgenda
from .reuse import ResultReuse, find_reusable_results
from .same_training import fresh_checkpoints
from .session import open_session as open_session
from .session import warn_about_damage
from .store_writing import write_rest

AgendaType = TypeVar("AgendaType", bound=BilledAgenda)
Announce = Callable[[Cell], None]
"""Told every arm at a batch size that an agenda will ask for."""
Finish = Callable[[Callable[[Store], object]], bool]
"""Writes the rest to the store, runs a last action on it, and returns whether everything is there."""


def run_study(
    study: Study | str | Path,
    *,
    store: str | Path | None = None,
    tracking_uri: str | None = None,
    driver: Driver = "ray",
    address: str | None = None,
    data_folder: str | None = None,
    retrain: bool = False,
    retry_failed: bool = False,
    show: bool | Console = False,
    accept_changes: bool = False,
    amend: bool = False,
    command: str | None = None,
    amend_command: str | None = None,
    retry_command: str | None = None,
    sync_command: str | None = None,
    on_answer: Callable[[Answer], object] = lambda found: None,
) -> Answer:
    """Run the missing trials of a study and return its answer.

    Results are saved as they arrive. An interrupted study resumes where it stopped, and a complete one trains nothing.
    If the store does not answer, the study continues and the answer is built from the study's journal.

    >>> answer = run_study("quickstart", driver="serial")  # doctest: +SKIP
    >>> answer.table[["test_score", "verdict"]]  # doctest: +SKIP

    Args:
        study: a definition, the path of a study file, or the name of a shipped study.
        store: folder of the local store and of the studies' journals; created if missing. None for mlruns.
        tracking_uri: MLflow server or database; None for the one that the study names, else the SQLite file in `store`,
            else, without a `store`, the one that MLFLOW_TRACKING_URI names.
        driver: "ray" runs trials on worker processes of a cluster; "serial" runs them in this process.
        address: an existing Ray cluster (auto, HOST:PORT or ray://HOST:PORT); None for one on this machine.
        data_folder: overrides the study's data folder.
        retrain: train every trial without reusing earlier results.
        retry_failed: run the failed trials again.
        show: True shows progress on the terminal, a `rich.console.Console` shows it there, False prints nothing.
        accept_changes: go on, and keep what has finished, if the application's code, packages, the data or something
            else that changes numbers differs from what trained it; the answer says so.
        amend: go on if seeds, batch sizes, arms or trials were added to the study's definition since it was started,
            and train what was added; the answer says so. Nothing else can be amended.
        command: the command that runs the study, for messages; None for `zerotune run NAME`.
        amend_command: the command that amends it, for messages; None for `zerotune run NAME --amend`.
        retry_command: the command that runs failed trials again, for messages; None for `zerotune retry NAME --failed`.
        sync_command: the command to suggest if results are missing from the store; None for `zerotune sync NAME`.
        on_answer: called with the answer once it is known. A slow store gets the rest of the results afterwards;
            KeyboardInterrupt then ends the writing and not the study.

    Returns:
        The answer. Its `is_stored` is False if the store does not have all of it.

    Raises:
        BadInput: the study, the data or an argument is invalid, or the study was started with another definition or
            other code, packages or data.
        StudyFailed: every trial failed.
        StudyLocked: another process is running this study.
        Unreachable: the cluster does not answer, or the connection was lost.
        KeyboardInterrupt: the user stopped the study; the same call resumes it.
    """
    study = study if isinstance(study, Study) else load_study(study)
    options = RunOptions(
        store=None if store is None else Path(store),
        tracking_uri=tracking_uri,
        driver=driver,
        address=address,
        data_folder=data_folder,
    )
    options.uri(study)  # a wrong address is found before the data are read
    _, data, remarks = check_workload(study, options.data(study))
    application = APPLICATIONS[study.application]
    places = {"--app": format_application(study.application), **options.places()}

    def new_campaign(content: JournalContent, announce: Announce) -> Campaign:
        campaign = Campaign(study, content.results, content.first_failures, content.beginnings)
        for cell in campaign.cells:
            announce(cell)
        return campaign

    def describe(num_planned: int, num_done: int, num_reused: int) -> str:
        from_table = ", looked up in a table of past trainings: nothing is trained" if application.look_up else ""
        done = f", {num_done} of them done before" if num_done else ""
        reused = f", {num_reused} or more reused from earlier trainings (--retrain trains them)" if num_reused else ""
        return f"up to {pluralize(num_planned, 'trial')}{from_table}{done}{reused}"

    with run_trials(
        study,
        options,
        show if isinstance(show, Console) else _new_console(quiet=not show),
        new_campaign,
        describe,
        data=data,
        remarks=remarks,
        command=command or format_command("run", study.name, places),
        amend_command=amend_command or f"{format_command('run', study.name, places)} --amend",
        sync_command=sync_command or format_command("sync", study.name, places),
        retrain=retrain,
        retry_failed=retry_failed,
        accept_changes=accept_changes,
        amend=amend,
    ) as (_, content, finish):
        results = list(content.results.values())
        if all(result.status == "failed" for result in results):
            finish(Store.finish)
            again = retry_command or f"{format_command('retry', study.name, places)} --failed"
            raise StudyFailed(
                f"study {study.name!r}: all {len(results)} trials failed; the first: {results[0].error}. Fix the "
                f"cause, then run them again: {again}"
            )
        found = answer_from_journal(study, options, content)
        files = write_report(found, options.folder(study))
        on_answer(found)
        return replace(found, is_stored=finish(partial(write_answer, found=found, files=files)))


def _new_console(*, quiet: bool) -> Console:
    """Return a console of this process, or if `quiet` one that prints nothing and is not a terminal."""
    return sanitize_console(
        Console(highlight=False, markup=False, emoji=False, quiet=quiet, force_terminal=False if quiet else None)
    )


@contextmanager
def run_trials(
    study: Study,
    options: RunOptions,
    console: Console,
    new_agenda: Callable[[JournalContent, Announce], AgendaType],
    describe: Callable[[int, int, int], str],
    *,
    data: str | None,
    remarks: Sequence[str],
    command: str,
    sync_command: str,
    retrain: bool,
    retry_failed: bool,
    accept_changes: bool,
    amend: bool = False,
    amend_command: str | None = None,
    more_may_come: bool = False,
) -> Iterator[tuple[AgendaType, JournalContent, Finish]]:
    """Run the missing trials of a study, or of a search made of its campaigns. The study is locked inside the block.

    Args:
        study: the definition that journal and store keep.
        options: where it is stored and where it runs.
        console: where progress is printed.
        new_agenda: returns the agenda, given the content of the journal; called twice, since a dry run uses one up.
        describe: describes what is about to run, given the numbers of trials planned, done before, and reused.
        data: identity of the data, or None.
        remarks: the sanity check's remarks on the application, shown and kept with the session.
        command: the command that runs this, for messages.
        sync_command: the command to suggest if results are missing from the store.
        retrain: train every trial without reusing earlier results.
        retry_failed: run the failed trials again.
        accept_changes: keep what was trained with other code, packages or data.
        amend: go on with what was added to the definition.
        amend_command: the command that amends the study; None where it cannot be amended.
        more_may_come: whether the agenda announces further cells while it runs.

    Yields:
        The agenda; the journal's content; a function that ends the writing to the store.
    """
    uri, application, execution = options.uri(study), APPLICATIONS[study.application], build_execution(study, options)
    with closing(Journal(options.folder(study))) as journal:
        session = {**collect_provenance(), **training_provenance(study, data), **remarks_record(remarks)}
        told = open_session(
            study,
            journal,
            session,
            accept_changes=accept_changes,
            amend=amend,
            command=command,
            amend_command=amend_command,
        )
        if told:
            console.print(Text(told, style="yellow"))
        warn_about_damage(journal, console)
        for remark in study_remarks(study):
            console.print(remark, style="yellow")
        content, is_attached = journal.content, options.address is not None
        execution = replace(execution, checkpoints=fresh_checkpoints(execution.checkpoints, content.num_changes))
        reusable = None if retrain else find_reusable_results(study, options.root, session, on_a_cluster=is_attached)
        # A dry run uses up the proposals of the methods, so it gets its own agenda. Without known or reusable results
        # there is nothing to find, so it is skipped.
        ahead = DryRun()
        if content.results or reusable:
            ahead = dry_run(new_agenda(content, lambda cell: None), content, reusable, retry_failed=retry_failed)
        if retry_failed:
            console.print(retry_failed_trials(ahead.failed, study.name, journal, execution.checkpoints))
        # A table is looked up in this process, whatever driver is named.
        driver = "serial" if ahead.is_complete or application.look_up else options.driver
        display = ProgressDisplay(
            console,
            metric=application.metric,
            higher_is_better=application.higher_is_better,
            more_may_come=more_may_come,
        )
        agenda = new_agenda(content, lambda cell: display.plan(cell.arm, cell.batch_size, cell.num_planned))
        num_planned = None if more_may_come else display.num_planned
        open_store = make_store_opener(study, uri, journal, num_planned, begins=True)
        tell = partial(report_store_state, console, sync_command)
        writer = Writer(open_store, content.results.values(), tell)
        opening = describe(display.num_planned, len(content.results) - len(content.retried), ahead.num_reused)
        recorded = "" if uri == default_tracking_uri(options.root) else f"; results in {redact(uri)}"
        recorded += f", named by {TRACKING_VARIABLE}" if options.is_by_environment(study) else ""
        console.print(Text(f"{study.name}: {opening}; journal and figures in {options.folder(study)}{recorded}"))
        print_remarks(remarks, console)
        writer.start()
        try:
            with ExitStack() as ready:
                if driver == "ray" and not is_attached:
                    ready.enter_context(start_ahead(execution.local_cores))
                ready.enter_context(display)
                recorder = RecordingAgenda(
                    agenda,
                    journal,
                    writer,
                    display,
                    ResultReuse(reusable),
                    in_this_process=driver == "serial" and not application.look_up,
                )
                if application.look_up is not None:
                    run_replay(recorder, application.look_up)
                elif driver == "serial":
                    run_serial(recorder, execution)
                else:
                    from ..execution.ray.tune_worker import run_ray

                    run_ray(recorder, execution)
            yield agenda, content, partial(write_rest, writer, console, tell)
        except BaseException:
            write_rest(writer, console, tell)
            raise


def retry_failed_trials(failed: Sequence[Trial], name: str, journal: Journal, checkpoints: Path | None) -> str:
    """Withdraw the results of failed trials, so that they run again from the start; return a sentence about it.

    Raises:
        BadInput: the journal cannot be written.
    """
    for trial in failed:
        if trial.id in journal.content.retried:
            continue
        # A worker that died leaves a checkpoint. Its epochs are already billed to the failed attempt; resuming from it
        # would bill them again.
        if checkpoints is not None:
            with suppress(OSError):
                (checkpoints / f"{trial.id}.pt").unlink()
        journal.retry_trial(trial.id)
    if not failed:
        return f"{name}: no trial has failed, so none is run again"
    return f"{name}: {pluralize(len(failed), 'failed trial')} to be run again"


def answer_from_journal(study: Study, options: RunOptions, content: JournalContent) -> Answer:
    """Build the answer from a journal; it equals what `tuner.run.answer.read_answer` reads."""
    origin = Origin(
        definition=stored_definition(study),
        fingerprint=content.fingerprint,
        sessions=tuple(content.stored_sessions()),
        command=format_report_command(options.uri(study), study.name, options.root),
        places=format_study_options(options.uri(study), options.root, study.application),
    )
    return build_answer(content.results.values(), origin)


def write_report(found: Answer, folder: Path) -> list[Path]:
    """Write pages and tables to the study's folder, and return the files that the store keeps.

    Pictures are drawn only on request (`zerotune export`), because they can take longer than a small study.
    """
    from ..reports.export import export  # imports plotly (half a second), so only once training is done

    files = export(found, folder / "report", pictures=False)
    # Each page embeds plotly (5 MB), so the store gets only the report and the Pareto page, not one page per figure.
    return [file for file in files if file.suffix != ".html" or file.stem in ("report", "pareto_arms")]
