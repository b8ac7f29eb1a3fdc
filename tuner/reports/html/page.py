"""A study's report as one HTML file: question, verdict, numbers, figures, methods, caveats, bill and provenance."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from ...analysis.subject import Subject
from ..figures.registry import FIGURES
from ..tables.markup import escape_html, html_list, html_table
from ..tables.result_tables import answer_table, arms_table, configuration_table, effort_table, ledger_table
from ..tables.terminal import notes, table_notes
from ..text.caveats import caveats
from ..text.methods_section import methods
from ..text.provenance import NOT_KEPT, origin_facts, sessions_table
from ..text.verdict import findings, verdict_sentence
from .document import figure_html, render_document, render_section


@dataclass(frozen=True, kw_only=True)
class FigureSection:
    """Figures that belong together on the page, by their names in `FIGURES`."""

    name: str
    heading: str
    figures: tuple[str, ...]


FIGURE_SECTIONS = (
    FigureSection(name="scores-and-costs", heading="Scores and costs", figures=("pareto_arms", "scores")),
    FigureSection(
        name="search",
        heading="Inside the searches",
        figures=(
            "best_of_k",
            "search_curves",
            "slices",
            "parallel_coordinates",
            "importances",
            "surface",
        ),
    ),
    FigureSection(name="training", heading="Training", figures=("learning_curves",)),
    FigureSection(name="costs", heading="Where the cost went", figures=("cost_breakdown", "energy", "pareto_trials")),
)
OTHERS = FigureSection(name="more", heading="More figures", figures=())
"""Holds whatever else `FIGURES` has."""


def render_report(subject: Subject, figures: Mapping[str, go.Figure]) -> str:
    """The whole report as an HTML page.

    Args:
        subject: what is reported.
        figures: figures by their name in `FIGURES`.
    """
    comparison, cost = subject.comparison, subject.cost
    drawn_sections = [found for found in _figure_sections(figures) if found.figures]
    sections = {
        "answer": "Answer",
        **{found.name: found.heading for found in drawn_sections},
        "methods": "Methods",
        "caveats": "Caveats",
        "ledger": "Ledger",
        "provenance": "Provenance",
    }
    parts = [
        _question(subject),
        f'<p class="verdict">{escape_html(verdict_sentence(comparison, cost=cost))}</p>',
        render_section("answer", "What was found", [html_list(findings(comparison, cost=cost)), *_answer(subject)]),
        *(
            render_section(
                found.name,
                found.heading,
                [figure_html(name, figures[name], FIGURES[name].reading) for name in found.figures],
            )
            for found in drawn_sections
        ),
        render_section("methods", "Methods", _methods(subject), apart=True),
        render_section("caveats", "What these numbers do not show", [html_list(caveats(subject))]),
        render_section("ledger", "Ledger: all that was spent", [html_table(ledger_table(subject), "ledger")]),
        render_section("provenance", "Provenance", _provenance(subject)),
    ]
    return render_document(comparison.facts.name, parts, sections=sections)


def render_figure_page(subject: Subject, name: str, figure: go.Figure) -> str:
    """One figure with the answer above it and the notes below.

    Args:
        subject: what is reported.
        name: of the figure in `FIGURES`.
        figure: as it was drawn.
    """
    comparison, cost = subject.comparison, subject.cost
    parts = [
        _question(subject),
        f'<p class="verdict">{escape_html(verdict_sentence(comparison, cost=cost))}</p>',
        figure_html(name, figure, FIGURES[name].reading),
        render_section("notes", "Notes", [html_list(notes(comparison, cost=cost))]),
    ]
    return render_document(comparison.facts.name, parts)


def _figure_sections(figures: Mapping[str, go.Figure]) -> list[FigureSection]:
    """The sections with the figures that were drawn; a figure that no section names is in the last."""
    placed = {name for found in FIGURE_SECTIONS for name in found.figures}
    others = tuple(name for name in figures if name not in placed)
    listed = [
        FigureSection(
            name=found.name, heading=found.heading, figures=tuple(name for name in found.figures if name in figures)
        )
        for found in FIGURE_SECTIONS
    ]
    return [*listed, FigureSection(name=OTHERS.name, heading=OTHERS.heading, figures=others)]


def _drawn_section(found: FigureSection, figures: Mapping[str, go.Figure]) -> str:
    parts = [figure_html(name, figures[name], FIGURES[name].reading) for name in found.figures]
    return render_section(found.name, found.heading, parts)


def _question(subject: Subject) -> str:
    question = subject.comparison.facts.question
    return f'<p class="question">{escape_html(question)}</p>' if question else ""


def _answer(subject: Subject) -> Sequence[str]:
    effort = effort_table(subject)
    return (
        html_table(answer_table(subject), "answer"),
        f'<div class="notes">{html_list(table_notes(subject.comparison, cost=subject.cost))}</div>',
        *([html_table(effort, "effort")] if effort.rows else []),
        html_table(configuration_table(subject), "configurations"),
    )


def _methods(subject: Subject) -> Sequence[str]:
    passages = [
        f"<h3>{escape_html(passage.heading)}</h3>{html_list(passage.sentences)}" for passage in methods(subject)
    ]
    return (passages[0], html_table(arms_table(subject), "arms"), *passages[1:])


def _provenance(subject: Subject) -> Sequence[str]:
    facts = origin_facts(subject)
    entries = "".join(f"<dt>{escape_html(name)}</dt><dd>{escape_html(value)}</dd>" for name, value in facts.items())
    sessions = sessions_table(subject)
    definition = json.dumps(dict(subject.origin.definition), indent=2, ensure_ascii=False)
    return (
        f"<dl>{entries}</dl>",
        f"<p>Versions and commit: {escape_html(NOT_KEPT)}.</p>"
        if sessions is None
        else html_table(sessions, "sessions"),
        "<details><summary>The study's whole definition, every default written out</summary>"
        f"<pre>{escape_html(definition)}</pre></details>",
    )
