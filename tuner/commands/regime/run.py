"""Run a regime search: a study of its own, with a journal, a folder and an MLflow experiment NAME-regime.

study -> scheduler -> driver -> journal -> store -> files. The recorded definition spans all batch sizes that the
application allows, not only those that are searched, so that a search over more of them reuses the same trials.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from ...errors import BadInput, StudyFailed
from ...reports.text.format import pluralize
from ...run.journal import Journal, JournalContent
from ...run.options import RunOptions, check_workload
from ...run.run import Announce, run_trials
from ...run.same_training import check_definition
from ...store import Store
from ...study import Study
from ...study.checks import find_problems
from ...study.stored import read_definition
from ...study.table_check import refuse_table
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
    retrain: bool,
    retry_failed: bool,
    accept_changes: bool = False,
    resume_command: str,
    on_found: Callable[[Regime], object] = lambda regime: None,
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
        accept_changes: keep what was trained with other code, packages or data.
        resume_command: the command that runs it again.
        on_found: called with the regimes before the rest of the results is written to the store.

    Raises:
        ZerotuneError: an error that the user can fix.
        KeyboardInterrupt: the user stopped it; the same call resumes it.
    """
    options.uri(study)  # a wrong address is found before the data are read
    refuse_table(study, "regime")
    num_train, data, remarks = check_workload(study, options.data(study))
    full_study, question = _prepare(study, num_train, search_range)

    def new_scheduler(content: JournalContent, announce: Announce) -> RegimeScheduler:
        return RegimeScheduler(
            full_study,
            question,
            known=content.results,
            first_failures=content.first_failures,
            check=search_range.check,
            max_trainings=search_range.max_trainings,
            announce=announce,
        )

    def describe(num_planned: int, num_done: int, num_reused: int) -> str:
        done = f", {pluralize(num_done, 'training')} done before" if num_done else ""
        rungs = question.rungs
        return f"bisection over {len(rungs)} batch sizes, {rungs[0]:,} to {rungs[-1]:,}{done}"

    with run_trials(
        full_study,
        options,
        console,
        new_scheduler,
        describe,
        data=data,
        remarks=remarks,
        command=resume_command,
        sync_command=resume_command,
        retrain=retrain,
        retry_failed=retry_failed,
        accept_changes=accept_changes,
        more_may_come=True,
    ) as (scheduler, content, finish):
        regime = scheduler.found()
        if regime is None and scheduler.ended_early:
            raise BadInput(
                f"--budget-trials {search_range.max_trainings}: ended before the baseline had its score; allow more"
            )
        if regime is None:
            first = next(iter(content.results.values()))
            raise StudyFailed(
                f"study {full_study.name!r}: no run of the baseline gave a score, so there is nothing to compare with; "
                f"the first says: {first.error}. Fix the cause, then run them again: "
                f"{resume_command.removesuffix(' --retry-failed')} --retry-failed"
            )
        files = write_regime(regime, options.folder(full_study) / "report")
        on_found(regime)
        finish(partial(_write_to_store, regime=regime, files=files))
        return regime


def read_recorded_study(study: Study, journal: Journal) -> Study:
    """Return the study of a recorded search, over the batch sizes it was started with, without reading the data.

    Raises:
        BadInput: this study cannot have been searched.
        StudyChanged: the journal belongs to another definition.
    """
    complete, _ = add_linear_arm(study)
    sizes = read_definition(journal.content.definition).batch_sizes
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


def _write_to_store(store: Store, regime: Regime, files: Iterable[Path]) -> None:
    """Write the files to the store, and each attempt's summary to its parent run."""
    store.log_artifacts(files, "report")
    for attempt in (regime.baseline, *regime.attempts):
        store.summarise(attempt.arm, attempt.batch_size, _summary(attempt))
    store.finish()


def _summary(attempt: Attempt) -> Mapping[str, float]:
    """Return an attempt's numbers as metrics of its parent run. The store leaves out what is not finite."""
    score = math.nan if attempt.score is None else attempt.score.mean
    return {
        "seeds": float(attempt.num_seeds),
        "test_score": score,
        "validation_loss_mean": attempt.loss,
        "keeps_score": float(attempt.keeps_score),
    }
