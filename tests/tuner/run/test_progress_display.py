"""The progress display of a running study."""

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from tests.tuner.analysis.synthetic_results import make_result
from zerotune.tuner.execution.progress_update import failed_result
from zerotune.tuner.run.progress_display import ProgressDisplay
from zerotune.tuner.trial import TrialResult

RESULT = make_result()


def display(
    *, terminal: bool = False, width: int = 100, higher_is_better: bool = True
) -> tuple[ProgressDisplay, io.StringIO]:
    written = io.StringIO()
    console = Console(file=written, width=width, force_terminal=terminal, color_system=None, markup=False)
    shown = ProgressDisplay(console, metric="accuracy", higher_is_better=higher_is_better)
    shown.plan(RESULT.trial.arm, RESULT.trial.batch_size, 3)
    return shown, written


def lines(*results: TrialResult, width: int = 100, replayed: int = 0) -> list[str]:
    """Return the lines written to a pipe; the first `replayed` results are from an earlier run."""
    shown, written = display(width=width)
    with shown:
        for position, result in enumerate(results):
            shown.show_start(result.trial)
            shown.show_progress(result.trial, 3)
            shown.show_result(result, replayed=position < replayed)
    return written.getvalue().splitlines()


@pytest.mark.parametrize("width", [20, 100])
def test_a_pipe_gets_one_line_a_trial_however_narrow_and_no_table(width: int) -> None:
    assert len(lines(RESULT, RESULT, width=width)) == 2


def test_a_line_counts_the_trials_and_names_arm_batch_size_and_score() -> None:
    (line,) = lines(RESULT)
    assert line.startswith(f"[1/3] {RESULT.trial.arm} B={RESULT.trial.batch_size:,} ")
    assert f"accuracy {RESULT.validation_score:.4f}" in line


def test_trials_of_an_earlier_run_are_counted_and_not_shown_again() -> None:
    (line,) = lines(RESULT, RESULT, RESULT, replayed=2)
    assert line.startswith("[3/3] ")


def test_a_failed_trial_shows_its_reason() -> None:
    (line,) = lines(failed_result(RESULT.trial, "RuntimeError: [no] memory"))
    assert line.endswith("failed: RuntimeError: [no] memory")


def test_a_diverged_trial_shows_the_number_and_the_epoch_or_the_epoch_alone() -> None:
    diverged = replace(RESULT, status="diverged", validation_score=0.1, divergence="the test loss is nan in epoch 3")
    said, unsaid = lines(diverged, replace(diverged, divergence=None))
    assert "accuracy 0.1000 diverged: the test loss is nan in epoch 3  " in said
    assert "accuracy 0.1000 diverged in epoch 3  " in unsaid


@pytest.mark.parametrize("none", [math.nan, math.inf])
def test_a_score_that_is_not_finite_is_not_the_best_one(none: float) -> None:
    shown, written = display(terminal=True)
    with shown:
        for score in (none, 0.5):
            shown.show_result(replace(RESULT, status="finished", validation_score=score))
    assert "0.5000" in table_row(written)


def test_a_diverged_trial_is_not_the_best_one() -> None:
    shown, written = display(terminal=True)
    with shown:
        shown.show_result(replace(RESULT, status="finished", validation_score=0.5))
        shown.show_result(replace(RESULT, status="diverged", validation_score=0.9))
    assert "0.5000" in table_row(written)


def test_the_best_of_scores_where_less_is_better_is_the_least_even_if_that_is_zero() -> None:
    shown, written = display(terminal=True, higher_is_better=False)
    with shown:
        for score in (0.0, 2.0):
            shown.show_result(replace(RESULT, status="finished", validation_score=score))
    assert "0.0000" in table_row(written)


def test_the_table_lists_the_epochs_of_what_is_being_trained() -> None:
    shown, written = display(terminal=True)
    with shown:
        shown.show_result(replace(RESULT, validation_score=0.5))
        shown.show_result(RESULT, replayed=True)
        other = make_result(seed=7).trial
        shown.show_start(RESULT.trial)
        shown.show_progress(RESULT.trial, 2)
        shown.show_start(RESULT.trial)  # a repeated call does not restart the trial
        shown.show_start(other)
    assert table_row(written).endswith("2, 0")


def table_row(written: io.StringIO) -> str:
    """Return the last state of the live table's only row."""
    lines = written.getvalue().splitlines()
    return next(line.rstrip() for line in reversed(lines) if "2/3" in line and "[2/3]" not in line)
