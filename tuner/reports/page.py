"""A page of figures as one HTML file that needs nothing else: the answer, the figures, how to read them, the notes."""

import html
from collections.abc import Iterable, Mapping

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from tuner.compare import Comparison
from tuner.reports.figures import REPORTS
from tuner.reports.tables import notes
from tuner.reports.wording import headlines

_STYLE = """
body { font: 15px/1.5 Helvetica, Arial, sans-serif; color: #222; margin: 2em auto; max-width: 1160px; padding: 0 1em; }
h1 { font-size: 1.5em; margin-bottom: 0; } h2 { font-size: 1.1em; margin-top: 1.6em; }
.reading, .notes { color: #555; max-width: 60em; } figure { margin: 1em 0; overflow-x: auto; }
"""
_CONFIG = {"displaylogo": False, "modeBarButtons": [["toImage", "zoom2d", "pan2d", "resetScale2d"]]}
"""No button may send a study's data anywhere."""


def page(comparison: Comparison, figures: Mapping[str, go.Figure], cost: str) -> str:
    """An HTML page with plotly's script inlined once, so that it opens without a network.

    Args:
        comparison: what the figures show.
        figures: figures by their name in `REPORTS`.
        cost: the currency of the sentences about savings.
    """
    facts = comparison.facts
    answers = [
        sentence for batch_size in facts.batch_sizes for sentence in headlines(comparison, batch_size, cost=cost)
    ]
    parts = [
        f"<p>{_text(facts.question)}</p>",
        _list(answers),
        *(drawn(name, figure, REPORTS[name].reading) for name, figure in figures.items()),
        '<h2>Notes</h2><div class="notes">',
        _list(notes(comparison, cost=cost)),
        "</div>",
    ]
    return document(facts.name, parts)


def document(title: str, parts: Iterable[str]) -> str:
    """An HTML page with plotly's script inlined once.

    Args:
        title: of the page, as text.
        parts: of its body, as HTML, such as `drawn` gives.
    """
    lines = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        f"<title>{_text(title)}</title><style>{_STYLE}</style>",
        f"<script>{get_plotlyjs()}</script></head><body>",
        f"<h1>{_text(title)}</h1>",
        *parts,
        "</body></html>",
    ]
    return "\n".join(lines) + "\n"


def drawn(name: str, figure: go.Figure, reading: str) -> str:
    """A figure and how it is read, as HTML for `document`.

    Args:
        name: letters that no other figure of the page has.
        figure: what is drawn.
        reading: a sentence below it, as text.
    """
    # Figures are escaped by plotly, which writes < and > in a script as \u003c and \u003e.
    plot = figure.to_html(full_html=False, include_plotlyjs=False, div_id=f"plot-{name}", config=_CONFIG)
    return f'<figure id={_quoted(name)}>{plot}<figcaption class="reading">{_text(reading)}</figcaption></figure>'


def _text(text: str) -> str:
    return html.escape(text)


def _quoted(text: str) -> str:
    return f'"{html.escape(text)}"'


def _list(sentences: "list[str] | tuple[str, ...]") -> str:
    return "<ul>" + "".join(f"<li>{_text(sentence)}</li>" for sentence in sentences) + "</ul>"
