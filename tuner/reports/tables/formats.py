"""A report's numbers without its figures: JSON to compute with, Markdown for a README, LaTeX for a paper."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ...analysis.subject import Subject
from ...sanitize import sanitize_json, sanitize_text
from ..text.caveats import caveats
from ..text.provenance import origin_as_json
from ..text.verdict import findings, verdict_sentence
from .markup import latex_table, latex_text, markdown_table, markdown_text
from .result_tables import answer_table, configuration_table, effort_table
from .terminal import table_notes

SCHEMA_VERSION = 1
"""Of the JSON; it is raised when a key changes its meaning or goes."""


def report_json(subject: Subject) -> str:
    """The comparison with its verdict, caveats and provenance; numbers that are not finite are words."""
    comparison = subject.comparison
    content = {
        "schema": "zerotune.report",
        "schema_version": SCHEMA_VERSION,
        "verdict": verdict_sentence(comparison, cost=subject.cost),
        "findings": findings(comparison, cost=subject.cost),
        "savings_in": subject.cost,
        "comparison": asdict(comparison),
        "caveats": caveats(subject),
        "provenance": origin_as_json(subject),
    }
    return sanitize_json(json.dumps(_strict(content), indent=2, allow_nan=False, ensure_ascii=False)) + "\n"


def report_markdown(subject: Subject) -> str:
    """Question, verdict, findings, the tables and their notes as GitHub Markdown."""
    comparison, cost, effort = subject.comparison, subject.cost, effort_table(subject)
    parts = [
        f"## {markdown_text(comparison.facts.name)}",
        markdown_text(comparison.facts.question),
        f"**{markdown_text(verdict_sentence(comparison, cost=cost))}**",
        _markdown_list(findings(comparison, cost=cost)),
        markdown_table(answer_table(subject)),
        _markdown_list(table_notes(comparison, cost=cost)),
        markdown_table(effort) if effort.rows else "",
        markdown_table(configuration_table(subject)),
        _markdown_list(caveats(subject)),
        markdown_text(f"Definition {subject.origin.fingerprint}. Rebuilt by: {subject.origin.command}"),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def report_latex(subject: Subject) -> str:
    r"""The answer's table with its notes, for a paper that loads booktabs, rotating and amssymb."""
    comparison = subject.comparison
    lines = [
        f"% {_comment(subject.origin.command)}",
        f"% definition {_comment(subject.origin.fingerprint)}",
        r"% \usepackage{booktabs,rotating,amssymb,textcomp}",
        latex_table(answer_table(subject), "tab:zerotune"),
        *(rf"\par\noindent\footnotesize {latex_text(note)}" for note in table_notes(comparison, cost=subject.cost)),
    ]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    """Text for the rest of one line."""
    return " ".join(sanitize_text(text).split())


def _markdown_list(sentences: tuple[str, ...]) -> str:
    return "\n".join(f"- {markdown_text(sentence)}" for sentence in sentences)


def _strict(value: Any) -> Any:
    """The value with numbers that JSON does not know as words, and tuples as lists."""
    if isinstance(value, Mapping):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
