"""An HTML document with figures that needs nothing else: one file, no network, for screens of any width and for paper.

The page's own policy (CSP) lets the browser run the two scripts that stand in it, by their hashes, and load nothing: a
name that found a way around the escaping could neither run nor send anything. This module must not know what is shown.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from ..tables.markup import escape_html
from .responsive import layouts, split_title


def render_document(title: str, parts: Iterable[str], *, sections: Mapping[str, str] | None = None) -> str:
    """An HTML page with plotly's script inlined once.

    Args:
        title: of the page, as text.
        parts: of its body, as HTML, such as `drawn` and `section` give.
        sections: headings by id, for links at the top; none where there is nothing to go to.
    """
    plotly, own = get_plotlyjs(), _resource("document.js")
    policy = (
        f"default-src 'none'; script-src {_hash(plotly)} {_hash(own)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; connect-src 'none'; form-action 'none'; base-uri 'none'"
    )
    links = "".join(
        f'<a href="#{escape_html(name)}">{escape_html(text)}</a>' for name, text in (sections or {}).items()
    )
    lines = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape_html(title)}</title><style>{_resource('document.css')}</style></head><body>",
        f'<nav aria-label="Sections">{links}</nav>' if links else "",
        f"<main><h1>{escape_html(title)}</h1>",
        "<noscript><p>The figures need JavaScript; all else is here.</p></noscript>",
        *parts,
        f"</main><script>{plotly}</script><script>{own}</script></body></html>",
    ]
    return "\n".join(lines) + "\n"


def render_section(name: str, heading: str, parts: Sequence[str], *, apart: bool = False) -> str:
    """Parts under a heading.

    Args:
        name: letters that no other section of the page has.
        heading: as text.
        parts: as HTML.
        apart: whether it begins a new page on paper.
    """
    place = ' class="apart"' if apart else ""
    return (
        f'<section id="{escape_html(name)}"{place} aria-labelledby="heading-{escape_html(name)}">'
        f'<h2 id="heading-{escape_html(name)}">{escape_html(heading)}</h2>{"".join(parts)}</section>'
    )


def figure_html(name: str, figure: go.Figure, reading: str) -> str:
    """A figure with its title as a heading and how it is read below, as HTML for `document`.

    Args:
        name: letters that no other figure of the page has.
        figure: what is drawn, as `tuner.reports.figures.style.apply_style` leaves it.
        reading: a sentence below it, as text.
    """
    headline, shows = split_title(figure)
    given = json.dumps({"data": json.loads(figure.to_json())["data"], **layouts(figure)})
    # In a script that is data nothing is read but its end and comments: without "<" it has neither.
    content = given.replace("<", "\\u003c")
    return (
        f'<figure id="{escape_html(name)}"><h3 id="title-{escape_html(name)}">{escape_html(headline)}</h3>'
        f'<p class="shows">{escape_html(shows)}</p>'
        f'<div class="scroll"><div class="plot" id="plot-{escape_html(name)}" role="img" '
        f'aria-label="{escape_html(f"Figure: {headline}. {shows}")}"></div></div>'
        f'<script type="application/json">{content}</script>'
        f"<figcaption>{escape_html(reading)}</figcaption></figure>"
    )


@cache
def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """A script as a content security policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
