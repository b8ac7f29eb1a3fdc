"""Running a regime search: a study of its own kind, with a journal, a folder and an MLflow experiment NAME-regime.

study -> finder -> driver -> journal -> store -> files. The definition that is recorded spans all batch sizes the
application allows, whatever part of them is searched, so that a search over more of them goes on from the same trials.
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
    """What is searched, and for how long.

    Attributes:
        first: smallest batch size to try; None for 2 B0.
        last: largest batch size to try; None for the full batch.
        check: whether one batch size above each boundary is tried too.
        max_trainings: trainings after which nothing new is begun; None for no limit.
    """

    first: int | None = None
    last: int | None = None
    check: bool = True
    max_trainings: int | None = None


def regime_folder(study: Study, place: RunOptions) -> Path:
    """Where the search of a study keeps its journal and its report."""
    return place.folder(_renamed(study))


def find_regime(
    study: Study,
    place: RunOptions,
    span: SearchRange,
    console: Console,
    *,
    retrain: bool = False,
    retry_failed: bool = False,
    bring_in: str | None = None,
) -> Regime:
    """Finds the regimes of a study's application, or what is still missing of them, and writes them to files.

    Whatever ends it early, the journal holds all that was measured, and running it again goes on from there. A store
    that does not answer ends nothing; a finished search that is run again trains nothing, and brings in what it lacks.

    Args:
        study: the definition.
        place: where it lives and runs.
        span: what is searched.
        console: what it says goes there.
        retrain: whether every trial is trained by itself, those too whose results were taken over.
        retry_failed: whether the trainings that failed are run again.
        bring_in: what the user can type to run it again; None for `zerotune regime` by the study's name.

    Raises:
        ZerotuneError: as a sentence, whatever the user can mend.
        KeyboardInterrupt: the user stopped it; it can be resumed.
    """
    uri, execution = place.uri(study), build_execution(_renamed(study), place)
    num_train, data = check_workload(study, execution.data_folder)
    whole, question = _prepare(study, num_train, span)
    definition = stored_definition(whole, metric=question.metric, higher_is_better=question.higher_is_better)
    with closing(Journal(place.folder(whole))) as journal, ExitStack() as ready:
        session = {**collect_provenance(), **training_provenance(whole, data)}
        open_session(whole, journal, session)
        warn_about_damage(journal, console)
        known = journal.content.results
        new_finder = partial(
            RegimeScheduler,
            whole,
            question,
            known=known,
            first_failures=journal.content.first_failures,
            check=span.check,
            max_trainings=span.max_trainings,
        )
        if retry_failed:
            console.print(retry_failed_trials(new_finder(), whole.name, journal, execution.checkpoints))
        reusable = (
            None if retrain else find_reusable_results(whole, place.store, session, on_a_cluster=bool(place.address))
        )
        driver = choose_driver(dry_run(new_finder(), journal.content, reusable), place)
        ready.enter_context(starting_cluster(execution, driver))
        where = {"--store": str(place.store), "--tracking-uri": place.tracking_uri}
        tell = partial(report_store_state, console, bring_in or format_command("regime", study.name, where))
        open_store = make_store_opener(whole, uri, definition, journal.content.sessions)
        writer = Writer(open_store, known.values(), tell)
        display = ProgressDisplay(console, (), metric=question.metric, higher_is_better=question.higher_is_better)

        def announce(cell: Cell) -> None:
            display.plan((cell.arm, cell.batch_size), cell.num_planned)

        finder = new_finder(announce=announce)
        num_done = len(known) - len(journal.content.retried)
        console.print(Text(_format_opening(question, place, whole, num_done)))
        writer.start()
        try:
            with display:
                run_agenda(RecordingAgenda(finder, journal, writer, display, ResultReuse(reusable)), execution, driver)
        finally:
            writer.close()
        results = list(journal.content.results.values())
        regime = finder.found()
    if regime is None and finder.ended_early:
        raise BadInput(f"--budget-trials {span.max_trainings}: ended before the baseline had its score; allow more")
    if regime is None:
        raise StudyFailed(
            f"study {whole.name!r}: no run of the baseline gave a score, so that there is nothing to compare with; the "
            f"first says: {results[0].error}. Mend the cause, then run them again: zerotune regime STUDY --retry-failed"
        )
    files = write_regime(regime, place.folder(whole) / "report")
    writer.finish(partial(_keep, regime=regime, files=files))
    return regime


def read_recorded_study(study: Study, journal: Journal) -> Study:
    """The study of a search that has a journal, over the batch sizes it was begun with: the data are not looked at.

    Raises:
        BadInput: no such search can have been of this study.
        StudyChanged: the journal is of another definition.
    """
    complete, _ = add_linear_arm(study)
    sizes = tuple(journal.content.definition["batch_sizes"])
    whole = _renamed(complete).model_copy(update={"batch_sizes": sizes})
    check_definition(whole, journal)
    return whole


def _renamed(study: Study) -> Study:
    return study.model_copy(update={"name": f"{study.name}{SUFFIX}"})


def _prepare(study: Study, num_train: int, span: SearchRange) -> tuple[Study, RegimeQuestion]:
    """The study over all batch sizes there are, and what is asked of it over those that are searched.

    Raises:
        BadInput: there is nothing to search, or an arm cannot be followed at one of the batch sizes.
    """
    complete, linear = add_linear_arm(study)
    all_rungs = ladder(study.baseline.batch_size, num_train)
    if not all_rungs:
        raise BadInput(
            f"study {study.name!r}: its baseline's batch size {study.baseline.batch_size} is the full batch already: "
            "there is nothing above it to search"
        )
    rungs = select_rungs(all_rungs, span.first, span.last)
    wrong = find_problems(complete.model_copy(update={"batch_sizes": rungs}))
    if wrong:
        found = "\n".join(f"  {message}" for _, message in wrong)
        raise BadInput(f"study {study.name!r} cannot be followed over {rungs[0]:,} to {rungs[-1]:,}:\n{found}")
    whole = _renamed(complete).model_copy(update={"batch_sizes": all_rungs})
    return whole, build_question(complete, linear, rungs, num_train)


def _format_opening(question: RegimeQuestion, place: RunOptions, whole: Study, known: int) -> str:
    """What is about to happen, in one line."""
    done = f", {pluralize(known, 'training')} done before" if known else ""
    uri = place.tracking_uri or whole.tracking_uri
    recorded = f"; results in {redact(uri)}" if uri else ""
    return (
        f"{whole.name}: bisection over {len(question.rungs)} batch sizes, {question.rungs[0]:,} to "
        f"{question.rungs[-1]:,}{done}; journal and figures in {place.folder(whole)}{recorded}"
    )


def _keep(store: Store, regime: Regime, files: Iterable[Path]) -> None:
    """Puts the files into the store, and each attempt's summary on its parent run."""
    store.log_artifacts(files, "report")
    for attempt in (regime.baseline, *regime.attempts):
        store.summarise(attempt.arm, attempt.batch_size, _summary(attempt))
    store.finish()


def _summary(attempt: Attempt) -> Mapping[str, float]:
    """An attempt's figures as metrics of its parent run; what is not finite is left out by the store."""
    score = math.nan if attempt.score is None else attempt.score.mean
    return {"test_score": score, "validation_loss_mean": attempt.loss, "keeps_score": float(attempt.keeps_score)}
