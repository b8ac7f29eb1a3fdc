"""HTML pages from the templates in this folder: one file each, no network, for screens of any width and for paper.

Every value that a template shows is escaped, and invisible characters are replaced. The page's own policy (CSP)
lets the browser run the two scripts that stand in it, by their hashes, and load nothing: a name that found a way around
the escaping could neither run nor send anything. This module must not know what is shown.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ...sanitize import sanitize_text
from ..tables.result_tables import Table
from .responsive import layouts, smallest_width, split_title


@dataclass(frozen=True, kw_only=True)
class PageFigure:
    """A figure with its title as a heading and how it is read below.

    Attributes:
        name: letters that no other figure of the page has.
        drawing: data and layouts, as document.js takes them.
        smallest_width: in pixels; on a narrower screen the figure scrolls.
    """

    name: str
    headline: str
    shows: str
    drawing: dict[str, Any]
    smallest_width: int
    reading: str


def page_figure(name: str, figure: go.Figure, reading: str) -> PageFigure:
    """Return a figure for a page, as `tuner.reports.figures.style.apply_style` leaves it, with how it is read."""
    headline, shows = split_title(figure)
    return PageFigure(
        name=name,
        headline=headline,
        shows=shows,
        drawing={"data": json.loads(figure.to_json())["data"], **layouts(figure)},
        smallest_width=smallest_width(figure),
        reading=reading,
    )


def render_page(
    title: str,
    figures: Sequence[PageFigure],
    *,
    missing: Sequence[str] = (),
    question: str = "",
    verdict: Sequence[str] = (),
    sentences: Sequence[str] = (),
    numbers: Table | None = None,
    notes: Sequence[str] = (),
) -> str:
    """Return an HTML page of figures with what is to be said about them; what is empty is left out.

    What is missing stands below the title, then the question, the verdict in bold, and the sentences above the figures;
    the numbers and the notes stand below them.
    """
    return render(
        "page.html.j2",
        title=title,
        figures=figures,
        missing=missing,
        question=question,
        verdict=verdict,
        sentences=sentences,
        numbers=numbers,
        notes=notes,
    )


def render(template: str, **values: object) -> str:
    """Return a page of a template, a file in this folder that extends document.html.j2, with these texts."""
    plotly, script = get_plotlyjs(), _read("document.js")
    policy = (
        f"default-src 'none'; script-src {_hash(plotly)} {_hash(script)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; connect-src 'none'; form-action 'none'; base-uri 'none'"
    )
    scripts = {"plotly": plotly, "script": script, "style": _read("document.css"), "policy": policy}
    return environment().get_template(template).render(scripts, **values)


@cache
def environment() -> Environment:
    """Return the environment of the templates: all text is escaped, and a name that is not given is an error."""
    return Environment(
        loader=PackageLoader(str(__package__), "."),
        autoescape=True,
        finalize=_make_visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _make_visible(value: object) -> object:
    """Replace invisible characters of a study's text; a template's own markup is unchanged."""
    return sanitize_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _read(name: str) -> str:
    return resources.files(str(__package__)).joinpath(name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """Return a script's hash as a content security policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
