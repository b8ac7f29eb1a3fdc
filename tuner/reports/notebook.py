"""A study's answer as objects to compute with: tables as pandas DataFrames, figures as plotly objects, HTML to look at.

Nothing is written to a file here, and pandas and plotly are imported by who asks for such an object.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from ..analysis.comparison import Comparison
from ..trial import TrialResult
from .answer import Answer
from .export import comparison_records, ledger_records, trial_records
from .figures.registry import applicable_figures, draw_figure
from .html.document import environment
from .tables.result_tables import answer_table
from .text.amendments import describe_amendments
from .text.findings import findings
from .text.searched_constants import searched_constants
from .text.verdict import first_lines

if TYPE_CHECKING:
    from pandas import DataFrame


class Figures(Mapping[str, go.Figure]):
    """The figures that a study has something for, by name; each is drawn when it is first asked for."""

    def __init__(self, subject: Answer) -> None:
        self._subject = subject
        self._names = tuple(applicable_figures(subject.comparison, subject.results))
        self._drawn: dict[str, go.Figure] = {}

    def __getitem__(self, name: str) -> go.Figure:
        if name not in self._names:
            raise KeyError(f"no figure {name!r}: there are {', '.join(self._names)}")
        if name not in self._drawn:
            self._drawn[name] = draw_figure(name, self._subject.comparison, self._subject.results, self._subject.cost)
        return self._drawn[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<Figures: {', '.join(self._names)}>"


def arms_frame(comparison: Comparison) -> "DataFrame":
    """Return the rows of comparison.csv, by batch size and arm; the baseline's comes first."""
    return _frame(comparison_records(comparison)).set_index(["batch_size", "arm"]).drop(columns="study")


def trials_frame(results: Iterable[TrialResult]) -> "DataFrame":
    """Return the rows of trials.csv: one a trial, by batch size, arm, role and index."""
    return _frame(trial_records(list(results)))


def bill_frame(comparison: Comparison) -> "DataFrame":
    """Return the rows of ledger.csv: what each arm spent at each batch size and in each role; the total comes last."""
    return _frame(ledger_records(comparison)).astype({"batch_size": "Int64"})  # the total has none


def answer_html(subject: Answer) -> str:
    """Return what is missing, the verdict, the findings and the table of arms as HTML for a notebook."""
    comparison, cost = subject.comparison, subject.cost
    return (
        environment()
        .get_template("answer.html.j2")
        .render(
            name=comparison.facts.name,
            question=comparison.facts.question,
            missing=subject.missing,
            verdict=first_lines(comparison, cost=cost),
            findings=findings(comparison, cost=cost),
            answer=answer_table(subject),
            caveats=(*describe_amendments(subject), *searched_constants(subject)),
            next_steps=subject.next_steps,
        )
    )


def _frame(records: Iterable[Mapping[str, Any]]) -> "DataFrame":
    from pandas import DataFrame  # half a second, which only those pay who want one

    return DataFrame(list(records))
