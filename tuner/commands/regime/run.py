"""Run a regime search: a study of its own, with a journal, a folder and an MLflow experiment NAME-regime.

study -> scheduler -> driver -> journal -> store -> files. The recorded definition spans all batch sizes that the
application allows, not only those that are searched, so that a search over more of them reuses the same trials.
"""

import math
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ...analysis.provenance import collect_provenance, training_provenance
from ...campaign.cell import Cell
from ...errors import BadInput, StudyFailed
from ...reports.text.format import pluralize
from ...run.answer import make_store_opener, report_store_state, stored_definition
from ...run.command_text import format_command
from ...run.dry_run import dry_run
from ...run.journal import Journal
from ...run.options import RunOptions, build_execution, check_workload
from ...run.progress_display import ProgressDisplay
from ...run.recorder import RecordingAgenda
from ...run.reuse import ResultReuse, find_reusable_results
from ...run.run import (
    check_definition,
    choose_driver,
    open_session,
    retry_failed_trials,
    run_agenda,
    starting_cluster,
    warn_about_damage,
)
from ...store import Store, Writer, redact
from ...study import Study
from ...study.checks import find_problems
from .bisection import ladder, select_rungs
from .export import write_regime
from .scheduler import RegimeScheduler, add_linear_arm, build_question
from .verdict import Attempt, Regime, RegimeQuestion

SUFFIX = "-regime"


@dataclass(frozen=True, kw_only=True)
class SearchRange:
    """Which batch sizes to search, and for how long.

    Attributes:
        first: smallest batch size to try; None for 2 B0.
        last: largest batch size to try; None for the full batch.
        check: whether to try one batch size above each boundary too.
        max_trainings: number of trainings after which no new one is started; None for no limit.
    """

    first: int | None = None
    last: int | None = None
    check: bool = True
    max_trainings: int | None = None


def regime_folder(study: Study, options: RunOptions) -> Path:
    """Return the folder of a study's regime search, with its journal and report."""
    return options.folder(_rename(study))


def find_regime(
    study: Study,
    options: RunOptions,
    search_range: SearchRange,
    console: Console,
    *,
    retrain: bool = False,
    retry_failed: bool = False,
    resume_command: str | None = None,
) -> Regime:
    """Find the regimes of a study's application, or resume the search, and write them to files.

    An interrupted search resumes from its journal. A store that does not answer does not stop it. A finished search
    that is run again trains nothing, and writes what the store lacks.

    Args:
        study: the study.
        options: where it is stored and where it runs.
        search_range: which batch sizes to search, and for how long.
        console: where progress is printed.
        retrain: train every trial, reusing no result of other studies.
        retry_failed: run the failed trainings again.
        resume_command: the command that runs it again; None for `zerotune regime` by the study's name.

    Raises:
        ZerotuneError: an error that the user can fix.
        KeyboardInterrupt: the user stopped it; the same call resumes it.
    """
    uri, execution = options.uri(study), build_execution(_rename(study), options)
    num_train, data = check_workload(study, execution.data_folder)
    full_study, question = _prepare(study, num_train, search_range)
    definition = stored_definition(full_study, metric=question.metric, higher_is_better=question.higher_is_better)
    with closing(Journal(options.folder(full_study))) as journal, ExitStack() as ready:
        session = {**collect_provenance(), **training_provenance(full_study, data)}
        open_session(full_study, journal, session)
        warn_about_damage(journal, console)
        known = journal.content.results
        new_scheduler = partial(
            RegimeScheduler,
            full_study,
            question,
            known=known,
            first_failures=journal.content.first_failures,
            check=search_range.check,
            max_trainings=search_range.max_trainings,
        )
        if retry_failed:
            console.print(retry_failed_trials(new_scheduler(), full_study.name, journal, execution.checkpoints))
        reusable = (
            None
            if retrain
            else find_reusable_results(full_study, options.store, session, on_a_cluster=bool(options.address))
        )
        driver = choose_driver(dry_run(new_scheduler(), journal.content, reusable), options)
        ready.enter_context(starting_cluster(execution, driver))
        store_options = {"--store": str(options.store), "--tracking-uri": options.tracking_uri}
        tell = partial(
            report_store_state, console, resume_command or format_command("regime", study.name, store_options)
        )
        open_store = make_store_opener(full_study, uri, definition, journal.content.sessions)
        writer = Writer(open_store, known.values(), tell)
        display = ProgressDisplay(console, (), metric=question.metric, higher_is_better=question.higher_is_better)

        def announce(cell: Cell) -> None:
            display.plan((cell.arm, cell.batch_size), cell.num_planned)

        scheduler = new_scheduler(announce=announce)
        num_done = len(known) - len(journal.content.retried)
        console.print(Text(_format_opening(question, options, full_study, num_done)))
        writer.start()
        try:
            with display:
                run_agenda(
                    RecordingAgenda(scheduler, journal, writer, display, ResultReuse(reusable)), execution, driver
                )
        finally:
            writer.close()
        results = list(journal.content.results.values())
        regime = scheduler.found()
    if regime is None and scheduler.ended_early:
        raise BadInput(
            f"--budget-trials {search_range.max_trainings}: ended before the baseline had its score; allow more"
        )
    if regime is None:
        raise StudyFailed(
            f"study {full_study.name!r}: no run of the baseline gave a score, so there is nothing to compare with; the "
            f"first says: {results[0].error}. Fix the cause, then run them again: zerotune regime STUDY --retry-failed"
        )
    files = write_regime(regime, options.folder(full_study) / "report")
    writer.finish(partial(_write_to_store, regime=regime, files=files))
    return regime


