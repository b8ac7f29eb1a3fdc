"""What is missing or unfinished is said before anything else, in every form of an answer."""

import json
from dataclasses import replace
from functools import partial

import pytest

from tests.outputs import printed
from tests.reported_study import reported
from zerotune.tuner.reports.answer import Answer
from zerotune.tuner.reports.export import draw_figures
from zerotune.tuner.reports.html.page import render_figure_page, render_report
from zerotune.tuner.reports.tables.markup import report_json, report_latex, report_markdown
from zerotune.tuner.reports.tables.terminal import print_answer
from zerotune.tuner.reports.text.missing import describe_progress

SENTENCE = "Unfinished so far"


@pytest.fixture(scope="module")
def complete() -> Answer:
    return reported()


def test_of_a_complete_study_nothing_is_said(complete: Answer) -> None:
    assert complete.missing == ()
    assert "incomplete" not in repr(complete)


def test_every_form_of_an_answer_says_it_first(complete: Answer) -> None:
    found = replace(complete, missing=(SENTENCE,))
    figures = draw_figures(complete)
    question = found.comparison.facts.question
    pages = [render_report(found, figures), render_figure_page(found, "pareto_arms", figures["pareto_arms"])]
    for text in (*pages, found._repr_html_(), report_markdown(found)):
        body = text[text.find("<main>") + 1 :]
        assert 0 <= body.index(SENTENCE) < body.index(question)
    assert printed(partial(print_answer, missing=found.missing), found.comparison).startswith(f"{SENTENCE}\n")
    latex = report_latex(found)
    assert latex.index(rf"\textbf{{{SENTENCE}}}") < latex.index(r"\begin{table")
    assert json.loads(report_json(found))["missing"] == [SENTENCE]
    assert repr(found).endswith("trials, incomplete>")


def test_arms_without_all_confirmation_runs_are_named(complete: Answer) -> None:
    results = complete.results
    less = [run for run in results if run.trial.index != 2 or run.trial.arm != "date"]
    assert reported(results=less).missing == (
        "Not confirmed by every seed: date at B=1,024 (2 of 3), date at B=2,048 (2 of 3), date at B=4,096 (2 of 3).",
    )
    (sentence,) = reported(results=[]).missing
    assert sentence.startswith("Not confirmed by every seed: baseline at B=256 (0 of 3), tuned at B=1,024 (0 of 3), ")
    assert sentence.endswith(" and 13 more.")


def test_an_arm_whose_confirmation_runs_all_failed_is_not_confirmed(complete: Answer) -> None:
    results = [
        replace(run, status="failed", test_score=None)
        if (run.trial.arm, run.trial.batch_size, run.trial.role) == ("legw", 2048, "confirmation")
        else run
        for run in complete.results
    ]
    assert reported(results=results).missing == ("Not confirmed by every seed: legw at B=2,048 (3 of 3, 3 failed).",)


def test_results_that_are_more_than_were_counted_are_not_missing() -> None:
    """A driver counts at its start and at its end; in between, the store holds more."""
    (sentence,) = describe_progress(7, 5, num_planned=89, has_ended=False)
    assert sentence.startswith("Unfinished: 7 of up to 89 results so far. ")
    assert describe_progress(89, 89, num_planned=89, has_ended=True) == ()
