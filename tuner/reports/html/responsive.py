"""One figure for screens of any width and for paper: its layout, and what changes where there is less room.

Plotly follows the width of the page by itself. What it cannot do stands here: a page shows the title as its own text,
on a narrow screen panels are stacked, and there and on paper the legend stands above the panels. Pure functions of
plotly's plain values: this module must not know what a figure shows.
"""

import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

Plain = dict[str, Any]

TOP = 44
"""Pixels above the panels, for their titles."""
PANEL_HEIGHT, PANEL_GAP = 280, 120
"""Pixels of a stacked panel at least, and between two, for the axis of the upper one and the title of the lower one."""
LEGEND_ROW = 22
"""Pixels of a row of a legend, of two entries on a narrow screen."""
TALLEST_PRINTED = 1150
"""Pixels that fit on a page with heading and caption, before CSS shrinks them to its width."""
SMALLEST, SMALLEST_BARS = 280, 560
"""On a narrower screen a figure scrolls in its box. Horizontal bars have names and amounts beside them."""
_TOLERANCE = 0.03


@dataclass(frozen=True, kw_only=True)
class _Panel:
    """A pair of axes, by their names ("x2", "y2"), and their place in shares of the plot."""

    x: str
    y: str
    left: float
    right: float
    bottom: float
    top: float

    def is_titled_by(self, note: Mapping[str, Any]) -> bool:
        """Return whether a note of the figure is centred above the panel."""
        middle = (self.left + self.right) / 2
        return (
            note.get("xref") == note.get("yref") == "paper"
            and abs(note["x"] - middle) < _TOLERANCE
            and abs(note["y"] - self.top) < _TOLERANCE
        )


def split_title(figure: go.Figure) -> tuple[str, str]:
    """Return a figure's headline and the line below it as text; either is empty where there is none."""
    title = str(figure.layout.title.text or "")
    headline, _, below = title.partition("</b>") if "</b>" in title else (title, "", "")
    return _strip_markup(headline), _strip_markup(below)


def layouts(figure: go.Figure) -> Plain:
    """Return what a page needs besides the figure's data.

    Returns:
        "layout", and the keys of it that differ when "narrow" and when "printed". Widths are left to plotly.
    """
    plain = json.loads(figure.to_json())
    layout: Plain = {key: value for key, value in plain["layout"].items() if key not in ("title", "width")}
    margin = {"t": 100, "b": 80, **layout.get("margin", {})}
    layout["height"] = layout.get("height", 450) - max(0, margin["t"] - TOP)
    layout["margin"] = {**margin, "t": TOP}
    num_rows = sum(trace.get("showlegend", True) and "name" in trace for trace in plain["data"]) / 2
    printed_height = min(layout["height"], TALLEST_PRINTED)
    printed = {"height": printed_height, "margin": {**layout["margin"], "r": 14}}
    narrow = {
        **_stack(layout, _panels(layout)),
        "dragmode": False,  # a finger scrolls the page and does not zoom
        "font": {**layout.get("font", {}), "size": 12},
        "margin": {**layout["margin"], "l": 52, "r": 14},
    }
    narrow["height"] = narrow.get("height", layout["height"]) + LEGEND_ROW * num_rows
    if "coloraxis" in layout:
        narrow["coloraxis"] = {**layout["coloraxis"], "colorbar": _bar_below(layout["coloraxis"]["colorbar"])}
        narrow["margin"]["b"] += BAR_HEIGHT
        narrow["height"] += BAR_HEIGHT
    for changed in (narrow, printed):
        changed["legend"] = {**layout.get("legend", {}), **LEGEND_ABOVE}
    return {"layout": layout, "narrow": narrow, "printed": printed}


def _bar_below(bar: Plain) -> Plain:
    return {**bar, **BAR_BELOW, "title": {**bar.get("title", {}), "side": "top"}}


def smallest_width(figure: go.Figure) -> int:
    """Return the pixels that a figure needs on a narrow screen."""
    return SMALLEST_BARS if any(getattr(trace, "orientation", None) == "h" for trace in figure.data) else SMALLEST


def _strip_markup(markup: str) -> str:
    """Return the text of plotly's markup."""
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", markup).split()))


def _panels(layout: Plain) -> list[_Panel]:
    """Return the panels from left to right, row by row; an axis over another one has no panel."""
    panels = []
    for key, axis in {"yaxis": {}, **layout}.items():
        if key.startswith("yaxis") and not axis.get("overlaying"):
            x = axis.get("anchor", "x")
            left, right = layout.get(_key(x), {}).get("domain", (0.0, 1.0))
            bottom, top = axis.get("domain", (0.0, 1.0))
            panels.append(_Panel(x=x, y=key.replace("axis", ""), left=left, right=right, bottom=bottom, top=top))
    return sorted(panels, key=lambda panel: (-panel.top, panel.left))


def _key(axis: str) -> str:
    """The key of an axis in a layout: "yaxis2" of "y2"."""
    return f"{axis[0]}axis{axis[1:]}"


def _stack(layout: Plain, panels: Sequence[_Panel]) -> Plain:
    """Stack the panels; each gets the tick labels and the axis title that it shared."""
    if len(panels) < 2:
        return {}
    margin = layout["margin"]
    plot_height = layout["height"] - margin["t"] - margin["b"]
    panel_height = max(PANEL_HEIGHT, plot_height * max(panel.top - panel.bottom for panel in panels))
    height = len(panels) * panel_height + (len(panels) - 1) * PANEL_GAP
    notes = list(layout.get("annotations", ()))
    changed: Plain = {"height": height + margin["t"] + margin["b"]}
    for place, panel in enumerate(panels):
        top = 1 - place * (panel_height + PANEL_GAP) / height
        x, y = layout.get(_key(panel.x), {}), layout.get(_key(panel.y), {})
        title = layout.get(_key(y.get("matches", panel.y)), {}).get("title")
        domain = [max(0.0, top - panel_height / height), top]
        changed[_key(panel.x)] = {**x, "domain": [0.0, 1.0]}
        changed[_key(panel.y)] = {**y, "title": title, "showticklabels": True, "domain": domain}
        own = {"xref": f"{panel.x} domain", "yref": f"{panel.y} domain", "x": 0.5, "y": 1}
        notes = [{**note, **own} if panel.is_titled_by(note) else note for note in notes]
    return {**changed, "annotations": notes}


BAR_HEIGHT = 70
"""Pixels of a colour bar below the panels."""

BAR_BELOW: Plain = {
    "orientation": "h",
    "x": 0.5,
    "xanchor": "center",
    "yref": "container",
    "y": 0,
    "yanchor": "bottom",
    "len": 1.0,
}
"""A colour bar at the bottom, whose place beside the panels would take a third of a narrow screen."""

LEGEND_ABOVE: Plain = {
    "orientation": "h",
    "xref": "container",
    "x": 0,
    "xanchor": "left",
    "yref": "container",
    "y": 1,
    "yanchor": "top",
    "bordercolor": "rgba(0, 0, 0, 0)",  # so that the titles of panels have room below it
    "borderwidth": 10,
}
"""A legend in rows at the top, for which plotly makes room."""
