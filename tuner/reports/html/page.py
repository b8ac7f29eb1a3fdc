"""A study's report as one HTML file: question, verdict, numbers, figures, methods, caveats, bill and provenance."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import plotly.graph_objects as go

from ..answer import Answer
from ..figures.registry import FIGURES
from ..tables.repeats import repeats_table
from ..tables.result_tables import answer_table, arms_table, configuration_table, effort_table, ledger_table
from ..tables.terminal import notes, table_notes
from ..tables.worth import worth_table
from ..text.caveats import caveats
from ..text.findings import findings
from ..text.methods_section import methods
from ..text.next_steps import next_steps
from ..text.provenance import NOT_KEPT, origin_facts, sessions_table
from ..text.verdict import first_lines
from .document import page_figure, render, render_page


@dataclass(frozen=True, kw_only=True)
class FigureSection:
    """A section of the page with its figures, by their names in `FIGURES`."""

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
            "search_front",
            "search_curves",
            "slices",
            "parallel_coordinates",
            "importances",
            "contours",
            "surface",
        ),
    ),
    FigureSection(name="training", heading="Training", figures=("learning_curves",)),
    FigureSection(
        name="costs",
        heading="Where the cost went",
        figures=("cost_breakdown", "tuning_budget", "energy", "pareto_trials"),
    ),
)


def render_report(subject: Answer, figures: Mapping[str, go.Figure]) -> str:
    """Return the whole report as an HTML page, with figures by their name in `FIGURES`."""
    comparison, cost = subject.comparison, subject.cost
    figure_sections, steps = _figure_sections(figures), next_steps(subject)
    return render(
        "report.html.j2",
        title=comparison.facts.name,
        sections={
            "answer": "Answer",
            **{section.name: section.heading for section in figure_sections},
            "methods": "Methods",
            "caveats": "Caveats",
            "ledger": "Ledger",
            "provenance": "Provenance",
            **({"next": "Next"} if steps else {}),
        },
        missing=subject.missing,
        question=comparison.facts.question,
        verdict=first_lines(comparison, cost=cost),
        findings=findings(comparison, cost=cost),
        answer=answer_table(subject),
        notes=table_notes(comparison, cost=cost),
        worth=worth_table(subject),
        effort=effort_table(subject),
        repeats=repeats_table(subject),
        configurations=configuration_table(subject),
        figure_sections=figure_sections,
        figures={name: page_figure(name, figure, FIGURES[name].reading) for name, figure in figures.items()},
        methods=methods(subject),
        arms=arms_table(subject),
        caveats=caveats(subject),
        ledger=ledger_table(subject),
        origin=origin_facts(subject),
        sessions=sessions_table(subject),
        not_kept=NOT_KEPT,
        next_steps=steps,
        definition=json.dumps(dict(subject.origin.definition), indent=2, ensure_ascii=False),
    )


def render_figure_page(subject: Answer, name: str, figure: go.Figure) -> str:
    """Return one figure, by its name in `FIGURES`, with the answer above it and the notes below."""
    comparison, cost = subject.comparison, subject.cost
    return render_page(
        comparison.facts.name,
        [page_figure(name, figure, FIGURES[name].reading)],
        missing=subject.missing,
        question=comparison.facts.question,
        verdict=first_lines(comparison, cost=cost),
        notes=notes(comparison, cost=cost),
    )


def _figure_sections(figures: Mapping[str, go.Figure]) -> list[FigureSection]:
    """Return the sections that have figures; the last has those that no section names."""
    placed = {name for section in FIGURE_SECTIONS for name in section.figures}
    others = FigureSection(name="more", heading="More figures", figures=tuple(n for n in figures if n not in placed))
    drawn = [
        replace(section, figures=tuple(name for name in section.figures if name in figures))
        for section in FIGURE_SECTIONS
    ]
    return [section for section in (*drawn, others) if section.figures]