def read_recorded_study(study: Study, journal: Journal) -> Study:
    """Return the study of a recorded search, over the batch sizes it was started with, without reading the data.

    Raises:
        BadInput: this study cannot have been searched.
        StudyChanged: the journal belongs to another definition.
    """
    complete, _ = add_linear_arm(study)
    sizes = tuple(journal.content.definition["batch_sizes"])
    full_study = _rename(complete).model_copy(update={"batch_sizes": sizes})
    check_definition(full_study, journal)
    return full_study


def _rename(study: Study) -> Study:
    return study.model_copy(update={"name": f"{study.name}{SUFFIX}"})


def _prepare(study: Study, num_train: int, search_range: SearchRange) -> tuple[Study, RegimeQuestion]:
    """Return the study over all possible batch sizes, and the question over those that are searched.

    Raises:
        BadInput: there is nothing to search, or an arm is invalid at one of the batch sizes.
    """
    complete, linear = add_linear_arm(study)
    all_rungs = ladder(study.baseline.batch_size, num_train)
    if not all_rungs:
        raise BadInput(
            f"study {study.name!r}: its baseline's batch size {study.baseline.batch_size} is already the full batch: "
            "there is nothing above it to search"
        )
    rungs = select_rungs(all_rungs, search_range.first, search_range.last)
    wrong = find_problems(complete.model_copy(update={"batch_sizes": rungs}))
    if wrong:
        found = "\n".join(f"  {message}" for _, message in wrong)
        raise BadInput(f"study {study.name!r} cannot be followed over {rungs[0]:,} to {rungs[-1]:,}:\n{found}")
    full_study = _rename(complete).model_copy(update={"batch_sizes": all_rungs})
    return full_study, build_question(complete, linear, rungs, num_train)


def _format_opening(question: RegimeQuestion, options: RunOptions, full_study: Study, known: int) -> str:
    """Describe what is about to run, in one line."""
    done = f", {pluralize(known, 'training')} done before" if known else ""
    uri = options.tracking_uri or full_study.tracking_uri
    recorded = f"; results in {redact(uri)}" if uri else ""
    return (
        f"{full_study.name}: bisection over {len(question.rungs)} batch sizes, {question.rungs[0]:,} to "
        f"{question.rungs[-1]:,}{done}; journal and figures in {options.folder(full_study)}{recorded}"
    )


def _write_to_store(store: Store, regime: Regime, files: Iterable[Path]) -> None:
    """Write the files to the store, and each attempt's summary to its parent run."""
    store.log_artifacts(files, "report")
    for attempt in (regime.baseline, *regime.attempts):
        store.summarise(attempt.arm, attempt.batch_size, _summary(attempt))
    store.finish()


def _summary(attempt: Attempt) -> Mapping[str, float]:
    """Return an attempt's numbers as metrics of its parent run. The store leaves out what is not finite."""
    score = math.nan if attempt.score is None else attempt.score.mean
    return {"test_score": score, "validation_loss_mean": attempt.loss, "keeps_score": float(attempt.keeps_score)}
